#include "data/shards/parquet_records.h"

#include <arrow/array.h>
#include <arrow/io/interfaces.h>
#include <arrow/memory_pool.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/metadata.h>
#include <parquet/properties.h>

#include <algorithm>
#include <exception>
#include <optional>
#include <stdexcept>
#include <utility>

#include "data/file.h"

namespace phalanx {
namespace {

constexpr int64_t kBatchBytes = int64_t{4} << 20;
// What a row takes is only known as a mean over its row group, and text that repeats (a dictionary)
// takes more memory than the file says.
constexpr int64_t kMaxBatchRows = 1024;
constexpr int64_t kReadAheadBytes = int64_t{1} << 20;

/// Our file as Arrow reads it. A failing read is kept, because Arrow passes on its text only.
class ArrowFile : public arrow::io::RandomAccessFile {
 public:
  explicit ArrowFile(const std::filesystem::path& path)
      : file_(File::open_read(path)), size_(file_.size()) {}

  arrow::Result<int64_t> GetSize() override { return size_; }
  arrow::Result<int64_t> Tell() const override { return position_; }
  bool closed() const override { return closed_; }
  arrow::Status Close() override {
    closed_ = true;
    return arrow::Status::OK();
  }
  arrow::Status Seek(int64_t position) override {
    if (position < 0) return arrow::Status::Invalid("a place before the file's beginning");
    position_ = position;
    return arrow::Status::OK();
  }

  // Less than asked for at the end of the file, as Arrow wants it.
  arrow::Result<int64_t> Read(int64_t num_bytes, void* out) override {
    const int64_t n = std::clamp<int64_t>(size_ - position_, 0, std::max<int64_t>(num_bytes, 0));
    try {
      file_.read_exact(position_, {static_cast<std::byte*>(out), static_cast<size_t>(n)});
    } catch (...) {
      failure_ = std::current_exception();
      return arrow::Status::IOError("read failed");
    }
    position_ += n;
    return n;
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t num_bytes) override {
    ARROW_ASSIGN_OR_RAISE(auto buffer,
                          arrow::AllocateResizableBuffer(num_bytes, arrow::system_memory_pool()));
    ARROW_ASSIGN_OR_RAISE(const int64_t n, Read(num_bytes, buffer->mutable_data()));
    ARROW_RETURN_NOT_OK(buffer->Resize(n));
    return std::shared_ptr<arrow::Buffer>(std::move(buffer));
  }

  const std::filesystem::path& path() const { return file_.path(); }
  /// Throws what a read threw, if one did.
  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  File file_;
  int64_t size_;
  int64_t position_ = 0;
  bool closed_ = false;
  std::exception_ptr failure_;
};

const arrow::DataType& value_type(const arrow::DataType& type) {
  return type.id() == arrow::Type::DICTIONARY
             ? *static_cast<const arrow::DictionaryType&>(type).value_type()
             : type;
}

bool holds_text(const arrow::DataType& type) {
  const arrow::Type::type id = value_type(type).id();
  return id == arrow::Type::STRING || id == arrow::Type::LARGE_STRING ||
         id == arrow::Type::STRING_VIEW;
}

std::optional<std::string_view> text_at(const arrow::Array& array, int64_t row) {
  if (array.IsNull(row)) return std::nullopt;
  switch (array.type_id()) {
    case arrow::Type::STRING:
      return static_cast<const arrow::StringArray&>(array).GetView(row);
    case arrow::Type::LARGE_STRING:
      return static_cast<const arrow::LargeStringArray&>(array).GetView(row);
    case arrow::Type::STRING_VIEW:
      return static_cast<const arrow::StringViewArray&>(array).GetView(row);
    case arrow::Type::DICTIONARY: {
      const auto& encoded = static_cast<const arrow::DictionaryArray&>(array);
      return text_at(*encoded.dictionary(), encoded.GetValueIndex(row));
    }
    default:
      throw std::logic_error("a column of " + array.type()->ToString() + " was taken for text");
  }
}

class ParquetChunk : public RecordChunk {
 public:
  ParquetChunk(std::shared_ptr<arrow::Array> column, int64_t rows_before, int64_t bytes)
      : column_(std::move(column)), rows_before_(rows_before), bytes_(bytes) {}

  void parse(const RecordVisitor& visit) const override {
    for (int64_t row = 0; row < column_->length(); ++row) {
      Record record;
      record.line = rows_before_ + row + 1;
      if (const auto text = text_at(*column_, row)) {
        record.text = *text;
      } else {
        record.problem = "expected a string, found null";
      }
      visit(record);
    }
  }
  int64_t bytes() const override { return bytes_; }

