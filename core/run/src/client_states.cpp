// SPDX-License-Identifier: Apache-2.0
#include "tributary/run/client_states.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tributary/base/digest.hpp"
#include "tributary/data/safetensors.hpp"

namespace tributary {
namespace {

constexpr const char* kFormatKey = "tributary.client_state";
constexpr const char* kFormat = "1";
constexpr const char* kEpochKey = "epoch";
constexpr const char* kNextKey = "next";
constexpr const char* kCountedKey = "last_counted";
constexpr const char* kDigestKey = "sha256";
constexpr const char* kCheckpointKey = "checkpoint";
constexpr std::string_view kPrepared = ".prepared";
constexpr const char* kSettled = "settled";
constexpr std::string_view kUndecided = "undecided.";
constexpr std::uint32_t kPerDirectory = 1000;
constexpr std::size_t kMostBytes = std::size_t{256} << 20U;

std::uint64_t first_number() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
}

std::size_t bytes_of(const ClientState& state) {
  std::size_t bytes = sizeof state + state.settled().size() * sizeof(double);
  for (const ClientState::Undecided& part : state.undecided()) { bytes += part.increment->size() * sizeof(float); }
  return bytes;
}

struct Numbers {
  std::uint64_t epoch = 0;
  std::uint64_t next = 1;
  std::uint64_t last_settled = 0;
};

Digest digest_of(ClientIndex client, const Numbers& numbers, std::span<const SafetensorsItem> items) {
  Hasher hasher;
  hasher.update(fmt::format("{} {} {} {}\n", client.value, numbers.epoch, numbers.next, numbers.last_settled));
  for (const SafetensorsItem& item : items) {
    hasher.update(fmt::format("{} {}\n", item.name, item.bytes.size()));
    hasher.update(item.bytes);
  }
  return hasher.finish();
}

Result<std::uint64_t> whole_number(const SafetensorsMetadata& metadata, const char* key, const std::string& file) {
  const auto found = metadata.find(key);
  std::uint64_t value = 0;
  if (found != metadata.end()) {
    const std::string& text = found->second;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc{} && end == text.data() + text.size()) { return value; }
  }
  return bad_data(fmt::format("{}: metadata {} is missing or no whole number", file, key));
}

}  // namespace

std::filesystem::path ClientStates::file_of(ClientIndex client) const {
  return directory_ / std::to_string(client.value / kPerDirectory) / fmt::format("{}.safetensors", client.value);
}

Result<std::shared_ptr<const ClientState>> ClientStates::load(ClientIndex client) {
  const auto known = states_.find(client);
  if (known != states_.end()) { return known->second; }
  TRIBUTARY_ASSIGN_OR_RETURN(std::shared_ptr<const ClientState> state, read(client));
  if (writing_ == Writing::kWhenFlushed) {
    bytes_ += bytes_of(*state);
    states_.emplace(client, state);
  }
  return state;
}

Status ClientStates::save(ClientIndex client, std::shared_ptr<const ClientState> state) {
  if (writing_ == Writing::kAtOnce) { return write(client, *state, {}); }
  std::shared_ptr<const ClientState>& kept = states_[client];
  if (kept) { bytes_ -= bytes_of(*kept); }
  bytes_ += bytes_of(*state);
  kept = std::move(state);
  unwritten_.insert(client);
  return {};
}

ClientStates::Marked ClientStates::mark() const {
  Marked marked;
  for (const ClientIndex client : unwritten_) { marked.emplace_back(client, states_.at(client)); }
  return marked;
}

Status ClientStates::prepare(const Marked& marked, const std::string& checkpoint) {
  for (const auto& [client, state] : marked) { TRIBUTARY_RETURN_IF_ERROR(write(client, *state, checkpoint)); }
  return {};
}

Status ClientStates::commit(const Marked& marked) {
  std::set<std::filesystem::path> directories;
  for (const auto& [client, state] : marked) {
    const std::filesystem::path file = file_of(client);
    TRIBUTARY_RETURN_IF_ERROR(files_.rename(file.string() + std::string(kPrepared), file));
    directories.insert(file.parent_path());
    const auto newest = states_.find(client);
    if (newest != states_.end() && newest->second == state) { unwritten_.erase(client); }
  }
  for (const std::filesystem::path& directory : directories) {
    TRIBUTARY_RETURN_IF_ERROR(files_.sync_directory(directory));
  }
  make_room();
  return {};
}

// What is in a file too.
void ClientStates::make_room() {
  if (bytes_ <= kMostBytes) { return; }
  std::erase_if(states_, [this](const auto& entry) {
    if (unwritten_.contains(entry.first)) { return false; }
    bytes_ -= bytes_of(*entry.second);
    return true;
  });
}

Status finish_states(FileSystem& files, const std::filesystem::path& directory, const std::string& checkpoint) {
  const Result<std::vector<std::string>> parts = files.list(directory);
  if (!parts.ok()) { return parts.status().code() == Code::kNotFound ? ok_status() : parts.status(); }
  for (const std::string& part : *parts) {
    const Result<std::vector<std::string>> names = files.list(directory / part);
    if (!names.ok()) { continue; }  // no directory of ours
    bool renamed = false;
    for (const std::string& name : *names) {
      if (!name.ends_with(kPrepared)) { continue; }
      const std::filesystem::path path = directory / part / name;
      const Result<SafetensorsFile> file = SafetensorsFile::open(files, path);
      const auto named = file.ok() ? file->metadata().find(kCheckpointKey) : SafetensorsMetadata::const_iterator();
      if (file.ok() && named != file->metadata().end() && named->second == checkpoint) {
        const std::string kept = name.substr(0, name.size() - kPrepared.size());
        TRIBUTARY_RETURN_IF_ERROR(files.rename(path, directory / part / kept));
        renamed = true;
      } else {
        TRIBUTARY_RETURN_IF_ERROR(files.remove(path));
      }
    }
    if (renamed) { TRIBUTARY_RETURN_IF_ERROR(files.sync_directory(directory / part)); }
  }
  return {};
}

