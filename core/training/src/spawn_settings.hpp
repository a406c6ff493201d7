// SPDX-License-Identifier: Apache-2.0
// What posix_spawn() wants to be told, released whatever happens.
#pragma once

#include <spawn.h>
#include <csignal>

#include <string>
#include <vector>

namespace tributary::internal {

class SpawnSettings {
 public:
  SpawnSettings() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }

  // Signals as a new program expects them, whatever this thread blocks or this process ignores. Takes effect with the
  // flags POSIX_SPAWN_SETSIGMASK and POSIX_SPAWN_SETSIGDEF.
  void reset_signals() {
    sigset_t none;
    sigset_t usual;
    sigemptyset(&none);
    sigemptyset(&usual);
    for (const int signal : {SIGINT, SIGTERM, SIGPIPE, SIGHUP, SIGCHLD, SIGUSR1}) { sigaddset(&usual, signal); }
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &usual);
  }

  posix_spawn_file_actions_t actions{};
  posix_spawnattr_t attributes{};
};

// For argv and envp: points into `texts`, and ends with null.
inline std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (std::string& text : texts) { list.push_back(text.data()); }
  list.push_back(nullptr);
  return list;
}

}  // namespace tributary::internal
