// SPDX-License-Identifier: Apache-2.0
#include "tributary/run/checkpoint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include "base/reading.hpp"
#include "base/strict_json.hpp"
#include "tributary/data/model_file.hpp"
#include "tributary/data/safetensors.hpp"

namespace tributary {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFormatKey = "tributary.checkpoint";
constexpr const char* kStateKey = "tributary.state";
constexpr const char* kDigestKey = "tributary.digest";
// Of a file without vectors of a state, and of one with them: these a reader of the first would take for the model's.
constexpr std::string_view kPlainFormat = "1";
constexpr std::string_view kFormat = "2";
// Of one with the world of a simulation.
constexpr std::string_view kWorldFormat = "3";
constexpr std::string_view kWorld = "world";
// The model's values behind it stand at a multiple of so many bytes.
constexpr std::size_t kAlignment = 8;
constexpr std::string_view kStateTextPrefix = "state/";
constexpr std::string_view kPrefix = "checkpoint-";
constexpr std::string_view kSuffix = ".safetensors";

std::string file_name(Round round) {
  return fmt::format("{}{:08}{}", kPrefix, round.value, kSuffix);
}

std::optional<Round> round_of(std::string_view name) {
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) { return std::nullopt; }
  const std::string_view digits = name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
  Round round;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), round.value);
  // Only the one spelling that file_name() gives.
  return error == std::errc{} && file_name(round) == name ? std::optional(round) : std::nullopt;
}

Result<std::string> state_text(const ParameterSpec& spec, const CheckpointState& state) {
  std::map<std::string, std::string> texts = state.extra;
  for (const auto& [name, text] : state.snapshot.texts) {
    texts.insert_or_assign(std::string(kStateTextPrefix) + name, text);
  }
  return internal::dump_json({{"configuration", state.configuration.hex()},
                              {"extra", texts},
                              {"records_bytes", state.records_bytes},
                              {"round", state.round.value},
                              {"seed", state.seed},
                              {"spec", spec.fingerprint().hex()},
                              {"version", state.version.value}});
}

class StateReader {
 public:
  StateReader(const nlohmann::json& state, std::string place) : state_(state), place_(std::move(place)) {}

  Result<std::uint64_t> number(const char* key) {
    const auto entry = state_.find(key);
    if (entry == state_.end() || !entry->is_number_unsigned()) { return wrong(key, "a whole number"); }
    return entry->get<std::uint64_t>();
  }

  Result<Digest> digest(const char* key) {
    const auto entry = state_.find(key);
    if (entry == state_.end() || !entry->is_string()) { return wrong(key, "64 hexadecimal digits"); }
    const auto& text = entry->get_ref<const std::string&>();
    Digest digest;
    if (text.size() != 2 * digest.bytes.size()) { return wrong(key, "64 hexadecimal digits"); }
    for (std::size_t i = 0; i < digest.bytes.size(); ++i) {
      const char* first = text.data() + 2 * i;
      if (std::from_chars(first, first + 2, digest.bytes[i], 16).ptr != first + 2) {
        return wrong(key, "64 hexadecimal digits");
      }
    }
    return digest;
  }

  Result<std::map<std::string, std::string>> texts(const char* key) {
    const auto entry = state_.find(key);
    if (entry == state_.end() || !entry->is_object()) { return wrong(key, "an object of texts"); }
    std::map<std::string, std::string> texts;
    for (const auto& [name, value] : entry->items()) {
      if (!value.is_string()) { return wrong(key, "an object of texts"); }
      texts.emplace(name, value.get<std::string>());
    }
    return texts;
  }

 private:
  [[nodiscard]] Status wrong(const char* key, std::string_view wanted) const {
    return bad_data(fmt::format("{}: {} is not {}", place_, key, wanted));
  }

  const nlohmann::json& state_;
  std::string place_;
};

