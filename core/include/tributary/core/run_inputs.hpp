// SPDX-License-Identifier: Apache-2.0
// The files that decide what a run computes, besides its configuration: data, model files, trainer programs and
// libraries. A run that is resumed compares them with those it began with.
//
// Threads: InputDigests works on a thread of its own from its construction on; the rest is pure.
// Errors:  a file that cannot be read is not an error here: who needs it will say so.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <future>
#include <map>
#include <string>
#include <vector>

#include "tributary/core/configuration.hpp"
#include "tributary/core/file_system.hpp"

namespace tributary {

struct InputFile {
  std::string key;  // of the configuration: "data.train", "trainer.command[1]"
  std::filesystem::path path;
  // A word of a trainer's command: it may be what the program writes, such as a log.
  bool may_be_written = false;
};

// Those that exist. Of a trainer's command: the program, and every word that names a file. What a program reads besides
// those is not known here.
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
  // Forgets the files that may be written and have changed since the construction, and gives them: as likely as not the
  // run writes them. Once for each.
  std::vector<InputFile> forget_changed();

 private:
  struct Seen {
    std::size_t input = 0;
    std::uintmax_t bytes = 0;
    std::filesystem::file_time_type written;
  };

  std::vector<InputFile> inputs_;
  std::vector<Seen> seen_;  // of those that may be written
  std::atomic<bool> stop_{false};
  std::future<Texts> work_;
  Texts texts_;
};

}  // namespace tributary
