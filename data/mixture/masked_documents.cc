#include "data/mixture/masked_documents.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "data/block_hash.h"
#include "data/file.h"

namespace phalanx {
namespace {

constexpr int64_t kMaxListBytes = int64_t{1} << 30;
constexpr std::string_view kBlank = " \t\r";

std::string_view without_comment(std::string_view line) {
  line = line.substr(0, line.find('#'));
  const size_t begin = line.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return line.substr(begin, line.find_last_not_of(kBlank) + 1 - begin);
}

}  // namespace

std::shared_ptr<const MaskedDocuments> read_masked_documents(const std::filesystem::path& path,
                                                             int64_t num_documents) {
  const std::string text = read_text(path, kMaxListBytes);
  auto masked = std::make_shared<MaskedDocuments>();
  std::string_view rest = text;
  for (int64_t line = 1; !rest.empty(); ++line) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view entry = without_comment(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (entry.empty()) continue;
    int64_t number = -1;
    const auto [stop, error] = std::from_chars(entry.data(), entry.data() + entry.size(), number);
    if (error != std::errc() || stop != entry.data() + entry.size() || number < 0 ||
        number >= num_documents) {
      throw std::invalid_argument(
          fmt::format("{}: line {}: expected the number of a document, 0 to {}, found \"{}\"",
                      path.string(), line, num_documents - 1, entry));
    }
    masked->push_back(number);
  }
  std::sort(masked->begin(), masked->end());
  return masked;
}

std::string hash_of(const MaskedDocuments& masked) {
  MaskedDocuments once = masked;
  once.erase(std::unique(once.begin(), once.end()), once.end());
  return hash_text(xxh3(std::as_bytes(std::span(once))));
}

void mask_documents(const MaskedDocuments& masked, Row& row) {
  row.masked_targets.clear();
  // The first number is that of token 0, whether a document begins there or not.
  const size_t skip = !row.document_starts.empty() && row.document_starts.front() == 0 ? 1 : 0;
  const auto length = static_cast<int64_t>(row.tokens.size());
  for (size_t i = 0; i < row.documents.size(); ++i) {
    if (!std::binary_search(masked.begin(), masked.end(), row.documents[i])) continue;
    const size_t next = skip + i;
    const int64_t begin = i == 0 ? 0 : row.document_starts[next - 1];
    const int64_t end = next < row.document_starts.size() ? row.document_starts[next] : length;
    const std::pair<int64_t, int64_t> targets{std::max<int64_t>(begin - 1, 0), end - 1};
    if (targets.first < targets.second) row.masked_targets.push_back(targets);
  }
}

}  // namespace phalanx