bool is_state(const SafetensorsTensor& tensor) {
  return tensor.name.starts_with(kStatePrefix);
}
bool is_world(const SafetensorsTensor& tensor) {
  return is_state(tensor) && std::string_view(tensor.name).substr(kStatePrefix.size()) == kWorld;
}

struct Envelope {
  CheckpointState state;
  ParameterSpec spec;
  std::uint64_t state_bytes = 0;  // of the vectors that stand before the model
  std::string_view state_text;    // of the file's metadata
  std::string_view digest;
};

// Vectors come first: where a model's values stand is then a multiple of eight bytes for both.
Status read_states(const SafetensorsFile& file, Snapshot& snapshot, SavedWorld& world) {
  for (const SafetensorsTensor& tensor : file.tensors()) {
    if (!is_state(tensor)) { continue; }
    if (is_world(tensor)) {
      auto bytes = std::make_shared<std::vector<std::byte>>(tensor.bytes);
      TRIBUTARY_RETURN_IF_ERROR(file.read(tensor.offset, std::span(*bytes)));
      world = std::move(bytes);
      continue;
    }
    auto values = std::make_shared<std::vector<double>>(tensor.elements);
    TRIBUTARY_RETURN_IF_ERROR(file.read(tensor.offset, std::as_writable_bytes(std::span(*values))));
    snapshot.vectors.emplace(tensor.name.substr(kStatePrefix.size()), std::move(values));
  }
  return {};
}

Result<std::string_view> metadata_of(const SafetensorsFile& file, const char* key) {
  const auto entry = file.metadata().find(key);
  if (entry == file.metadata().end()) {
    return bad_data(fmt::format("{}: not a checkpoint: metadata key {} is missing", file.name(), key));
  }
  return std::string_view(entry->second);
}

// Everything but the values and their digest.
Result<Envelope> read_envelope(const SafetensorsFile& file) {
  TRIBUTARY_ASSIGN_OR_RETURN(const std::string_view format, metadata_of(file, kFormatKey));
  if (format != kPlainFormat && format != kFormat && format != kWorldFormat) {
    return unsupported(
        fmt::format("{}: checkpoint format {}, this program reads formats {}, {} and {}: a later version of "
                    "it has written the file, and can go on from there",
                    file.name(), internal::printable(format), kPlainFormat, kFormat, kWorldFormat));
  }
  Envelope envelope;
  TRIBUTARY_ASSIGN_OR_RETURN(envelope.state_text, metadata_of(file, kStateKey));
  TRIBUTARY_ASSIGN_OR_RETURN(envelope.digest, metadata_of(file, kDigestKey));

  const std::string place = fmt::format("{}: {}", file.name(), kStateKey);
  const Result<nlohmann::json> parsed = internal::parse_strict_json(envelope.state_text, 2);
  if (!parsed.ok()) { return parsed.status().with_context(place); }
  StateReader reader(*parsed, place);
  TRIBUTARY_ASSIGN_OR_RETURN(envelope.state.round.value, reader.number("round"));
  TRIBUTARY_ASSIGN_OR_RETURN(envelope.state.version.value, reader.number("version"));
  TRIBUTARY_ASSIGN_OR_RETURN(envelope.state.seed, reader.number("seed"));
  TRIBUTARY_ASSIGN_OR_RETURN(envelope.state.records_bytes, reader.number("records_bytes"));
  TRIBUTARY_ASSIGN_OR_RETURN(envelope.state.configuration, reader.digest("configuration"));
  TRIBUTARY_ASSIGN_OR_RETURN(auto texts, reader.texts("extra"));
  for (auto& [name, text] : texts) {
    if (name.starts_with(kStateTextPrefix)) {
      envelope.state.snapshot.texts.emplace(name.substr(kStateTextPrefix.size()), std::move(text));
    } else {
      envelope.state.extra.emplace(name, std::move(text));
    }
  }
  TRIBUTARY_ASSIGN_OR_RETURN(const Digest fingerprint, reader.digest("spec"));

  for (const SafetensorsTensor& tensor : file.tensors()) {
    if (is_state(tensor)) {
      const bool fits = is_world(tensor) ? tensor.dtype == DType::kU8 && format == kWorldFormat
                                         : tensor.dtype == DType::kF64 && format != kPlainFormat;
      if (!fits || tensor.shape.size() != 1) {
        return bad_data(fmt::format("{}: {} is no vector of a state", file.name(), internal::printable(tensor.name)));
      }
      if (tensor.offset != envelope.state_bytes) {
        return bad_data(
            fmt::format("{}: {} stands behind the model's tensors", file.name(), internal::printable(tensor.name)));
      }
      envelope.state_bytes += tensor.bytes;
      continue;
    }
    if (tensor.dtype != DType::kF32) {
      return bad_data(fmt::format("{}: tensor {} is {}, a checkpoint has F32", file.name(),
                                  internal::printable(tensor.name), to_string(tensor.dtype)));
    }
  }
  TRIBUTARY_ASSIGN_OR_RETURN(envelope.spec, model_spec(file));
  if (envelope.spec.fingerprint() != fingerprint) {
    return bad_data(fmt::format("{}: the tensors are not those the state was written for", file.name()));
  }
  return envelope;
}

