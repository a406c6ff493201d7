// SPDX-License-Identifier: Apache-2.0
// Where records go besides the screen (console_sink.hpp): JSON Lines, CSV, several sinks at once, and how they come
// back.
//
// Life cycle: open(), write() per record, flush(); the destructor closes without a report of errors.
// Threads:    one at a time.
// Ownership:  the FileSystem outlives the sink.
// Errors:     kIo from the system. A record is in the file wholly or not at all: what a failed write left behind is cut
//             off again, as far as the system allows.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "tributary/base/file_system.hpp"
#include "tributary/base/status.hpp"
#include "tributary/run/record.hpp"

namespace tributary {

// A text file that grows line by line.
class JsonLinesSink final : public RecordSink {
 public:
  // Keeps the first `keep_bytes` of the file, as a checkpoint remembers them from bytes(), and continues after them;
  // 0 starts afresh. kBadData: the file is shorter, or a line does not end there.
  static Result<std::unique_ptr<JsonLinesSink>> open(FileSystem& files, std::filesystem::path path,
                                                     std::uint64_t keep_bytes = 0);

  // Whether open() could keep that much; changes nothing.
  static Status check(FileSystem& files, const std::filesystem::path& path, std::uint64_t keep_bytes);

  Status write(const Record& record) override;
  // Returns when the lines would survive a power cut.
  Status flush() override;
  // Length of the file: a place to continue from.
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

 private:
  JsonLinesSink(FileSystem& files, std::filesystem::path path, std::unique_ptr<WritableFile> file, std::uint64_t bytes);

  FileSystem& files_;
  std::filesystem::path path_;
  std::unique_ptr<WritableFile> file_;
  std::uint64_t bytes_;
};

// One row per `round` record, with the columns of record_catalog.hpp, for spreadsheets. Always starts afresh: to
// continue a run, write the records of its records.jsonl again.
class CsvSink final : public RecordSink {
 public:
  static Result<std::unique_ptr<CsvSink>> open(FileSystem& files, const std::filesystem::path& path);

  // Records of other events are passed over.
  Status write(const Record& record) override;
  Status flush() override;

 private:
  explicit CsvSink(std::unique_ptr<WritableFile> file);

  std::unique_ptr<WritableFile> file_;
};

// Hands each record to all sinks, in order. All get it even if one fails; the first error is returned.
class TeeSink final : public RecordSink {
 public:
  void add(std::unique_ptr<RecordSink> sink);
  // `sink` outlives this one.
  void add(RecordSink& sink);

  Status write(const Record& record) override;
  Status flush() override;

 private:
  std::vector<std::unique_ptr<RecordSink>> owned_;
  std::vector<RecordSink*> sinks_;
};

// The records of a JSON Lines file, in order. A last line without a line end is what a crash leaves and is passed over.
// kBadData names the line; so does a line of more than 16 MiB.
Result<std::vector<Record>> read_records(FileSystem& files, const std::filesystem::path& path);
// The same one by one, of the first `max_bytes`; stops at the first error of `each`.
Status for_each_record(FileSystem& files, const std::filesystem::path& path,
                       const std::function<Status(const Record&)>& each,
                       std::uint64_t max_bytes = std::numeric_limits<std::uint64_t>::max());

}  // namespace tributary
