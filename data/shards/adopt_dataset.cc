#include "data/shards/adopt_dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <utility>

#include "data/file.h"
#include "data/shards/block_verifier.h"
#include "data/shards/document_lengths.h"
#include "data/shards/shard_file.h"
#include "data/shards/shard_scan.h"

namespace phalanx {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse(const fs::path& place, const std::string& expected,
                         const std::string& found) {
  throw std::invalid_argument(
      fmt::format("{}: expected {}, found {}", place.string(), expected, found));
}

fs::path with_suffix(const fs::path& prefix, const char* suffix) {
  return prefix.string() + suffix;
}

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

fs::path find_prefix(fs::path prefix) {
  const fs::path suffix_given = prefix.extension();
  if ((suffix_given == ".bin" || suffix_given == ".idx") && !is_file(with_suffix(prefix, ".idx"))) {
    prefix.replace_extension();
  }
  for (const char* suffix : {".bin", ".idx"}) {
    if (!is_file(with_suffix(prefix, suffix))) {
      refuse(with_suffix(prefix, suffix), "a file: a corpus is PREFIX.bin with PREFIX.idx", "none");
    }
  }
  return fs::absolute(prefix).lexically_normal();
}

std::vector<fs::path> find_prefixes(const std::vector<fs::path>& names) {
  if (names.empty()) throw std::invalid_argument("adopt: expected at least one PREFIX, found none");
  std::vector<fs::path> prefixes;
  for (const fs::path& name : names) {
    const fs::path prefix = find_prefix(name);
    if (std::find(prefixes.begin(), prefixes.end(), prefix) != prefixes.end()) {
      refuse(prefix, "each corpus once", "it twice");
    }
    prefixes.push_back(prefix);
  }
  return prefixes;
}

/// Where dataset.json goes when it lies beside the corpus.
fs::path common_folder(const std::vector<fs::path>& prefixes) {
  fs::path folder = prefixes.front().parent_path();
  for (const fs::path& prefix : prefixes) {
    if (prefix.parent_path() == folder) continue;
    refuse(prefix,
           fmt::format("all shards in the folder of the first, {}, because {} names files beside "
                       "it (an output folder with links to them is another way)",
                       folder.string(), kManifestName),
           fmt::format("another folder, {}", prefix.parent_path().string()));
  }
  const fs::path manifest = folder / kManifestName;
  std::error_code error;
  if (fs::exists(fs::symlink_status(manifest, error))) {
    refuse(manifest,
           "none: nothing is overwritten (one of several corpora in a folder can be given an "
           "output folder of its own)",
           "one that is there");
  }
  return folder;
}

/// Whether documents end with the end-of-document token, seen while blocks of tokens pass by.
class EndsOfDocuments {
 public:
  EndsOfDocuments(const ShardFile& shard, int32_t end_of_document, AdoptResult& result)
      : lengths_(shard), type_(shard.token_type()), end_(end_of_document), result_(result) {
    advance();
  }

  void visit(int64_t offset, std::span<const std::byte> bytes) {
    const int64_t width = token_bytes(type_);
    const int64_t block_begin = offset / width;
    const int64_t block_end = block_begin + static_cast<int64_t>(bytes.size()) / width;
    for (; more_ && document_end_ <= block_end; advance()) {
      uint32_t id = 0;
      std::memcpy(&id, bytes.data() + (document_end_ - 1 - block_begin) * width,
                  static_cast<size_t>(width));
      result_.documents_without_end += static_cast<int32_t>(id) != end_;
    }
  }

 private:
  /// To the next document that has tokens.
  void advance() {
    std::optional<int64_t> length = lengths_.next();
    for (; length && *length == 0; length = lengths_.next()) ++result_.empty_documents;
    more_ = length.has_value();
    document_end_ += length.value_or(0);
  }

  DocumentLengths lengths_;
  TokenType type_;
  int32_t end_;
  AdoptResult& result_;
  int64_t document_end_ = 0;  // of the document looked for
  bool more_ = false;
};

class Adopter {
 public:
  Adopter(const AdoptOptions& options, std::vector<fs::path> prefixes)
      : options_(options), prefixes_(std::move(prefixes)) {
    result_.manifest = options.facts;
    result_.manifest.packing.part = "adopted";
  }