// Before all bytes of tensors come the state's text and the names of its vectors; the model's names are in the spec.
Hasher begin_digest(const SafetensorsFile& file, const Envelope& envelope) {
  Hasher hasher;
  hasher.update(envelope.state_text);
  for (const SafetensorsTensor& tensor : file.tensors()) {
    if (is_state(tensor)) { hasher.update(tensor.name + "\n"); }
  }
  return hasher;
}

Status check_digest(const SafetensorsFile& file, const Envelope& envelope, const Digest& found) {
  return envelope.digest == found.hex()
             ? ok_status()
             : bad_data(fmt::format("{}: damaged: the digest of its content is {}, it was written with {}", file.name(),
                                    found.hex(), internal::printable(envelope.digest)));
}

// The first tensor in which two models differ, in words.
std::string difference(const ParameterSpec& stored, const ParameterSpec& wanted) {
  const std::size_t common = std::min(stored.tensors().size(), wanted.tensors().size());
  for (std::size_t i = 0; i < common; ++i) {
    const TensorSpec& a = stored.tensors()[i];
    const TensorSpec& b = wanted.tensors()[i];
    if (a != b) {
      return fmt::format("its tensor {} is {} {}, the model's is {} {}", i, internal::printable(a.name),
                         internal::shape_text(a.shape), internal::printable(b.name), internal::shape_text(b.shape));
    }
  }
  return fmt::format("it has {} tensors, the model {}", stored.tensors().size(), wanted.tensors().size());
}

}  // namespace

CheckpointStore::CheckpointStore(FileSystem& files, fs::path directory, std::uint32_t keep)
    : files_(files), directory_(std::move(directory)), keep_(std::max(keep, 1U)) {}

