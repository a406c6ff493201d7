// SPDX-License-Identifier: Apache-2.0
#include "tributary/run/record_sinks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "record_catalog.hpp"

namespace tributary {
namespace {

constexpr std::size_t kMaxLineBytes = std::size_t{16} << 20U;
constexpr std::size_t kChunkBytes = std::size_t{256} << 10U;
constexpr std::string_view kCsvEvent = "round";

Status write_text(WritableFile& file, std::string_view text) {
  const std::span<const std::byte> part = std::as_bytes(std::span(text));
  return file.write({&part, 1});
}

std::string csv_text(std::string_view text) {
  if (text.find_first_of("\",\r\n") == std::string_view::npos) { return std::string(text); }
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') { out += '"'; }
    out += c;
  }
  out += '"';
  return out;
}

struct CsvCell {
  std::string operator()(std::int64_t value) const { return fmt::format("{}", value); }
  std::string operator()(std::uint64_t value) const { return fmt::format("{}", value); }
  std::string operator()(double value) const { return std::isfinite(value) ? fmt::format("{}", value) : std::string(); }
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(const std::string& value) const { return csv_text(value); }
  std::string operator()(const std::vector<double>& value) const {
    return csv_text(fmt::format("{}", fmt::join(value, " ")));
  }
};

}  // namespace

JsonLinesSink::JsonLinesSink(FileSystem& files, std::filesystem::path path, std::unique_ptr<WritableFile> file,
                             std::uint64_t bytes)
    : files_(files), path_(std::move(path)), file_(std::move(file)), bytes_(bytes) {}

Status JsonLinesSink::check(FileSystem& files, const std::filesystem::path& path, std::uint64_t keep_bytes) {
  if (keep_bytes == 0) { return ok_status(); }
  TRIBUTARY_ASSIGN_OR_RETURN(const std::unique_ptr<ReadableFile> old, files.open(path));
  if (old->size() < keep_bytes) {
    return bad_data(fmt::format("{}: has {} bytes, the checkpoint to continue from was written after {}", path.string(),
                                old->size(), keep_bytes));
  }
  std::byte last{};
  TRIBUTARY_RETURN_IF_ERROR(old->read(keep_bytes - 1, {&last, 1}));
  if (last != std::byte{'\n'}) {
    return bad_data(fmt::format("{}: no line ends at byte {}, where the checkpoint to continue from says",
                                path.string(), keep_bytes));
  }
  return ok_status();
}

Result<std::unique_ptr<JsonLinesSink>> JsonLinesSink::open(FileSystem& files, std::filesystem::path path,
                                                           std::uint64_t keep_bytes) {
  TRIBUTARY_RETURN_IF_ERROR(check(files, path, keep_bytes));
  TRIBUTARY_ASSIGN_OR_RETURN(const FileSystem::Kind kind, files.kind(path));
  // The file that a broken link names is made by append().
  if (kind != FileSystem::Kind::kNothing && kind != FileSystem::Kind::kBrokenLink) {
    TRIBUTARY_RETURN_IF_ERROR(files.truncate(path, keep_bytes));
  }
  TRIBUTARY_ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, files.append(path));
  // Checkpoints count on the file: its name must survive what its lines do.
  if (kind == FileSystem::Kind::kNothing) { TRIBUTARY_RETURN_IF_ERROR(files.sync_directory(path.parent_path())); }
  return std::unique_ptr<JsonLinesSink>(new JsonLinesSink(files, std::move(path), std::move(file), keep_bytes));
}

Status JsonLinesSink::write(const Record& record) {
  std::string line = record.to_json();
  line += '\n';
  if (Status status = write_text(*file_, line); !status.ok()) {
    // Best effort: the error that matters is the one above.
    static_cast<void>(files_.truncate(path_, bytes_).ok());
    return status;
  }
  bytes_ += line.size();
  return ok_status();
}

Status JsonLinesSink::flush() {
  return file_->sync();
}

