#include "data/shards/pack_dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <span>
#include <stdexcept>
#include <thread>
#include <utility>

#include "data/file.h"
#include "data/shards/document_source.h"
#include "data/shards/input_paths.h"
#include "data/shards/pack_plan.h"
#include "data/shards/part_writer.h"

namespace phalanx {
namespace {

// Enough work for every thread, small enough to hold text and tokens of one batch in memory.
constexpr int64_t kBatchBytes = int64_t{16} << 20;
constexpr int64_t kReadingProgressDocuments = 1000;

using Progress = std::function<void(const PackProgress&)>;

struct Inputs {
  std::vector<PlannedDocument> documents;
  PackingRecord record;
};

struct EncodedDocument {
  int64_t text_bytes = 0;
  std::vector<int32_t> tokens;
};

void check_options(const PackOptions& options, const PackTokenizer& tokenizer) {
  const auto check = [](bool good, const char* field, auto expected, auto found) {
    if (good) return;
    throw std::invalid_argument(fmt::format("{}: expected {}, found {}", field, expected, found));
  };
  check(options.validation_per_mille >= 0 && options.validation_per_mille <= 500,
        "validation fraction", "0 to 500 per mille", options.validation_per_mille);
  check(options.shard_tokens >= 1 && options.shard_tokens <= int64_t{1} << 40, "shard tokens",
        "1 to 2^40", options.shard_tokens);
  check(options.num_threads >= 1, "threads", "at least 1", options.num_threads);
  check(tokenizer.vocab_size >= 1 && tokenizer.vocab_size <= INT32_MAX, "vocabulary size",
        "1 to 2^31 - 1", tokenizer.vocab_size);
  check(tokenizer.end_of_document >= 0 && tokenizer.end_of_document < tokenizer.vocab_size,
        "end-of-document token",
        fmt::format("an id below the vocabulary's {}", tokenizer.vocab_size),
        tokenizer.end_of_document);
  if (std::filesystem::exists(options.output)) {
    throw std::invalid_argument(
        fmt::format("output {}: expected a new folder, found one that is there already: choose "
                    "another or remove it",
                    options.output.string()));
  }
}

DocumentSource open_inputs(const PackOptions& options, std::vector<size_t>& pattern_of_file,
                           PackingRecord& record) {
  std::vector<std::filesystem::path> files;
  for (const std::string& pattern : options.inputs) record.inputs.push_back({pattern, 0, 0, 0});
  for (const InputFile& input : expand_inputs(options.inputs)) {
    files.push_back(input.path);
    pattern_of_file.push_back(input.pattern);
    ++record.inputs[input.pattern].num_files;
    record.inputs[input.pattern].bytes += File::open_read(input.path).size();
  }
  return DocumentSource(std::move(files));
}

Inputs read_inputs(const DocumentSource& source, const std::vector<size_t>& pattern_of_file,
                   PackingRecord record, const Progress& progress) {
  Inputs inputs{{}, std::move(record)};
  PackProgress done;
  source.scan([&](const DocumentPlace& place, std::string_view text) {
    const auto ordinal = static_cast<uint64_t>(inputs.record.documents_read++);
    ++inputs.record.inputs[pattern_of_file[place.file]].num_documents;
    if (text.empty()) {
      ++inputs.record.rejected_empty;
    } else {
      inputs.documents.push_back({place, document_content_hash(text), ordinal});
    }
    ++done.documents;
    done.text_bytes += static_cast<int64_t>(text.size());
    if (progress && done.documents % kReadingProgressDocuments == 0) progress(done);
  });
  return inputs;
}

EncodedDocument encode_document(const DocumentSource& source, const PackTokenizer& tokenizer,
                                const EncodeText& encode, const PlannedDocument& document) {
  const std::string text = source.read(document.place);
  if (document_content_hash(text) != document.content_hash) {
    throw std::invalid_argument(
        fmt::format("{}: expected the text read before, found another: the file was changed while "
                    "it was packed",
                    source.name(document.place)));
  }
  EncodedDocument encoded{static_cast<int64_t>(text.size()), encode(text)};
  for (const int32_t id : encoded.tokens) {
    if (id < 0 || id >= tokenizer.vocab_size) {
      throw std::logic_error(fmt::format("{}: the tokenizer gave id {} of a vocabulary of {}",
                                         source.name(document.place), id, tokenizer.vocab_size));
    }
  }
  encoded.tokens.push_back(tokenizer.end_of_document);
  return encoded;
}

/// The results come in the order of `documents`; of several errors, the first document's is thrown.
std::vector<EncodedDocument> encode_batch(const DocumentSource& source,
                                          const PackTokenizer& tokenizer,
                                          const std::vector<EncodeText>& encoders,
                                          std::span<const PlannedDocument> documents) {
  std::vector<EncodedDocument> encoded(documents.size());
  std::vector<std::exception_ptr> errors(documents.size());
  std::atomic<size_t> next = 0;
  const auto work = [&](const EncodeText& encode) {
    for (size_t i = next++; i < documents.size(); i = next++) {
      try {
        encoded[i] = encode_document(source, tokenizer, encode, documents[i]);
      } catch (...) {
        errors[i] = std::current_exception();
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    const size_t wanted = std::min(encoders.size(), documents.size());
    for (size_t i = 1; i < wanted; ++i) threads.emplace_back(work, std::cref(encoders[i]));
    work(encoders[0]);
  }
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
  return encoded;
}

size_t batch_size(std::span<const PlannedDocument> documents) {
  size_t n = 0;
  for (int64_t bytes = 0; n < documents.size() && bytes < kBatchBytes; ++n) {
    bytes += documents[n].place.bytes;
  }
  return n;
}

class Packer {
 public:
  Packer(const PackOptions& options, const PackTokenizer& tokenizer, const DocumentSource& source,
         const PackingRecord& record, const Progress& progress)
      : options_(options),
        tokenizer_(tokenizer),
        source_(source),
        record_(record),
        progress_(progress) {
    done_.stage = PackProgress::Stage::kTokenizing;
    done_.documents_total = record.documents_read - record.rejected_empty;
    for (int i = 0; i < options.num_threads; ++i) encoders_.push_back(tokenizer.make_encoder());
  }

  DatasetManifest write_part(const std::string& part, std::span<const PlannedDocument> documents) {
    PartWriter writer(staging_folder(options_.output) / part,
                      part_manifest(part, static_cast<int64_t>(documents.size())),
                      options_.shard_tokens);
    while (!documents.empty()) {
      const auto batch = documents.first(batch_size(documents));
      const std::vector<EncodedDocument> encoded =
          encode_batch(source_, tokenizer_, encoders_, batch);
      for (size_t i = 0; i < batch.size(); ++i) {
        writer.add_document(source_.name(batch[i].place), encoded[i].text_bytes, encoded[i].tokens);
        done_.text_bytes += encoded[i].text_bytes;
      }
      done_.documents += static_cast<int64_t>(batch.size());
      if (progress_) progress_(done_);
      documents = documents.subspan(batch.size());
    }
    return writer.finish();
  }

 private:
  DatasetManifest part_manifest(const std::string& part, int64_t num_documents) const {
    DatasetManifest manifest;
    manifest.name = options_.name;
    manifest.kind = options_.kind;
    manifest.licence = options_.licence;
    manifest.tokenizer = tokenizer_.fingerprint;
    manifest.vocab_size = tokenizer_.vocab_size;
    manifest.end_of_document = tokenizer_.end_of_document;
    manifest.token_type = token_type_for(tokenizer_.vocab_size);
    manifest.packing = record_;
    manifest.packing.part = part;
    manifest.packing.seed = options_.seed;
    manifest.packing.validation_per_mille = options_.validation_per_mille;
    manifest.packing.documents_in_other_part = done_.documents_total - num_documents;
    return manifest;
  }

  const PackOptions& options_;
  const PackTokenizer& tokenizer_;
  const DocumentSource& source_;
  const PackingRecord& record_;
  const Progress& progress_;
  std::vector<EncodeText> encoders_;  // one a thread
  PackProgress done_;
};

}  // namespace

PackResult pack_dataset(const PackOptions& options, const PackTokenizer& tokenizer,
                        const Progress& progress) {
  check_options(options, tokenizer);
  std::vector<size_t> pattern_of_file;
  PackingRecord record;
  const DocumentSource source = open_inputs(options, pattern_of_file, record);
  Inputs inputs = read_inputs(source, pattern_of_file, std::move(record), progress);
  const PackPlan plan =
      plan_packing(std::move(inputs.documents), options.seed, options.validation_per_mille);

  make_staging_folder(options.output);
  Packer packer(options, tokenizer, source, inputs.record, progress);
  PackResult result{packer.write_part("train", plan.train), std::nullopt};
  if (!plan.validation.empty()) {
    result.validation = packer.write_part("validation", plan.validation);
  }
  commit_staging_folder(options.output);
  return result;
}

}  // namespace phalanx