Status CheckpointStore::save(const ParameterSpec& spec, std::span<const float> values, const CheckpointState& state,
                             const SavedWorld& world) {
  TRIBUTARY_ASSIGN_OR_RETURN(std::vector<SafetensorsItem> items, model_items(spec, values));
  TRIBUTARY_ASSIGN_OR_RETURN(std::string text, state_text(spec, state));
  Hasher hasher;
  hasher.update(text);
  std::vector<SafetensorsItem> vectors;
  for (const auto& [name, vector] : state.snapshot.vectors) {
    hasher.update(std::string(kStatePrefix) + name + "\n");
    vectors.push_back({std::string(kStatePrefix) + name,
                       DType::kF64,
                       {static_cast<std::int64_t>(vector->size())},
                       std::as_bytes(std::span(*vector))});
  }
  std::vector<std::byte> padded;
  if (world) {
    padded = *world;
    padded.resize((padded.size() + kAlignment - 1) / kAlignment * kAlignment);
    hasher.update(fmt::format("{}{}\n", kStatePrefix, kWorld));
    vectors.push_back({fmt::format("{}{}", kStatePrefix, kWorld),
                       DType::kU8,
                       {static_cast<std::int64_t>(padded.size())},
                       std::as_bytes(std::span(padded))});
  }
  for (const SafetensorsItem& vector : vectors) { hasher.update(vector.bytes); }
  items.insert(items.begin(), vectors.begin(), vectors.end());
  hasher.update(std::as_bytes(values));

  const std::string_view format = world ? kWorldFormat : (vectors.empty() ? kPlainFormat : kFormat);
  SafetensorsMetadata metadata{{kFormatKey, std::string(format)}, {kDigestKey, hasher.finish().hex()}};
  metadata.emplace(kStateKey, std::move(text));
  add_kinds(spec, metadata);
  TRIBUTARY_RETURN_IF_ERROR(files_.create_directories(directory_));
  TRIBUTARY_RETURN_IF_ERROR(write_safetensors(files_, directory_ / file_name(state.round), items, metadata));
  remove_superseded(state.round);
  return ok_status();
}

void CheckpointStore::remove_superseded(Round newest) {
  const Result<std::vector<std::string>> names = files_.list(directory_);
  if (!names.ok()) { return; }
  std::vector<CheckpointFile> kept;
  for (const std::string& name : *names) {
    const std::optional<Round> round = round_of(name);
    const bool remains = is_temporary_name(name) && name.starts_with(fmt::format(".{}", kPrefix));
    if (remains || (round && *round > newest)) {
      static_cast<void>(files_.remove(directory_ / name));
    } else if (round) {
      kept.push_back({*round, directory_ / name});
    }
  }
  std::sort(kept.begin(), kept.end(), [](const auto& a, const auto& b) { return a.round > b.round; });
  for (std::size_t i = keep_; i < kept.size(); ++i) { static_cast<void>(files_.remove(kept[i].path)); }
}

Result<std::vector<CheckpointFile>> CheckpointStore::list() const {
  const Result<std::vector<std::string>> names = files_.list(directory_);
  if (!names.ok() && names.status().code() == Code::kNotFound) {
    TRIBUTARY_ASSIGN_OR_RETURN(const FileSystem::Kind kind, files_.kind(directory_));
    if (kind == FileSystem::Kind::kNothing) { return std::vector<CheckpointFile>{}; }
    return io_error(fmt::format(
        "cannot read the checkpoints in {}: it is not a directory, or a link that leads nowhere", directory_.string()));
  }
  if (!names.ok()) { return names.status(); }
  std::vector<CheckpointFile> found;
  for (const std::string& name : *names) {
    if (const std::optional<Round> round = round_of(name)) { found.push_back({*round, directory_ / name}); }
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.round < b.round; });
  return found;
}

Result<Checkpoint> CheckpointStore::load(const fs::path& path, const ParameterSpec& spec) const {
  TRIBUTARY_ASSIGN_OR_RETURN(const SafetensorsFile file, SafetensorsFile::open(files_, path));
  return internal::with_memory_guard(file.name(), [&]() -> Result<Checkpoint> {
    TRIBUTARY_ASSIGN_OR_RETURN(Envelope envelope, read_envelope(file));
    if (const std::optional<Round> named = round_of(path.filename().string());
        named && *named != envelope.state.round) {
      return bad_data(fmt::format("{}: its name says round {}, and its content round {}", file.name(), named->value,
                                  envelope.state.round.value));
    }
    if (envelope.spec != spec) {
      return invalid_argument(
          fmt::format("{}: a checkpoint of another model: {}", file.name(), difference(envelope.spec, spec)));
    }
    // Equal specs mean equal order, so that all values lie together as the model wants them.
    Checkpoint checkpoint{std::move(envelope.state), std::vector<float>(spec.parameters()), path, nullptr, {}};
    TRIBUTARY_RETURN_IF_ERROR(read_states(file, checkpoint.state.snapshot, checkpoint.world));
    TRIBUTARY_RETURN_IF_ERROR(file.read(envelope.state_bytes, std::as_writable_bytes(std::span(checkpoint.values))));
    Hasher hasher = begin_digest(file, envelope);
    for (const SafetensorsTensor& tensor : file.tensors()) {
      if (!is_state(tensor)) { continue; }
      if (is_world(tensor)) {
        hasher.update(*checkpoint.world);
        continue;
      }
      const Snapshot::Vector vector = checkpoint.state.snapshot.find(tensor.name.substr(kStatePrefix.size()));
      hasher.update(std::as_bytes(std::span(*vector)));
    }
    hasher.update(std::as_bytes(std::span(checkpoint.values)));
    TRIBUTARY_RETURN_IF_ERROR(check_digest(file, envelope, hasher.finish()));
    return checkpoint;
  });
}

