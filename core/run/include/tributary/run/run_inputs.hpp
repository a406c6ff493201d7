// SPDX-License-Identifier: Apache-2.0
// The files that decide what a run computes, besides its configuration: data, model files, trainer programs and
// libraries. A run that is resumed compares them with those it began with.
//
// Threads: InputDigests works on a thread of its own from its construction on; the rest is pure.
// Errors:  a file that cannot be read is not an error here: who needs it will say so.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <future>
#include <map>
#include <string>
#include <vector>

#include "tributary/base/file_system.hpp"
#include "tributary/base/status.hpp"
#include "tributary/config/configuration.hpp"

namespace tributary {

struct InputFile {
  std::string key;  // of the configuration: "data.train", "trainer.command[1]"
  std::filesystem::path path;
  // A word of a trainer's command: it may be what the program writes, such as a log.
  bool may_be_written = false;

  // How it was found. What cannot be read has a state too, of its own.
  struct State {
    std::uintmax_t bytes = 0;
    std::filesystem::file_time_type written;
    std::uintmax_t number = 0;  // of the file itself: another one may have taken its name
    friend bool operator==(const State&, const State&) = default;
  };
  State found;

  [[nodiscard]] bool has_changed() const;
};

// The file as it is now.
[[nodiscard]] InputFile input_file(std::string key, std::filesystem::path path, bool may_be_written = false);

// Those that exist, as they are now: to be asked for before they are read. Of a trainer's command: the program, and
// every word that names a file. What a program reads besides those is not known here.
[[nodiscard]] std::vector<InputFile> input_files(const Configuration& configuration);

class InputDigests {
 public:
  // By key: size and SHA-256, as a text.
  using Texts = std::map<std::string, std::string>;

  // Starts reading; the files stay as they are meanwhile. `files` outlives this object.
  InputDigests(FileSystem& files, std::vector<InputFile> inputs);
  // Stops reading.
  ~InputDigests();
  InputDigests(const InputDigests&) = delete;
  InputDigests& operator=(const InputDigests&) = delete;

  // Waits for the digests.
  [[nodiscard]] const Texts& texts();
  // One line for each file that differs from what `earlier` says; empty if none does.
  [[nodiscard]] std::string changes_since(const Texts& earlier);
  // Forgets files that `earlier` does not name: what the run has made itself since it began is none of its inputs.
  void keep_only(const Texts& earlier);
  // Forgets the files that may be written and have changed since they were found, and gives them: as likely as not the
  // run writes them. Once for each.
  std::vector<InputFile> forget_changed();
  // Waits for the digests. kBadData: a file that nobody should write changed between being found and being digested, so
  // that nobody knows what of it was read.
  [[nodiscard]] Status check_unchanged();

 private:
  std::vector<InputFile> inputs_;
  std::vector<InputFile> watched_;  // those that may be written
  std::string changed_;             // the first that changed before its digest was made, by the thread below
  std::atomic<bool> stop_{false};
  std::future<Texts> work_;
  Texts texts_;
};

}  // namespace tributary
