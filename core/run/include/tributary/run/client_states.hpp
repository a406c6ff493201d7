// SPDX-License-Identifier: Apache-2.0
// The states of clients between their tasks, kept as files: DIRECTORY/<thousands>/<client>.safetensors.
//
// Real time:   every state is in its file before what the client sends leaves it.
// Simulation:  states are in memory, and go to their files with a checkpoint: what a killed run had beyond its last
//              checkpoint is lost on both sides. mark() when the checkpoint's model is published, prepare() before it
//              is saved, commit() after: until then the files are those of the checkpoint before, and finish_states()
//              does what a killed run has left to do.
// Format:      safetensors. "settled", F64; "undecided.<sequence>", F32, for each; the metadata says of which run they
//              are (`epoch`), the next sequence and the last that was counted, and the SHA-256 of these, the client's
//              number and the tensors. `checkpoint`, in simulation: with which one it was written.
// Threads:     one at a time. Memory: in simulation, the states since the last commit(), and up to 256 MiB of others.
// Numbers:     a client without a file counts its increments from the microseconds of now on: one that has lost its
//              file never uses a number twice.
// Errors:      kBadData: a file that is damaged, of another client or of another model; kIo.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "tributary/base/file_system.hpp"
#include "tributary/nodes/client_state.hpp"

namespace tributary {

class ClientStates final : public ClientStateStore {
 public:
  enum class Writing : std::uint8_t { kAtOnce, kWhenFlushed };

  // `parameters`: of the model.
  ClientStates(FileSystem& files, std::filesystem::path directory, std::size_t parameters, Writing writing)
      : files_(files), directory_(std::move(directory)), parameters_(parameters), writing_(writing) {}

  Result<std::shared_ptr<const ClientState>> load(ClientIndex client) override;
  Status save(ClientIndex client, std::shared_ptr<const ClientState> state) override;
  // Simulation: what has changed since it was last committed, as it is now.
  using Marked = std::vector<std::pair<ClientIndex, std::shared_ptr<const ClientState>>>;
  [[nodiscard]] Marked mark() const;
  // Writes what was marked beside the files of before. `checkpoint`: a name that no other one has.
  Status prepare(const Marked& marked, const std::string& checkpoint);
  // It takes their places.
  Status commit(const Marked& marked);

  [[nodiscard]] std::filesystem::path file_of(ClientIndex client) const;

 private:
  Result<std::shared_ptr<const ClientState>> read(ClientIndex client) const;
  Status write(ClientIndex client, const ClientState& state, const std::string& checkpoint);
  void make_room();

  FileSystem& files_;
  std::filesystem::path directory_;
  std::size_t parameters_;
  Writing writing_;
  std::unordered_map<ClientIndex, std::shared_ptr<const ClientState>> states_;
  std::unordered_set<ClientIndex> unwritten_;
  std::unordered_set<std::uint32_t> made_;  // directories
  std::size_t bytes_ = 0;                   // of states_
};

// Commits what was prepared in `directory` with the checkpoint of that name, and removes what was with others.
Status finish_states(FileSystem& files, const std::filesystem::path& directory, const std::string& checkpoint);

}  // namespace tributary