Result<Checkpoint> CheckpointStore::load_latest(const ParameterSpec& spec, const Judge& judge) const {
  TRIBUTARY_ASSIGN_OR_RETURN(std::vector<CheckpointFile> found, list());
  if (found.empty()) { return not_found(fmt::format("there is no checkpoint in {}", directory_.string())); }
  std::vector<std::string> warnings;
  bool unreadable = true;  // all of them: nothing is known to be wrong with them
  for (auto file = found.rbegin(); file != found.rend(); ++file) {
    Result<Checkpoint> checkpoint = load(file->path, spec);
    if (!checkpoint.ok()) {
      // A name without a file is a link that leads nowhere: the checkpoint is lost, and the run is not a new one.
      const Code code = checkpoint.status().code();
      if (code != Code::kBadData && code != Code::kIo && code != Code::kNotFound) { return checkpoint.status(); }
      warnings.push_back(checkpoint.status().message());
      unreadable = unreadable && code == Code::kIo;
      continue;
    }
    const Status judged = judge ? judge(*checkpoint) : ok_status();
    if (!judged.ok()) {
      unreadable = false;
      warnings.push_back(fmt::format("{}: passed over: {}", file->path.string(), judged.message()));
      continue;
    }
    checkpoint->warnings = std::move(warnings);
    return checkpoint;
  }
  return Status(unreadable ? Code::kIo : Code::kBadData,
                fmt::format("no checkpoint in {} can be used:\n{}", directory_.string(), fmt::join(warnings, "\n")));
}

Status check_if_checkpoint(FileSystem& files, const fs::path& path) {
  const Result<SafetensorsFile> file = SafetensorsFile::open(files, path);
  if (!file.ok() || !file->metadata().contains(kFormatKey)) { return {}; }
  return inspect_checkpoint(files, path).status();
}

Result<CheckpointFacts> inspect_checkpoint(FileSystem& files, const fs::path& path) {
  TRIBUTARY_ASSIGN_OR_RETURN(const SafetensorsFile file, SafetensorsFile::open(files, path));
  return internal::with_memory_guard(file.name(), [&]() -> Result<CheckpointFacts> {
    TRIBUTARY_ASSIGN_OR_RETURN(Envelope envelope, read_envelope(file));
    Hasher hasher = begin_digest(file, envelope);
    std::vector<std::byte> buffer(std::min<std::uint64_t>(file.data_bytes(), std::uint64_t{1} << 20U));
    for (std::uint64_t offset = 0; offset < file.data_bytes(); offset += buffer.size()) {
      const std::uint64_t left = file.data_bytes() - offset;
      const std::span<std::byte> piece = std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), left));
      TRIBUTARY_RETURN_IF_ERROR(file.read(offset, piece));
      hasher.update(piece);
    }
    const Digest digest = hasher.finish();
    TRIBUTARY_RETURN_IF_ERROR(check_digest(file, envelope, digest));
    return CheckpointFacts{std::move(envelope.state), std::move(envelope.spec), digest, file.file_bytes()};
  });
}

}  // namespace tributary
