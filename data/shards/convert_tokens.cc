#include "data/shards/convert_tokens.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

#include "data/file.h"
#include "data/shards/part_writer.h"

namespace phalanx {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kBlockTokens = int64_t{1} << 20;

// llm.c's header: 256 int32, of which the first three say something.
constexpr int64_t kHeaderBytes = 256 * 4;
constexpr int32_t kMagicUint16 = 20240520, kMagicUint32 = 20240801;

[[noreturn]] void refuse(const fs::path& place, const std::string& expected,
                         const std::string& found) {
  throw std::invalid_argument(
      fmt::format("{}: expected {}, found {}", place.string(), expected, found));
}

/// Where the tokens of a file lie.
struct TokenFile {
  fs::path path;
  int64_t offset = 0;  // bytes
  int64_t num_tokens = 0;
  int64_t width = 2;  // bytes of a token
};

struct Header {
  int32_t magic = 0, version = 0, num_tokens = 0;
};

Header read_header(const File& file) {
  std::array<int32_t, 3> words = {};
  if (file.size() >= kHeaderBytes) file.read_exact(0, std::as_writable_bytes(std::span(words)));
  return {words[0], words[1], words[2]};
}

TokenFile open_llmc(const File& file, const Header& header) {
  const bool wide = header.magic == kMagicUint32;
  const int32_t version = wide ? 7 : 1;
  const fs::path version_place = file.path().string() + ": header: version";
  if (header.version != version) {
    refuse(version_place, fmt::format("{}", version), fmt::format("{}", header.version));
  }
  TokenFile result{file.path(), kHeaderBytes, header.num_tokens, wide ? 4 : 2};
  const int64_t expected = kHeaderBytes + result.num_tokens * result.width;
  if (header.num_tokens < 0 || file.size() != expected) {
    refuse(file.path().string() + ": size",
           fmt::format("{} bytes for the header's {} tokens of {} bytes", expected,
                       header.num_tokens, result.width),
           fmt::format("{} bytes", file.size()));
  }
  return result;
}

TokenFile open_nanogpt(const File& file) {
  if (file.size() % 2 != 0) {
    refuse(file.path().string() + ": size", "an even number of bytes, uint16 ids",
           fmt::format("{} bytes", file.size()));
  }
  return {file.path(), 0, file.size() / 2, 2};
}

TokenFile open_tokens(const fs::path& path, std::optional<TokenFileKind> kind) {
  const File file = File::open_read(path);
  const Header header = read_header(file);
  const bool has_header = header.magic == kMagicUint16 || header.magic == kMagicUint32;
  if (has_header && kind == TokenFileKind::kNanoGpt) {
    refuse(path, "nanoGPT's ids without a header",
           fmt::format("llm.c's header (magic {}): it would be read as tokens", header.magic));
  }
  if (!has_header && kind != TokenFileKind::kNanoGpt) {
    refuse(path, fmt::format("llm.c's header (magic {} or {})", kMagicUint16, kMagicUint32),
           fmt::format("{}; nanoGPT's files have no header, so they are read only when they are "
                       "said to be nanoGPT's (--from nanogpt)",
                       file.size() < kHeaderBytes ? fmt::format("{} bytes", file.size())
                                                  : fmt::format("{}", header.magic)));
  }
  return has_header ? open_llmc(file, header) : open_nanogpt(file);
}

class Converter {
 public:
  Converter(const ConvertOptions& options, const std::string& part)
      : options_(options),
        writer_(staging_folder(options.output) / part, part_manifest(part), options.shard_tokens) {}

  /// `progress` gets the bytes of each block.
  ConvertedPart run(const std::vector<TokenFile>& files,
                    const std::function<void(int64_t)>& progress) {
    for (const TokenFile& file : files) {
      packing().inputs.push_back(
          {file.path.string(), 1, file.offset + file.num_tokens * file.width, 0});
      for (int64_t begin = 0; begin < file.num_tokens; begin += kBlockTokens) {
        read_block(file, begin);
        add_block(file, begin);
        progress(static_cast<int64_t>(block_.size()) * file.width);
      }
    }
    // The last document of llm.c has no token behind it; nanoGPT's has, unless it was cut off.
    const bool more = ends_stand_in_front() ? result_.tokens_read > 0 : !document_.empty();
    if (more) end_document();
    if (packing().documents_read == packing().rejected_empty) {
      refuse(files.front().path, "tokens between end-of-document tokens", "none in the input");
    }
    result_.manifest = writer_.finish();
    return std::move(result_);
  }

 private:
  PackingRecord& packing() { return writer_.packing(); }
  bool ends_stand_in_front() const { return options_.kind != TokenFileKind::kNanoGpt; }

