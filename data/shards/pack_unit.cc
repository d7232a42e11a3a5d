#include "data/shards/pack_unit.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "data/file.h"
#include "data/shards/chunk_queue.h"
#include "data/shards/pack_run.h"
#include "data/shards/record_reader.h"
#include "data/utf8.h"

namespace phalanx {
namespace {

constexpr int64_t kMinChunkBytes = int64_t{64} << 10;
constexpr int64_t kMaxChunkBytes = int64_t{4} << 20;

/// Bytes of a file that have been read when `unpacked` bytes of records have come out of it: known
/// between the ends only where nothing is packed.
int64_t bytes_read(const PackInput& input, int64_t unpacked) {
  return packing_of(input.path) != Packing::kNone ? 0 : std::min(unpacked, input.bytes);
}

}  // namespace

void refuse_bad_line(const PackPlan& plan, const RejectedRecord& record, int64_t limit) {
  const std::string rule = limit == 0 ? ""
                                      : fmt::format(" (more than the {} bad line{} allowed)", limit,
                                                    limit == 1 ? "" : "s");
  throw std::invalid_argument(
      fmt::format("{}: {}{}", plan.place(record.file, record.line), record.problem, rule));
}

/// One unit under way, shared by the threads that work on it.
struct UnitEncoder::Task {
  const PackUnit& unit;
  std::filesystem::path folder;  // of the runs
  int64_t bad_allowed;           // in this unit
  ChunkQueue queue;
  std::mutex mutex;
  UnitRecord record;  // guarded by mutex, as all below
  std::exception_ptr failure;
  int num_runs = 0;

  void fail() {
    {
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
    queue.cancel();
  }
  std::filesystem::path new_run() {
    const std::lock_guard lock(mutex);
    return folder / fmt::format("run-{:04}", num_runs++);
  }
  void write(std::span<const RunBuffer* const> buffers) {
    const std::filesystem::path path = new_run();
    const WrittenFile written = write_run(path, buffers);
    const std::lock_guard lock(mutex);
    record.runs.push_back({path.filename().string(), written.bytes});
  }
};

/// What one tokenizing thread owns.
class UnitEncoder::Worker {
 public:
  Worker(const PackPlan& plan, const PackOptions& options, EncodeText encode)
      : plan_(plan),
        options_(options),
        encode_(std::move(encode)),
        buffer_(plan.token_type(), options.memory_bytes / 2 / options.num_threads) {}

  const RunBuffer& buffer() const { return buffer_; }
  void clear() { buffer_.clear(); }
  int64_t documents() const { return documents_; }
  int64_t text_bytes() const { return text_bytes_; }
  int64_t rejected() const { return rejected_; }

  void run(Task& task) {
    try {
      UnitRecord found;
      found.files.resize(static_cast<size_t>(task.unit.end_file - task.unit.first_file));
      while (const std::optional<QueuedChunk> item = task.queue.pop()) {
        item->chunk->parse([&](const Record& record) { take(task, found, item->file, record); });
      }
      buffer_.sort();
      add(task, found);
    } catch (...) {
      task.fail();
    }
  }

 private:
  void take(Task& task, UnitRecord& found, uint64_t file, const Record& record) {
    ++found.files[file - static_cast<uint64_t>(task.unit.first_file)].records;
    if (!record.problem.empty()) {
      reject(task, {file, record.line, std::string(record.problem)});
    } else if (record.text.empty()) {
      ++found.rejected_empty;
    } else if (const std::string byte = first_byte_not_utf8(record.text); !byte.empty()) {
      reject(task, {file, record.line, fmt::format("expected text in UTF-8, found {}", byte)});
    } else {
      add_document(task, found, file, record);
    }
  }

  void reject(Task& task, RejectedRecord record) {
    ++rejected_;
    const std::lock_guard lock(task.mutex);
    if (static_cast<int64_t>(task.record.rejected.size()) == task.bad_allowed) {
      refuse_bad_line(plan_, record, options_.max_bad_lines);
    }
    task.record.rejected.push_back(std::move(record));
  }

  void add_document(Task& task, UnitRecord& found, uint64_t file, const Record& record) {
    std::vector<int32_t> ids = encode_(record.text);
    check(ids, file, record.line);
    ids.push_back(plan_.end_of_document);
    if (static_cast<int64_t>(ids.size()) > plan_.options.shard_tokens) {
      return reject(task, {file, record.line, too_long(ids.size())});
    }
    RunEntry entry;
    entry.order = order_key(file, record.line, plan_.options.seed);
    entry.content_hash = document_content_hash(record.text);
    entry.text_bytes = static_cast<int64_t>(record.text.size());
    if (buffer_.is_full_for(ids.size())) spill(task);
    buffer_.add(entry, ids);
    ++found.num_documents;
    found.smallest_content = std::min(found.smallest_content, entry.content_hash);
    found.num_held_out +=
        falls_to_validation(entry.content_hash, plan_.options.validation_per_mille) ? 1 : 0;
    ++documents_;
    text_bytes_ += entry.text_bytes;
  }

