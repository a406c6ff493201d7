// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <CLI/CLI.hpp>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "build_information.hpp"
#include "commands/command.hpp"
#include "console/json_output.hpp"
#include "tributary/base/version.hpp"

namespace tributary::cli {
namespace {

std::string compiler() {
#if defined(__clang__)
  return fmt::format("clang {}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#elif defined(__GNUC__)
  return fmt::format("g++ {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#else
  return "unknown";
#endif
}

}  // namespace

Command version_command() {
  return {"version", "Print the version and how it was built", [](CLI::App& app) -> Action {
            auto json = std::make_shared<bool>(false);
            app.add_flag("--json", *json, "One JSON object");
            app.footer("Example:\n  tributary version --json");
            return [json](const Context& context) {
              if (*json) {
                nlohmann::ordered_json facts{{"schema", 1},
                                             {"version", std::string(version_text())},
                                             {"revision", kRevision},
                                             {"compiler", compiler()},
                                             {"standard", __cplusplus},
                                             {"build_type", kBuildType},
                                             {"sanitizers", kSanitizers},
                                             {"openssl", OpenSSL_version(OPENSSL_VERSION)}};
                print_json(context.out, facts);
                return ok_status();
              }
              context.out << "tributary " << version_text();
              if (kRevision[0] != '\0') { context.out << " (" << kRevision << ')'; }
              context.out << '\n';
              if (context.verbosity > 0) {
                context.out << fmt::format("{}, C++ {}, {} build\n{}\n", compiler(), __cplusplus, kBuildType,
                                           OpenSSL_version(OPENSSL_VERSION));
              }
              return ok_status();
            };
          }};
}

}  // namespace tributary::cli