  DatasetManifest part_manifest(const std::string& part) const {
    DatasetManifest manifest = options_.facts;
    manifest.token_type = token_type_for(manifest.vocab_size);
    manifest.packing.part = part;
    return manifest;
  }

  void read_block(const TokenFile& file, int64_t begin) {
    const auto n = static_cast<size_t>(std::min(kBlockTokens, file.num_tokens - begin));
    block_.resize(n);
    const int64_t offset = file.offset + begin * file.width;
    const File source = File::open_read(file.path);
    if (file.width == 4) {
      source.read_exact(offset, std::as_writable_bytes(std::span(block_)));
    } else {
      narrow_.resize(n);
      source.read_exact(offset, std::as_writable_bytes(std::span(narrow_)));
      std::copy(narrow_.begin(), narrow_.end(), block_.begin());
    }
    const auto vocab_size = static_cast<uint32_t>(options_.facts.vocab_size);
    const auto bad = std::find_if(block_.begin(), block_.end(), [&](int32_t id) {
      return static_cast<uint32_t>(id) >= vocab_size;
    });
    if (bad == block_.end()) return;
    refuse(fmt::format("{}: token {}", file.path.string(), begin + (bad - block_.begin())),
           fmt::format("an id below the vocabulary's {}", vocab_size),
           fmt::format("{}: another tokenizer made this file", static_cast<uint32_t>(*bad)));
  }

  void add_block(const TokenFile& file, int64_t begin) {
    const int32_t end = options_.facts.end_of_document;
    result_.joined_documents += begin == 0 && !document_.empty() && block_.front() != end;
    for (auto from = block_.cbegin(); from != block_.cend();) {
      const auto to = std::find(from, block_.cend(), end);
      document_.insert(document_.end(), from, to);
      result_.tokens_read += to - from;
      if (static_cast<int64_t>(document_.size()) >= kMaxConvertedDocument) {
        refuse(fmt::format("{}: token {}", file.path.string(), begin + (to - block_.cbegin())),
               fmt::format("the end-of-document token {} within {} tokens", end,
                           kMaxConvertedDocument),
               "none: another tokenizer made this file");
      }
      if (to == block_.cend()) return;
      // In front of the first document of llm.c there is nothing to end.
      if (result_.tokens_read > 0 || !ends_stand_in_front()) end_document();
      ++result_.tokens_read;
      ++result_.ends_read;
      from = to + 1;
    }
  }

  void end_document() {
    ++packing().documents_read;
    ++packing().inputs.back().num_documents;
    if (document_.empty()) {
      ++packing().rejected_empty;
      return;
    }
    document_.push_back(options_.facts.end_of_document);
    writer_.add_document(fmt::format("{}: document {}", packing().inputs.back().pattern,
                                     packing().inputs.back().num_documents),
                         0, document_);
    document_.clear();
  }

  const ConvertOptions& options_;
  PartWriter writer_;
  std::vector<int32_t> block_, document_;
  std::vector<uint16_t> narrow_;
  ConvertedPart result_;
};

std::vector<TokenFile> open_all(const std::vector<fs::path>& paths, const ConvertOptions& options) {
  std::vector<TokenFile> files;
  for (const fs::path& path : paths) {
    files.push_back(open_tokens(path, options.kind));
    if (files.back().width == 2 && options.facts.vocab_size > 65536) {
      refuse(path, "a tokenizer of at most 65536 ids, since the file's are uint16",
             fmt::format("one of {}: another tokenizer made it", options.facts.vocab_size));
    }
  }
  return files;
}

}  // namespace

ConvertResult convert_tokens(
    const ConvertOptions& options,
    const std::function<void(int64_t bytes, int64_t bytes_total)>& progress) {
  if (options.inputs.empty()) {
    throw std::invalid_argument("input: expected at least one token file, found none");
  }
  if (fs::exists(options.output)) refuse(options.output, "a new folder", "one that is there");
  const std::vector<TokenFile> train = open_all(options.inputs, options);
  const std::vector<TokenFile> validation = open_all(options.validation, options);
  int64_t done = 0, total = 0;
  for (const auto* files : {&train, &validation}) {
    for (const TokenFile& file : *files) total += file.num_tokens * file.width;
  }
  const auto block_done = [&](int64_t bytes) {
    if (progress) progress(done += bytes, total);
  };
  make_staging_folder(options.output);
  ConvertResult result{Converter(options, "train").run(train, block_done), std::nullopt};
  if (!validation.empty()) {
    result.validation = Converter(options, "validation").run(validation, block_done);
  }
  commit_staging_folder(options.output);
  return result;
}

}  // namespace phalanx
