// SPDX-License-Identifier: Apache-2.0
#include "tributary/run/record_sinks.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace tributary {
namespace {

namespace fs = std::filesystem;

class RecordSinks : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "tributary-records-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { fs::remove_all(directory_); }

  [[nodiscard]] fs::path path(const char* name) const { return directory_ / name; }
  [[nodiscard]] static std::string content(const fs::path& file) {
    std::ostringstream text;
    text << std::ifstream(file).rdbuf();
    return text.str();
  }
  static void put(const fs::path& file, std::string_view text) { std::ofstream(file) << text; }

  FileSystem& files_ = real_file_system();
  fs::path directory_;
};

Record round_record(int round) {
  Record record("round");
  record.set("round", round).set("accuracy", 0.5);
  return record;
}

// Remembers what it was given, and fails on demand.
class MemorySink final : public RecordSink {
 public:
  Status write(const Record& record) override {
    records.push_back(record);
    return failure;
  }
  Status flush() override { return failure; }

  std::vector<Record> records;
  Status failure;
};

TEST_F(RecordSinks, JsonLinesComeBackAsTheyWereWritten) {
  auto sink = JsonLinesSink::open(files_, path("records.jsonl"));
  ASSERT_TRUE(sink.ok());
  ASSERT_TRUE((*sink)->write(round_record(1)).ok());
  ASSERT_TRUE((*sink)->write(round_record(2)).ok());
  ASSERT_TRUE((*sink)->flush().ok());

  const auto records = read_records(files_, path("records.jsonl"));

  ASSERT_TRUE(records.ok());
  EXPECT_EQ(*records, (std::vector<Record>{round_record(1), round_record(2)}));
  EXPECT_EQ((*sink)->bytes(), fs::file_size(path("records.jsonl")));
}

TEST_F(RecordSinks, ResumingCutsOffWhatWasWrittenAfterTheCheckpoint) {
  std::uint64_t checkpoint = 0;
  {
    auto sink = JsonLinesSink::open(files_, path("records.jsonl"));
    ASSERT_TRUE((*sink)->write(round_record(1)).ok());
    checkpoint = (*sink)->bytes();
    ASSERT_TRUE((*sink)->write(round_record(2)).ok());
  }

  auto resumed = JsonLinesSink::open(files_, path("records.jsonl"), checkpoint);
  ASSERT_TRUE(resumed.ok()) << resumed.status().to_string();
  ASSERT_TRUE((*resumed)->write(round_record(20)).ok());

  EXPECT_EQ(*read_records(files_, path("records.jsonl")), (std::vector<Record>{round_record(1), round_record(20)}));
}

TEST_F(RecordSinks, AFreshStartRemovesOldRecords) {
  put(path("records.jsonl"), "old\n");

  auto sink = JsonLinesSink::open(files_, path("records.jsonl"));

  ASSERT_TRUE(sink.ok());
  EXPECT_EQ(content(path("records.jsonl")), "");
}

TEST_F(RecordSinks, ResumingIsRefusedWhereNoLineEndsOrTheFileIsShorter) {
  put(path("records.jsonl"), "0123456\n");

  const auto inside = JsonLinesSink::open(files_, path("records.jsonl"), 4);
  const auto beyond = JsonLinesSink::open(files_, path("records.jsonl"), 9);
  const auto missing = JsonLinesSink::open(files_, path("none.jsonl"), 9);

  EXPECT_EQ(inside.status().code(), Code::kBadData);
  EXPECT_EQ(beyond.status().code(), Code::kBadData);
  EXPECT_EQ(missing.status().code(), Code::kNotFound);
  EXPECT_EQ(content(path("records.jsonl")), "0123456\n") << "a refused file must stay as it was";
}

TEST_F(RecordSinks, CheckingWhatCouldBeKeptChangesNothing) {
  put(path("records.jsonl"), "first\nsecond\n");

  EXPECT_TRUE(JsonLinesSink::check(files_, path("records.jsonl"), 6).ok());
  EXPECT_TRUE(JsonLinesSink::check(files_, path("none.jsonl"), 0).ok());
  EXPECT_EQ(JsonLinesSink::check(files_, path("records.jsonl"), 5).code(), Code::kBadData);
  EXPECT_EQ(JsonLinesSink::check(files_, path("records.jsonl"), 99).code(), Code::kBadData);
  EXPECT_EQ(content(path("records.jsonl")), "first\nsecond\n");
}

TEST_F(RecordSinks, AsManyRecordsAreReadAsTheBytesHold) {
  const std::string line = round_record(1).to_json() + "\n";
  put(path("records.jsonl"), line + line + "nonsense that is not looked at\n");
  int seen = 0;

  const Status status = for_each_record(
      files_, path("records.jsonl"),
      [&seen](const Record&) {
        ++seen;
        return ok_status();
      },
      2 * line.size());

  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(seen, 2);
}

TEST_F(RecordSinks, ALastLineCutOffByACrashIsPassedOver) {
  put(path("records.jsonl"), round_record(1).to_json() + "\n" + R"({"schema":1,"ev)");

  const auto records = read_records(files_, path("records.jsonl"));

  ASSERT_TRUE(records.ok());
  EXPECT_EQ(*records, std::vector<Record>{round_record(1)});
}

