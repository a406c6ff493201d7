// SPDX-License-Identifier: Apache-2.0
#include "report/report.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string_view>
#include <system_error>

#include "report/report_page.hpp"
#include "report/run_data.hpp"
#include "tributary/base/file_system.hpp"
#include "tributary/run/record_sinks.hpp"

namespace tributary::cli {
namespace {

Status fill_csv(FileSystem& files, const std::filesystem::path& records, const std::filesystem::path& csv) {
  TRIBUTARY_ASSIGN_OR_RETURN(const std::unique_ptr<CsvSink> sink, CsvSink::open(files, csv));
  TRIBUTARY_RETURN_IF_ERROR(
      for_each_record(files, records, [&sink](const Record& record) { return sink->write(record); }));
  return sink->flush();
}

}  // namespace

Status write_report(const std::filesystem::path& run_directory, const std::filesystem::path& file) {
  FileSystem& files = real_file_system();
  TRIBUTARY_ASSIGN_OR_RETURN(const RunData data, read_run(files, run_directory));
  return write_atomically(files, file, report_page(data));
}

Status write_csv(const std::filesystem::path& run_directory) {
  FileSystem& files = real_file_system();
  const std::filesystem::path temporary = run_directory / fmt::format(".records.csv.{}-0.tmp", ::getpid());
  Status written = fill_csv(files, run_directory / "records.jsonl", temporary);
  if (written.ok()) { written = files.rename(temporary, run_directory / "records.csv"); }
  if (!written.ok()) {
    // What went wrong first is the message worth giving.
    static_cast<void>(files.remove(temporary));
    return written;
  }
  return files.sync_directory(run_directory);
}

Status write_presentations(const Configuration& configuration, const std::filesystem::path& run_directory) {
  if (configuration.output.csv) { TRIBUTARY_RETURN_IF_ERROR(write_csv(run_directory)); }
  if (configuration.output.report) {
    TRIBUTARY_RETURN_IF_ERROR(write_report(run_directory, run_directory / "report.html"));
  }
  return {};
}

Status complete_presentations(const Configuration& configuration, const std::filesystem::path& run_directory) {
  // What was written when the run was interrupted is older than the records of its end.
  std::error_code ignored;
  const auto recorded = std::filesystem::last_write_time(run_directory / "records.jsonl", ignored);
  const auto shows_the_end = [&](std::string_view file) {
    std::error_code missing;
    const auto written = std::filesystem::last_write_time(run_directory / file, missing);
    return !missing && written >= recorded;
  };
  const bool complete = (!configuration.output.csv || shows_the_end("records.csv")) &&
                        (!configuration.output.report || shows_the_end("report.html"));
  return complete ? ok_status() : write_presentations(configuration, run_directory);
}

}  // namespace tributary::cli