Result<std::shared_ptr<const ClientState>> ClientStates::read(ClientIndex client) const {
  const std::filesystem::path path = file_of(client);
  Result<SafetensorsFile> file = SafetensorsFile::open(files_, path);
  if (!file.ok()) {
    if (file.status().code() != Code::kNotFound) { return file.status(); }
    return std::shared_ptr<const ClientState>(std::make_shared<const ClientState>(first_number()));
  }
  const auto format = file->metadata().find(kFormatKey);
  if (format == file->metadata().end() || format->second != kFormat) {
    return bad_data(fmt::format("{}: it is not the state of a client in format {}", path.string(), kFormat));
  }
  Numbers numbers;
  TRIBUTARY_ASSIGN_OR_RETURN(numbers.epoch, whole_number(file->metadata(), kEpochKey, path.string()));
  TRIBUTARY_ASSIGN_OR_RETURN(numbers.next, whole_number(file->metadata(), kNextKey, path.string()));
  TRIBUTARY_ASSIGN_OR_RETURN(numbers.last_settled, whole_number(file->metadata(), kCountedKey, path.string()));
  std::vector<double> settled;
  std::vector<ClientState::Undecided> undecided;
  std::vector<SafetensorsItem> items;
  const auto wrong = [&path] {
    return bad_data(fmt::format("{}: it is not the state of a client of this model", path.string()));
  };
  for (const SafetensorsTensor& tensor : file->tensors()) {
    std::span<const std::byte> bytes;
    if (tensor.elements != parameters_) { return wrong(); }
    if (tensor.name == kSettled && tensor.dtype == DType::kF64) {
      settled.resize(tensor.elements);
      TRIBUTARY_RETURN_IF_ERROR(file->read(tensor.offset, std::as_writable_bytes(std::span(settled))));
      bytes = std::as_bytes(std::span(settled));
    } else if (std::uint64_t sequence = 0; tensor.name.starts_with(kUndecided) && tensor.dtype == DType::kF32) {
      const char* const end = tensor.name.data() + tensor.name.size();
      if (std::from_chars(tensor.name.data() + kUndecided.size(), end, sequence).ptr != end) { return wrong(); }
      const std::uint64_t before = undecided.empty() ? numbers.last_settled : undecided.back().sequence;
      if (sequence >= numbers.next || (sequence <= before && !undecided.empty())) { return wrong(); }
      auto increment = std::make_shared<std::vector<float>>(tensor.elements);
      TRIBUTARY_RETURN_IF_ERROR(file->read(tensor.offset, std::as_writable_bytes(std::span(*increment))));
      bytes = std::as_bytes(std::span(*increment));
      undecided.push_back({sequence, std::move(increment)});
    } else {
      return wrong();
    }
    items.push_back({.name = tensor.name, .dtype = tensor.dtype, .shape = tensor.shape, .bytes = bytes});
  }
  const auto digest = file->metadata().find(kDigestKey);
  if (digest == file->metadata().end() || digest->second != digest_of(client, numbers, items).hex()) {
    return bad_data(
        fmt::format("{}: it is damaged, or the state of another client: its digest does not fit", path.string()));
  }
  const bool finite = std::ranges::all_of(settled, [](double value) { return std::isfinite(value); });
  if (!finite || numbers.next == 0) { return wrong(); }
  return std::shared_ptr<const ClientState>(std::make_shared<const ClientState>(
      numbers.epoch, numbers.next, numbers.last_settled, std::move(settled), std::move(undecided)));
}

// With a checkpoint: beside the file of before.
Status ClientStates::write(ClientIndex client, const ClientState& state, const std::string& checkpoint) {
  std::filesystem::path path = file_of(client);
  if (made_.insert(client.value / kPerDirectory).second) {
    TRIBUTARY_RETURN_IF_ERROR(files_.create_directories(path.parent_path()));
  }
  std::vector<SafetensorsItem> items;
  const auto add = [&items](std::string name, DType dtype, std::size_t elements, std::span<const std::byte> bytes) {
    items.push_back(
        {.name = std::move(name), .dtype = dtype, .shape = {static_cast<std::int64_t>(elements)}, .bytes = bytes});
  };
  if (!state.settled().empty()) {
    add(kSettled, DType::kF64, state.settled().size(), std::as_bytes(std::span(state.settled())));
  }
  for (const ClientState::Undecided& part : state.undecided()) {
    add(fmt::format("{}{}", kUndecided, part.sequence), DType::kF32, part.increment->size(),
        std::as_bytes(std::span(*part.increment)));
  }
  SafetensorsMetadata metadata{
      {kFormatKey, kFormat},
      {kEpochKey, std::to_string(state.epoch())},
      {kNextKey, std::to_string(state.next())},
      {kCountedKey, std::to_string(state.last_settled())},
      {kDigestKey, digest_of(client, {state.epoch(), state.next(), state.last_settled()}, items).hex()}};
  if (!checkpoint.empty()) {
    metadata[kCheckpointKey] = checkpoint;
    path += kPrepared;
  }
  return write_safetensors(files_, path, items, metadata);
}

}  // namespace tributary