CsvSink::CsvSink(std::unique_ptr<WritableFile> file) : file_(std::move(file)) {}

Result<std::unique_ptr<CsvSink>> CsvSink::open(FileSystem& files, const std::filesystem::path& path) {
  TRIBUTARY_ASSIGN_OR_RETURN(const FileSystem::Kind kind, files.kind(path));
  if (kind != FileSystem::Kind::kNothing && kind != FileSystem::Kind::kBrokenLink) {
    TRIBUTARY_RETURN_IF_ERROR(files.truncate(path, 0));
  }
  TRIBUTARY_ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, files.append(path));
  std::string header;
  for (const FieldInfo& field : find_event(kCsvEvent)->fields) {
    if (!header.empty()) { header += ','; }
    header += field.name;
  }
  header += '\n';
  TRIBUTARY_RETURN_IF_ERROR(write_text(*file, header));
  return std::unique_ptr<CsvSink>(new CsvSink(std::move(file)));
}

Status CsvSink::write(const Record& record) {
  if (record.event() != kCsvEvent) { return ok_status(); }
  std::string row;
  bool first = true;
  for (const FieldInfo& field : find_event(kCsvEvent)->fields) {
    if (!std::exchange(first, false)) { row += ','; }
    if (const Record::Value* value = record.find(field.name)) { row += std::visit(CsvCell{}, *value); }
  }
  row += '\n';
  return write_text(*file_, row);
}

Status CsvSink::flush() {
  return file_->sync();
}

void TeeSink::add(std::unique_ptr<RecordSink> sink) {
  sinks_.push_back(sink.get());
  owned_.push_back(std::move(sink));
}

void TeeSink::add(RecordSink& sink) {
  sinks_.push_back(&sink);
}

Status TeeSink::write(const Record& record) {
  Status first;
  for (RecordSink* sink : sinks_) {
    if (Status status = sink->write(record); first.ok()) { first = std::move(status); }
  }
  return first;
}

Status TeeSink::flush() {
  Status first;
  for (RecordSink* sink : sinks_) {
    if (Status status = sink->flush(); first.ok()) { first = std::move(status); }
  }
  return first;
}

Status for_each_record(FileSystem& files, const std::filesystem::path& path,
                       const std::function<Status(const Record&)>& each, std::uint64_t max_bytes) {
  TRIBUTARY_ASSIGN_OR_RETURN(const std::unique_ptr<ReadableFile> file, files.open(path));
  const std::uint64_t size = std::min(file->size(), max_bytes);
  std::string pending;
  std::uint64_t line_number = 0;
  for (std::uint64_t offset = 0; offset < size;) {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(kChunkBytes, size - offset));
    const std::size_t kept = pending.size();
    pending.resize(kept + count);
    TRIBUTARY_RETURN_IF_ERROR(file->read(offset, std::as_writable_bytes(std::span(pending).subspan(kept))));
    offset += count;
    std::size_t start = 0;
    for (std::size_t end = pending.find('\n', kept); end != std::string::npos; end = pending.find('\n', start)) {
      ++line_number;
      const Result<Record> record = Record::from_json(std::string_view(pending).substr(start, end - start));
      if (!record.ok()) { return record.status().with_context(fmt::format("{}:{}", path.string(), line_number)); }
      TRIBUTARY_RETURN_IF_ERROR(each(*record));
      start = end + 1;
    }
    pending.erase(0, start);
    if (pending.size() > kMaxLineBytes) {
      return bad_data(
          fmt::format("{}:{}: a line of more than {} bytes", path.string(), line_number + 1, kMaxLineBytes));
    }
  }
  return ok_status();
}

Result<std::vector<Record>> read_records(FileSystem& files, const std::filesystem::path& path) {
  std::vector<Record> records;
  TRIBUTARY_RETURN_IF_ERROR(for_each_record(files, path, [&records](const Record& record) {
    records.push_back(record);
    return ok_status();
  }));
  return records;
}

}  // namespace tributary