 private:
  std::shared_ptr<arrow::Array> column_;
  int64_t rows_before_;
  int64_t bytes_;
};

class ParquetReader : public RecordReader {
 public:
  ParquetReader(const std::filesystem::path& file, std::string column)
      : file_(std::make_shared<ArrowFile>(file)), column_(std::move(column)) {
    open();
    find_column();
  }

  std::unique_ptr<RecordChunk> next() override {
    while (true) {
      if (!batches_ && !begin_row_group()) return nullptr;
      std::shared_ptr<arrow::RecordBatch> batch;
      check(batches_->ReadNext(&batch), "rows that can be read");
      if (!batch) {
        batches_.reset();
        ++row_group_;
      } else if (batch->num_rows() > 0) {
        const std::shared_ptr<arrow::Array> rows = batch->column(0);
        const int64_t before = std::exchange(num_rows_, num_rows_ + rows->length());
        return std::make_unique<ParquetChunk>(rows, before, row_bytes_ * rows->length());
      }
    }
  }

 private:
  std::string place() const {
    if (!reader_) return file_->path().string();
    return fmt::format("{}: row group {}: column \"{}\"", file_->path().string(), row_group_,
                       column_);
  }

  void check(const arrow::Status& status, std::string_view expected) const {
    if (status.ok()) return;
    file_->rethrow();
    throw std::invalid_argument(
        fmt::format("{}: expected {}, found: {}", place(), expected, status.message()));
  }

  void open() {
    parquet::ReaderProperties file_properties(arrow::system_memory_pool());
    file_properties.enable_buffered_stream();
    file_properties.set_buffer_size(kReadAheadBytes);
    file_properties.set_page_checksum_verification(true);
    parquet::ArrowReaderProperties properties(/*use_threads=*/false);
    properties.set_pre_buffer(false);  // it would hold whole row groups
    parquet::arrow::FileReaderBuilder builder;
    check(builder.Open(file_, file_properties), "a whole Parquet file");
    std::unique_ptr<parquet::arrow::FileReader> reader;
    builder.memory_pool(arrow::system_memory_pool())->properties(properties);
    check(builder.Build(&reader), "a whole Parquet file");
    reader_ = std::move(reader);
  }

  void find_column() {
    std::string names;
    for (const parquet::arrow::SchemaField& field : reader_->manifest().schema_fields) {
      const arrow::Field& column = *field.field;
      names += fmt::format("{}{} ({})", names.empty() ? "" : ", ", column.name(),
                           column.type()->ToString());
      if (column.name() != column_ || !holds_text(*column.type())) continue;
      if (leaf_ >= 0) refuse_columns("one", "two of that name");
      leaf_ = field.column_index;
    }
    if (leaf_ < 0) refuse_columns("a column of strings", names.empty() ? "no columns" : names);
  }

  [[noreturn]] void refuse_columns(std::string_view expected, std::string_view found) const {
    throw std::invalid_argument(fmt::format("{}: column \"{}\": expected {}, found {}",
                                            file_->path().string(), column_, expected, found));
  }

  bool begin_row_group() {
    if (row_group_ == reader_->num_row_groups()) return false;
    const auto group = reader_->parquet_reader()->metadata()->RowGroup(row_group_);
    const int64_t rows = std::max<int64_t>(group->num_rows(), 1);
    row_bytes_ = std::max<int64_t>(group->ColumnChunk(leaf_)->total_uncompressed_size() / rows, 1);
    reader_->set_batch_size(std::clamp<int64_t>(kBatchBytes / row_bytes_, 1, kMaxBatchRows));
    auto batches = reader_->GetRecordBatchReader({row_group_}, {leaf_});
    check(batches.status(), "a row group that can be read");
    batches_ = std::move(batches).ValueUnsafe();
    return true;
  }

  std::shared_ptr<ArrowFile> file_;
  std::string column_;
  std::unique_ptr<parquet::arrow::FileReader> reader_;
  std::unique_ptr<arrow::RecordBatchReader> batches_;  // of row_group_; refers to reader_
  int leaf_ = -1;                                      // the column's number in the file
  int row_group_ = 0;
  int64_t row_bytes_ = 0;  // mean over the row group
  int64_t num_rows_ = 0;   // given so far
};

}  // namespace

std::unique_ptr<RecordReader> open_parquet_records(const std::filesystem::path& file,
                                                   const RecordFormat& format) {
  return std::make_unique<ParquetReader>(file, format.text_field);
}

}  // namespace phalanx