TEST_F(RecordSinks, ADamagedLineIsNamedByItsNumber) {
  put(path("records.jsonl"), round_record(1).to_json() + "\nnonsense\n");

  const Status status = read_records(files_, path("records.jsonl")).status();

  EXPECT_EQ(status.code(), Code::kBadData);
  EXPECT_NE(status.message().find("records.jsonl:2: a record is not JSON"), std::string::npos) << status.message();
}

TEST_F(RecordSinks, LinesLongerThanOneReadAreJoined) {
  Record large("labels");
  large.set("counts", std::vector<double>(200'000, 1234.5));
  auto sink = JsonLinesSink::open(files_, path("records.jsonl"));
  ASSERT_TRUE((*sink)->write(large).ok());
  ASSERT_TRUE((*sink)->write(round_record(1)).ok());

  const auto records = read_records(files_, path("records.jsonl"));

  ASSERT_TRUE(records.ok());
  EXPECT_EQ(*records, (std::vector<Record>{large, round_record(1)}));
}

TEST_F(RecordSinks, CsvHasOneRowPerRoundAndEmptyCellsForWhatIsAbsent) {
  auto sink = CsvSink::open(files_, path("records.csv"));
  Record abandoned("round");
  abandoned.set("round", 2).set("outcome", "abandoned, \"alas\"");
  ASSERT_TRUE((*sink)->write(Record("run").set("name", "ignored")).ok());
  ASSERT_TRUE((*sink)->write(round_record(1)).ok());
  ASSERT_TRUE((*sink)->write(abandoned).ok());

  std::istringstream lines(content(path("records.csv")));
  std::string header;
  std::string first;
  std::string second;
  std::string third;
  std::getline(lines, header);
  std::getline(lines, first);
  std::getline(lines, second);

  EXPECT_EQ(header.substr(0, 30), "round,version,outcome,seconds,");
  EXPECT_EQ(first.substr(0, 4), "1,,,");
  EXPECT_NE(first.find(",0.5,"), std::string::npos);
  EXPECT_EQ(second.substr(0, 28), R"(2,,"abandoned, ""alas""",,,,)");
  EXPECT_FALSE(std::getline(lines, third));
}

TEST(TeeSink, EverySinkGetsEveryRecordAndTheFirstErrorIsReturned) {
  MemorySink failing;
  MemorySink healthy;
  failing.failure = io_error("disk full");
  TeeSink tee;
  tee.add(failing);
  tee.add(healthy);

  const Status status = tee.write(round_record(1));

  EXPECT_EQ(status, io_error("disk full"));
  EXPECT_EQ(tee.flush(), io_error("disk full"));
  EXPECT_EQ(healthy.records, std::vector<Record>{round_record(1)});
}

// A file that takes only half of what it is given.
class FullDisk final : public WritableFile {
 public:
  explicit FullDisk(std::unique_ptr<WritableFile> file) : file_(std::move(file)) {}
  Status write(ByteSpans parts) override {
    const std::span<const std::byte> half = parts.front().subspan(0, parts.front().size() / 2);
    EXPECT_TRUE(file_->write({&half, 1}).ok());
    return io_error("cannot write records.jsonl: No space left on device");
  }
  Status sync() override { return file_->sync(); }
  Status close() override { return file_->close(); }

 private:
  std::unique_ptr<WritableFile> file_;
};

class FullFileSystem final : public FileSystem {
 public:
  explicit FullFileSystem(FileSystem& real) : real_(real) {}
  Result<Kind> kind(const fs::path& path) override { return real_.kind(path); }
  Result<std::unique_ptr<ReadableFile>> open(const fs::path& path) override { return real_.open(path); }
  Result<std::unique_ptr<WritableFile>> create(const fs::path& path, const fs::path& shown_as) override {
    return real_.create(path, shown_as);
  }
  Result<std::unique_ptr<WritableFile>> append(const fs::path& path) override {
    TRIBUTARY_ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, real_.append(path));
    return std::unique_ptr<WritableFile>(std::make_unique<FullDisk>(std::move(file)));
  }
  Status truncate(const fs::path& path, std::uint64_t size) override { return real_.truncate(path, size); }
  Status rename(const fs::path& from, const fs::path& to) override { return real_.rename(from, to); }
  Status remove(const fs::path& path) override { return real_.remove(path); }
  Result<std::vector<std::string>> list(const fs::path& directory) override { return real_.list(directory); }
  Status create_directories(const fs::path& directory) override { return real_.create_directories(directory); }
  Status sync_directory(const fs::path& directory) override { return real_.sync_directory(directory); }
  Result<LockAttempt> lock(const fs::path& path, std::string_view text) override { return real_.lock(path, text); }

 private:
  FileSystem& real_;
};

TEST_F(RecordSinks, AFullDiskLeavesNoHalfLineBehind) {
  const std::string old = round_record(1).to_json() + "\n";
  put(path("records.jsonl"), old);
  FullFileSystem full(files_);
  auto sink = JsonLinesSink::open(full, path("records.jsonl"), old.size());
  ASSERT_TRUE(sink.ok());

  const Status status = (*sink)->write(round_record(2));

  EXPECT_EQ(status.code(), Code::kIo);
  EXPECT_EQ(content(path("records.jsonl")), old);
}

}  // namespace
}  // namespace tributary
