// SPDX-License-Identifier: Apache-2.0
// Any bytes as a checkpoint: what inspect_checkpoint() accepts, a store must load with the file's own spec.
#include <cstdlib>
#include <memory>

#include "tributary/run/checkpoint.hpp"

namespace {

// One file, in memory; nothing can be written.
class OneFile final : public tributary::FileSystem {
 public:
  explicit OneFile(std::span<const std::byte> bytes) : bytes_(bytes) {}

  tributary::Result<Kind> kind(const std::filesystem::path& /*path*/) override { return Kind::kFile; }
  tributary::Result<std::unique_ptr<tributary::ReadableFile>> open(const std::filesystem::path& /*path*/) override {
    return tributary::readable_bytes(bytes_, "fuzz");
  }
  tributary::Result<std::unique_ptr<tributary::WritableFile>> create(const std::filesystem::path& /*path*/,
                                                                     const std::filesystem::path& /*shown*/) override {
    return refused();
  }
  tributary::Result<std::unique_ptr<tributary::WritableFile>> append(const std::filesystem::path& /*path*/) override {
    return refused();
  }
  tributary::Status truncate(const std::filesystem::path& /*path*/, std::uint64_t /*size*/) override {
    return refused();
  }
  tributary::Status rename(const std::filesystem::path& /*from*/, const std::filesystem::path& /*to*/) override {
    return refused();
  }
  tributary::Status remove(const std::filesystem::path& /*path*/) override { return refused(); }
  tributary::Result<std::vector<std::string>> list(const std::filesystem::path& /*directory*/) override {
    return refused();
  }
  tributary::Status create_directories(const std::filesystem::path& /*directory*/) override { return refused(); }
  tributary::Status sync_directory(const std::filesystem::path& /*directory*/) override { return refused(); }
  tributary::Result<tributary::LockAttempt> lock(const std::filesystem::path& /*path*/,
                                                 std::string_view /*text*/) override {
    return refused();
  }

 private:
  static tributary::Status refused() { return tributary::io_error("read only"); }

  std::span<const std::byte> bytes_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tributary;
  OneFile files(std::as_bytes(std::span(data, size)));
  const Result<CheckpointFacts> facts = inspect_checkpoint(files, "fuzz");
  if (!facts.ok()) { return 0; }
  const Result<Checkpoint> checkpoint = CheckpointStore(files, "run", 1).load("fuzz", facts->spec);
  if (!checkpoint.ok() || checkpoint->state != facts->state) { std::abort(); }
  return 0;
}
