// SPDX-License-Identifier: Apache-2.0
// The state from which a run goes on: the model and all that belongs to it, in one file per kept round.
//
// Format:     docs/checkpoint.md: a safetensors file whose metadata holds the state and a digest over everything.
// Life cycle: save() after a commit, load_latest() when a run is resumed.
// Threads:    one CheckpointStore belongs to one thread at a time, and one directory to one store.
// Durability: save() returns OK only when the new file would survive a power cut; only then are older ones removed. An
//             error leaves every earlier checkpoint as it was.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tributary/base/digest.hpp"
#include "tributary/base/file_system.hpp"
#include "tributary/base/ids.hpp"
#include "tributary/base/status.hpp"
#include "tributary/nodes/parameter_spec.hpp"
#include "tributary/nodes/snapshot.hpp"

namespace tributary {

struct CheckpointState {
  Round round;
  Version version;
  Digest configuration;  // of the resolved configuration this run goes by
  std::uint64_t seed = 0;
  std::uint64_t records_bytes = 0;           // how long the records file was: what comes after is written again
  std::map<std::string, std::string> extra;  // of the run itself
  Snapshot snapshot;                         // of its parts: server optimizers and others
  friend bool operator==(const CheckpointState&, const CheckpointState&) = default;
};

// All else that a simulation goes on from, as its driver saved it: RoundReport::world. Null: nothing.
using SavedWorld = std::shared_ptr<const std::vector<std::byte>>;

struct Checkpoint {
  CheckpointState state;
  std::vector<float> values;  // in the order of the spec
  std::filesystem::path path;
  SavedWorld world;
  std::vector<std::string> warnings;  // load_latest(): newer files that were passed over, one message each
};

struct CheckpointFile {
  Round round;
  std::filesystem::path path;
};

// What a file says without the model it belongs to; its digest has been verified.
struct CheckpointFacts {
  CheckpointState state;
  ParameterSpec spec;
  Digest digest;
  std::uint64_t bytes = 0;  // of the file
};

class CheckpointStore {
 public:
  // `keep` >= 1 newest files stay (0 counts as 1). The directory is made by the first save().
  CheckpointStore(FileSystem& files, std::filesystem::path directory, std::uint32_t keep);

  // Writes checkpoint-<round>.safetensors. Files of later rounds are remains of a run that was taken back to an earlier
  // round: they are removed too. A file that cannot be removed is tried again by the next save(); that is no error.
  Status save(const ParameterSpec& spec, std::span<const float> values, const CheckpointState& state,
              const SavedWorld& world = nullptr);

  // Why a checkpoint that is whole cannot be gone on from; OK if it can.
  using Judge = std::function<Status(const Checkpoint&)>;

  // The newest that is whole and that `judge` accepts. kNotFound: there is none at all, not even a name. kBadData: none
  // can be used. kInvalidArgument: it belongs to another model.
  [[nodiscard]] Result<Checkpoint> load_latest(const ParameterSpec& spec, const Judge& judge = nullptr) const;
  [[nodiscard]] Result<Checkpoint> load(const std::filesystem::path& path, const ParameterSpec& spec) const;

  // Rounds ascending; empty if the directory does not exist.
  [[nodiscard]] Result<std::vector<CheckpointFile>> list() const;

 private:
  void remove_superseded(Round newest);

  FileSystem& files_;
  std::filesystem::path directory_;
  std::uint32_t keep_;
};

Result<CheckpointFacts> inspect_checkpoint(FileSystem& files, const std::filesystem::path& path);
// What says of itself that it is a checkpoint must be a whole one, of a format that is known. OK for any other file,
// and for what cannot be read as safetensors.
Status check_if_checkpoint(FileSystem& files, const std::filesystem::path& path);

}  // namespace tributary
