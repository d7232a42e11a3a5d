#include "data/shards/bins_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "data/shards/shard_file.h"
#include "data/shards/shard_layout.h"

namespace phalanx {
namespace {

constexpr std::array<char, 8> kBinsMagic = {'P', 'H', 'X', 'B', 'I', 'N', 'S', 0};
constexpr uint64_t kBinsVersion = 1;
constexpr int64_t kPieceBytes = sizeof(BinPiece);

struct BinsHeader {
  std::array<char, 8> magic = kBinsMagic;
  uint64_t version = kBinsVersion;
  int64_t sequence_length = 0;
  int64_t num_tokens = 0;  // of the shard
};
struct BinsCounts {  // the last bytes of the file
  int64_t num_pieces = 0;
  int64_t num_bins = 0;
};
static_assert(sizeof(BinsHeader) == 32 && sizeof(BinsCounts) == 16);

int64_t first_piece_at(int64_t num_pieces, int64_t bin) {
  return static_cast<int64_t>(sizeof(BinsHeader)) + num_pieces * kPieceBytes + 8 * bin;
}

template <typename T>
void write_values(DurableWriter& writer, std::span<const T> values) {
  writer.write(std::as_bytes(values));
}

/// The number of bins.
int64_t write_groups(const ShardFile& shard, int64_t sequence_length, DurableWriter& writer) {
  const BinsHeader header{kBinsMagic, kBinsVersion, sequence_length, shard.num_tokens()};
  write_values<BinsHeader>(writer, std::span(&header, 1));
  std::vector<int64_t> first_piece = {0}, starts;
  for (int64_t first = 0; first < shard.num_documents(); first += kBinGroupDocuments) {
    const int64_t count = std::min(kBinGroupDocuments, shard.num_documents() - first);
    starts.resize(static_cast<size_t>(count) + 1);
    shard.document_starts(first, starts);
    const Bins bins = best_fit_bins(starts, first, sequence_length);
    write_values<BinPiece>(writer, bins.pieces);
    const int64_t before = first_piece.back();
    for (int64_t b = 1; b <= bins.num_bins(); ++b) {
      first_piece.push_back(before + bins.first_piece[static_cast<size_t>(b)]);
    }
  }
  write_values<int64_t>(writer, first_piece);
  const BinsCounts counts{first_piece.back(), static_cast<int64_t>(first_piece.size()) - 1};
  write_values<BinsCounts>(writer, std::span(&counts, 1));
  return counts.num_bins;
}

}  // namespace

std::filesystem::path bins_path(const std::filesystem::path& prefix, int64_t sequence_length) {
  return fmt::format("{}.bins-{}", prefix.string(), sequence_length);
}

std::vector<BinsEntry> write_bins(const std::filesystem::path& prefix,
                                  std::vector<int64_t> sequence_lengths) {
  std::sort(sequence_lengths.begin(), sequence_lengths.end());
  sequence_lengths.erase(std::unique(sequence_lengths.begin(), sequence_lengths.end()),
                         sequence_lengths.end());
  std::vector<BinsEntry> entries;
  if (sequence_lengths.empty()) return entries;
  const ShardFile shard(prefix);
  if (shard.num_documents() > UINT32_MAX) {
    throw std::invalid_argument(
        fmt::format("{}: expected at most {} documents to make bins of, "
                    "found {}",
                    prefix.string(), UINT32_MAX, shard.num_documents()));
  }
  for (const int64_t length : sequence_lengths) {
    if (length < 1 || length > int64_t{1} << 30) {
      throw std::invalid_argument(
          fmt::format("sequence length of bins: expected 1 to {}, found {}", 1 << 30, length));
    }
    const std::filesystem::path path = bins_path(prefix, length);
    DurableWriter writer(path.string() + ".tmp");
    const int64_t num_bins = write_groups(shard, length, writer);
    const WrittenFile written = writer.finish();
    rename_path(path.string() + ".tmp", path);
    entries.push_back({length, num_bins, written.xxh3, written.bytes});
  }
  const std::filesystem::path parent = prefix.parent_path();
  sync_folder(parent.empty() ? std::filesystem::path(".") : parent);
  return entries;
}

BinsFile::BinsFile(const std::filesystem::path& path, int64_t sequence_length,
                   const ShardEntry& shard)
    : file_(File::open_read(path)),
      sequence_length_(sequence_length),
      num_tokens_(shard.num_tokens),
      num_documents_(shard.num_documents) {
  const int64_t size = file_.size();
  const auto check = [&](const char* place, auto expected, auto found) {
    if (expected != found) refuse(place, fmt::format("{}", expected), fmt::format("{}", found));
  };
  if (size < first_piece_at(0, 1) + static_cast<int64_t>(sizeof(BinsCounts))) {
    refuse("size", "at least 56 bytes", fmt::format("{} bytes", size));
  }
  const auto header = read_value<BinsHeader>(file_, 0);
  if (header.magic != kBinsMagic) refuse("first 8 bytes", "PHXBINS\\0", "something else");
  check("version", kBinsVersion, header.version);
  check("sequence length", sequence_length, header.sequence_length);
  check("tokens of the shard", num_tokens_, header.num_tokens);
  const auto counts = read_value<BinsCounts>(file_, size - 16);
  if (counts.num_pieces < 0 || counts.num_pieces > size / kPieceBytes || counts.num_bins < 0 ||
      counts.num_bins > size / 8) {
    refuse("counts", fmt::format("those of {} bytes", size),
           fmt::format("{} pieces in {} bins", counts.num_pieces, counts.num_bins));
  }
  check("size", first_piece_at(counts.num_pieces, counts.num_bins + 1) + 16, size);
  num_pieces_ = counts.num_pieces;
  num_bins_ = counts.num_bins;
}

void BinsFile::refuse(const std::string& place, const std::string& expected,
                      const std::string& found) const {
  throw std::invalid_argument(
      fmt::format("{}: {}: expected {}, found {}", file_.path().string(), place, expected, found));
}

void BinsFile::read(int64_t bin, std::vector<BinPiece>& pieces) const {
  if (bin < 0 || bin >= num_bins_) {
    throw std::logic_error(fmt::format("{}: bin {} of {}", path().string(), bin, num_bins_));
  }
  const auto range = read_value<std::array<int64_t, 2>>(file_, first_piece_at(num_pieces_, bin));
  const int64_t most = std::min(num_pieces_, range[0] + (sequence_length_ + 1) / 2);
  if (range[0] < 0 || range[0] >= num_pieces_ || range[1] <= range[0] || range[1] > most) {
    refuse(fmt::format("bin {}", bin), fmt::format("pieces of the {}", num_pieces_),
           fmt::format("[{}, {})", range[0], range[1]));
  }
  pieces.resize(static_cast<size_t>(range[1] - range[0]));
  read_values(file_, static_cast<int64_t>(sizeof(BinsHeader)) + range[0] * kPieceBytes,
              std::span(pieces));
  check_pieces(bin, pieces);
}

void BinsFile::check_pieces(int64_t bin, const std::vector<BinPiece>& pieces) const {
  int64_t sum = 0, end = 0;
  for (const BinPiece& piece : pieces) {
    sum += piece.length;
    const bool inside = piece.begin >= end && piece.length >= 2 && piece.begin <= num_tokens_ &&
                        piece.length <= num_tokens_ - piece.begin &&
                        piece.document < num_documents_;
    if (!inside || sum > sequence_length_ + 1) {
      refuse(fmt::format("bin {}", bin),
             fmt::format("pieces in order, of 2 tokens or more, inside the shard's {} tokens and "
                         "{} documents, together at most {} tokens",
                         num_tokens_, num_documents_, sequence_length_ + 1),
             fmt::format("{} tokens of document {} at token {}", piece.length, piece.document,
                         piece.begin));
    }
    end = piece.begin + piece.length;
  }
}

}  // namespace phalanx