  void spill(Task& task) {
    buffer_.sort();
    const RunBuffer* const buffer = &buffer_;
    task.write(std::span(&buffer, 1));
    buffer_.clear();
  }

  void check(const std::vector<int32_t>& ids, uint64_t file, int64_t line) const {
    for (const int32_t id : ids) {
      if (id < 0 || id >= plan_.vocab_size) {
        throw std::logic_error(fmt::format("{}: the tokenizer gave id {} of a vocabulary of {}",
                                           plan_.place(file, line), id, plan_.vocab_size));
      }
    }
  }

  std::string too_long(size_t length) const {
    return fmt::format(
        "expected at most {} tokens, the size of a shard, found {}: split the document or allow "
        "larger shards",
        plan_.options.shard_tokens, length);
  }

  static void add(Task& task, const UnitRecord& found) {
    const std::lock_guard lock(task.mutex);
    UnitRecord& sum = task.record;
    for (size_t i = 0; i < found.files.size(); ++i) sum.files[i].records += found.files[i].records;
    sum.num_documents += found.num_documents;
    sum.rejected_empty += found.rejected_empty;
    sum.num_held_out += found.num_held_out;
    sum.smallest_content = std::min(sum.smallest_content, found.smallest_content);
  }

  const PackPlan& plan_;
  const PackOptions& options_;
  EncodeText encode_;
  RunBuffer buffer_;
  std::atomic<int64_t> documents_ = 0, text_bytes_ = 0, rejected_ = 0;
};

UnitEncoder::UnitEncoder(const PackPlan& plan, const PackOptions& options,
                         const PackTokenizer& tokenizer)
    : plan_(plan),
      options_(options),
      chunk_bytes_(std::clamp(options.memory_bytes / (8 * options.num_threads), kMinChunkBytes,
                              kMaxChunkBytes)) {
  for (int i = 0; i < options.num_threads; ++i) {
    workers_.push_back(std::make_unique<Worker>(plan, options, tokenizer.make_encoder()));
  }
}

UnitEncoder::~UnitEncoder() = default;

void UnitEncoder::encode(const PackUnit& unit, int64_t bad_before,
                         const std::filesystem::path& folder, const ReportProgress& report) {
  Task task{.unit = unit,
            .folder = make_staging_folder(folder),
            .bad_allowed = std::max(int64_t{0}, options_.max_bad_lines - bad_before),
            .queue = ChunkQueue(options_.memory_bytes / 8),
            .mutex = {},
            .record = {},
            .failure = {}};
  for (int64_t i = unit.first_file; i < unit.end_file; ++i) {
    const PackInput& input = plan_.inputs[static_cast<size_t>(i)];
    task.record.files.push_back({input.bytes, input.mtime_ns, 0});
  }
  for (const auto& worker : workers_) worker->clear();
  {
    std::vector<std::jthread> threads;
    for (const auto& worker : workers_) threads.emplace_back([&] { worker->run(task); });
    try {
      read_files(task, report);
      task.queue.close();
    } catch (...) {
      task.fail();
    }
  }
  if (task.failure) std::rethrow_exception(task.failure);
  for (int64_t i = unit.first_file; i < unit.end_file; ++i) {
    check_unchanged(plan_.inputs[static_cast<size_t>(i)]);
  }
  write_records(task);
  commit_staging_folder(folder);
}

void UnitEncoder::read_files(Task& task, const ReportProgress& report) const {
  RecordFormat format;
  format.text_field = plan_.options.text_field;
  format.chunk_bytes = chunk_bytes_;
  format.format = plan_.options.format;
  int64_t finished = 0;
  for (int64_t i = task.unit.first_file; i < task.unit.end_file; ++i) {
    const PackInput& input = plan_.inputs[static_cast<size_t>(i)];
    const std::unique_ptr<RecordReader> reader = open_records(input.path, format);
    int64_t unpacked = 0;
    while (std::unique_ptr<RecordChunk> chunk = reader->next()) {
      unpacked += chunk->bytes();
      if (!task.queue.push({static_cast<uint64_t>(i), std::move(chunk)})) return;
      if (report) report(progress(finished + bytes_read(input, unpacked)));
    }
    finished += input.bytes;
    if (report) report(progress(finished));
  }
}

PackProgress UnitEncoder::progress(int64_t done) const {
  PackProgress progress;
  progress.done = done;
  for (const auto& worker : workers_) {
    progress.documents += worker->documents();
    progress.text_bytes += worker->text_bytes();
    progress.rejected += worker->rejected();
  }
  return progress;
}

void UnitEncoder::write_records(Task& task) {
  std::vector<const RunBuffer*> buffers;
  for (const auto& worker : workers_) {
    if (!worker->buffer().entries().empty()) buffers.push_back(&worker->buffer());
  }
  if (!buffers.empty()) task.write(buffers);
  std::sort(task.record.rejected.begin(), task.record.rejected.end(),
            [](const RejectedRecord& a, const RejectedRecord& b) {
              return std::pair(a.file, a.line) < std::pair(b.file, b.line);
            });
  commit_unit_record(task.folder, task.record);
}

}  // namespace phalanx