  /// Headers only; a shard is closed again, since there may be more than a process may open.
  void open_shards() {
    int64_t num_tokens = 0;
    for (const fs::path& prefix : prefixes_) {
      const ShardFile shard(prefix);
      TokenType& type = result_.manifest.token_type;
      if (&prefix == &prefixes_.front()) type = shard.token_type();
      if (shard.token_type() != type) {
        refuse(shard.idx_path(),
               fmt::format("{} as in {}: a data set has one dtype (adopt each as a data set of its "
                           "own)",
                           token_type_name(type), with_suffix(prefixes_.front(), ".idx").string()),
               std::string(token_type_name(shard.token_type())));
      }
      total_bytes_ += shard.idx_bytes() + shard.num_tokens() * token_bytes(type);
      num_tokens += shard.num_tokens();
    }
    if (num_tokens == 0) refuse(prefixes_.front(), "a corpus with tokens", "none");
  }

  void scan(const std::function<void(int64_t, int64_t)>& progress) {
    ShardScanner scanner(result_.manifest.token_type, result_.manifest.vocab_size,
                         [&](int64_t bytes) {
                           if (progress) progress(bytes, total_bytes_);
                         });
    for (size_t i = 0; i < prefixes_.size(); ++i) scan_shard(i, scanner);
    result_.manifest.packing.documents_read = result_.manifest.num_documents();
  }

  AdoptResult write() {
    result_.folder = options_.output.empty() ? common_folder(prefixes_) : options_.output;
    const std::string json = manifest_json(result_.manifest);
    // What readers would refuse, such as a hidden file's name, is not written.
    (void)parse_manifest(json, (result_.folder / kManifestName).string());
    if (options_.output.empty()) {
      commit_file(result_.folder / kManifestName, json);
    } else {
      write_links(json);
    }
    return std::move(result_);
  }

 private:
  void scan_shard(size_t i, ShardScanner& scanner) {
    const ShardFile shard(prefixes_[i]);
    shard.check_index();
    const FileScan idx = scanner.scan_file(shard.idx_path());
    EndsOfDocuments ends(shard, result_.manifest.end_of_document, result_);
    const FileScan bin = scanner.scan_tokens(
        shard.bin_path(),
        [&](int64_t offset, std::span<const std::byte> bytes) { ends.visit(offset, bytes); });
    if (bin.bad_token) {
      throw std::invalid_argument(fmt::format(
          "{}: token {}: expected an id below the vocabulary's {}, found {}: another tokenizer "
          "made this corpus",
          shard.bin_path().string(), *bin.bad_token, result_.manifest.vocab_size, bin.bad_id));
    }
    result_.max_id = std::max(result_.max_id, bin.max_id);
    result_.manifest.shards.push_back({.file = name_of(i),
                                       .num_tokens = shard.num_tokens(),
                                       .num_documents = shard.num_documents(),
                                       .bin_bytes = bin.bytes,
                                       .bin_xxh3 = bin.xxh3,
                                       .idx_xxh3 = idx.xxh3,
                                       .idx_bytes = idx.bytes});
    result_.manifest.shards.back().head_xxh3 = hash_file(shard.bin_path(), kHeadBytes);
    result_.manifest.packing.inputs.push_back(
        {prefixes_[i].string(), 2, bin.bytes + idx.bytes, shard.num_documents()});
  }

  std::string name_of(size_t i) const {
    return options_.output.empty() ? prefixes_[i].filename().string()
                                   : fmt::format("shard-{:05}", i);
  }

  void write_links(const std::string& json) {
    const fs::path staging = make_staging_folder(options_.output);
    for (size_t i = 0; i < prefixes_.size(); ++i) {
      for (const char* suffix : {".bin", ".idx"}) {
        fs::create_symlink(with_suffix(prefixes_[i], suffix),
                           with_suffix(staging / name_of(i), suffix));
      }
    }
    commit_file(staging / kManifestName, json);
    commit_staging_folder(options_.output);
  }

  const AdoptOptions& options_;
  std::vector<fs::path> prefixes_;
  int64_t total_bytes_ = 0;
  AdoptResult result_;
};

}  // namespace

AdoptResult adopt_dataset(const AdoptOptions& options,
                          const std::function<void(int64_t bytes, int64_t bytes_total)>& progress) {
  std::vector<fs::path> prefixes = find_prefixes(options.prefixes);
  // What is known to fail is refused before hours of reading, not after.
  if (options.output.empty()) {
    (void)common_folder(prefixes);
  } else if (fs::exists(options.output)) {
    refuse(options.output, "a new folder", "one that is there already");
  }
  Adopter adopter(options, std::move(prefixes));
  adopter.open_shards();
  adopter.scan(progress);
  return adopter.write();
}

}  // namespace phalanx
