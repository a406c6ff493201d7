// SPDX-License-Identifier: Apache-2.0
#include "report.hpp"

#include <memory>

#include "report_page.hpp"
#include "run_data.hpp"
#include "tributary/core/file_system.hpp"
#include "tributary/core/record_sinks.hpp"

namespace tributary::cli {

Status write_report(const std::filesystem::path& run_directory, const std::filesystem::path& file) {
  FileSystem& files = real_file_system();
  TRIBUTARY_ASSIGN_OR_RETURN(const RunData data, read_run(files, run_directory));
  return write_atomically(files, file, report_page(data));
}

Status write_csv(const std::filesystem::path& run_directory) {
  FileSystem& files = real_file_system();
  TRIBUTARY_ASSIGN_OR_RETURN(const std::unique_ptr<CsvSink> sink, CsvSink::open(files, run_directory / "records.csv"));
  TRIBUTARY_RETURN_IF_ERROR(for_each_record(files, run_directory / "records.jsonl",
                                            [&sink](const Record& record) { return sink->write(record); }));
  return sink->flush();
}

}  // namespace tributary::cli
