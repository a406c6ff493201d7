// SPDX-License-Identifier: Apache-2.0
#include "tributary/run/run_inputs.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "tributary/base/digest.hpp"
#include "tributary/data/load_dataset.hpp"

namespace tributary {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kBuffer = std::uint64_t{1} << 20U;

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

// As the system looks for a program that is named without a slash.
std::optional<fs::path> on_the_path(const std::string& program, const fs::path& working_directory) {
  const char* const path = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe): only read
  for (std::string_view rest = path == nullptr ? "/bin:/usr/bin" : path;;) {
    const std::size_t colon = rest.find(':');
    fs::path candidate = working_directory / rest.substr(0, colon) / program;
    if (is_file(candidate) && ::access(candidate.c_str(), X_OK) == 0) { return candidate; }
    if (colon == std::string_view::npos) { return std::nullopt; }
    rest.remove_prefix(colon + 1);
  }
}

class Collector {
 public:
  explicit Collector(const Configuration& configuration) : configuration_(configuration) {}

  void add(std::string key, const std::string& file, bool may_be_written = false) {
    if (!file.empty()) { add_path(std::move(key), configuration_.resolve(file), may_be_written); }
  }

  void add_data() {
    const DataConfig& data = configuration_.data;
    switch (data.source) {
      case DataConfig::Source::kFashionMnist:
        for (const char* const name : {"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz",
                                       "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"}) {
          add_path(fmt::format("data.directory/{}", name), fashion_mnist_directory(configuration_) / name);
        }
        break;
      case DataConfig::Source::kIdx:
        add("data.train_images", data.train_images);
        add("data.train_labels", data.train_labels);
        add("data.test_images", data.test_images);
        add("data.test_labels", data.test_labels);
        break;
      case DataConfig::Source::kCsv:
      case DataConfig::Source::kSafetensors:
        add("data.train", data.train);
        add("data.test", data.test);
        break;
      case DataConfig::Source::kSynthetic:
      case DataConfig::Source::kNone:
        break;
    }
  }

  void add_command() {
    const std::vector<std::string>& words = configuration_.trainer.command;
    for (std::size_t i = 0; i < words.size(); ++i) {
      const std::string key = fmt::format("trainer.command[{}]", i);
      if (i == 0 && words[i].find('/') == std::string::npos) {
        const auto program = on_the_path(words[i], configuration_.base_directory);
        if (program) { add_path(key, *program, true); }
        continue;
      }
      add(key, words[i], true);
      // --settings=FILE
      if (const std::size_t equals = words[i].find('='); equals != std::string::npos) {
        add(key, words[i].substr(equals + 1), true);
      }
    }
  }

  [[nodiscard]] std::vector<InputFile> found() && { return std::move(found_); }

 private:
  void add_path(std::string key, fs::path path, bool may_be_written = false) {
    if (is_file(path)) { found_.push_back(input_file(std::move(key), std::move(path), may_be_written)); }
  }

  const Configuration& configuration_;
  std::vector<InputFile> found_;
};

InputFile::State state_of(const fs::path& path) {
  std::error_code ignored;
  struct stat facts{};
  InputFile::State state{fs::file_size(path, ignored), fs::last_write_time(path, ignored), 0};
  if (::stat(path.c_str(), &facts) == 0) { state.number = facts.st_ino; }
  return state;
}

std::string digest_text(FileSystem& files, const fs::path& path, const std::atomic<bool>& stop) {
  const Result<std::unique_ptr<ReadableFile>> file = files.open(path);
  if (!file.ok()) { return "not readable"; }
  const std::uint64_t size = (*file)->size();
  std::vector<std::byte> buffer(std::min(kBuffer, size));
  Hasher hasher;
  for (std::uint64_t offset = 0; offset < size && !stop.load(); offset += buffer.size()) {
    const auto part = std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), size - offset));
    if (!(*file)->read(offset, part).ok()) { return "not readable"; }
    hasher.update(part);
  }
  return fmt::format("{} bytes, SHA-256 {}", size, hasher.finish().hex());
}

}  // namespace

bool InputFile::has_changed() const {
  return state_of(path) != found;
}

InputFile input_file(std::string key, fs::path path, bool may_be_written) {
  const InputFile::State state = state_of(path);
  return {std::move(key), std::move(path), may_be_written, state};
}

std::vector<InputFile> input_files(const Configuration& configuration) {
  Collector collector(configuration);
  collector.add_data();
  collector.add("model.torchscript", configuration.model.torchscript);
  collector.add("model.initial", configuration.model.initial);
  collector.add("trainer.library", configuration.trainer.library);
  collector.add("simulation.devices.trace", configuration.simulation.devices.trace);
  collector.add_command();
  return std::move(collector).found();
}

InputDigests::InputDigests(FileSystem& files, std::vector<InputFile> inputs) : inputs_(std::move(inputs)) {
  std::ranges::copy_if(inputs_, std::back_inserter(watched_), &InputFile::may_be_written);
  // Where no thread can be had, the digests are made when they are asked for.
  work_ = std::async(std::launch::async | std::launch::deferred, [this, &files] {
    Texts texts;
    for (const InputFile& input : inputs_) {
      if (stop_.load()) { break; }
      texts[input.key] = digest_text(files, input.path, stop_);
      if (changed_.empty() && !input.may_be_written && input.has_changed()) {
        changed_ = fmt::format("{} ({})", input.key, input.path.string());
      }
    }
    return texts;
  });
}

InputDigests::~InputDigests() {
  stop_ = true;
}

const InputDigests::Texts& InputDigests::texts() {
  if (work_.valid()) { texts_ = work_.get(); }
  return texts_;
}

std::string InputDigests::changes_since(const Texts& earlier) {
  const Texts& now = texts();
  std::string changes;
  for (const auto& [key, text] : earlier) {
    const auto found = now.find(key);
    if (found != now.end() && found->second == text) { continue; }
    const auto input =
        std::find_if(inputs_.begin(), inputs_.end(), [&key = key](const InputFile& file) { return file.key == key; });
    const std::string where = input == inputs_.end() ? std::string() : fmt::format(" ({})", input->path.string());
    changes += fmt::format("{}{}{} has changed: it was {}, it is {}", changes.empty() ? "" : "\n", key, where, text,
                           found == now.end() ? "not there" : found->second);
  }
  return changes;
}

void InputDigests::keep_only(const Texts& earlier) {
  static_cast<void>(texts());
  std::erase_if(texts_, [&earlier](const auto& text) { return !earlier.contains(text.first); });
  std::erase_if(watched_, [&earlier](const InputFile& input) { return !earlier.contains(input.key); });
}

std::vector<InputFile> InputDigests::forget_changed() {
  std::vector<InputFile> changed;
  std::erase_if(watched_, [&changed](const InputFile& input) {
    if (!input.has_changed()) { return false; }
    changed.push_back(input);
    return true;
  });
  if (changed.empty()) { return changed; }
  static_cast<void>(texts());
  for (const InputFile& input : changed) { texts_.erase(input.key); }
  return changed;
}

Status InputDigests::check_unchanged() {
  static_cast<void>(texts());
  if (changed_.empty()) { return {}; }
  return bad_data(changed_ + " has changed while it was read, so nobody knows what the run trains on; start it again");
}

}  // namespace tributary
