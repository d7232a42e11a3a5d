#include "trainer/metrics/last_step.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>

#include "data/file.h"

namespace phalanx {
namespace {

constexpr int64_t kFirstWindow = int64_t{1} << 16;  // bytes; a line of many sources may be longer

std::optional<int64_t> count_in(const nlohmann::json& json, const char* key) {
  const auto found = json.find(key);
  const bool is_count = found != json.end() && found->is_number_unsigned() &&
                        found->get<uint64_t>() <= uint64_t{INT64_MAX};
  return is_count ? std::optional(found->get<int64_t>()) : std::nullopt;
}

std::optional<double> number_in(const nlohmann::json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

std::optional<LastStep> step_in(std::string_view line) {
  const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  const std::optional<int64_t> step = count_in(json, "step");
  if (!step) return std::nullopt;
  LastStep last{*step,
                count_in(json, "num_steps"),
                count_in(json, "tokens"),
                count_in(json, "num_tokens"),
                count_in(json, "attempt"),
                number_in(json, "loss"),
                number_in(json, "unix_seconds"),
                ""};
  const auto phase = json.find("phase");
  if (phase != json.end() && phase->is_string()) last.phase = phase->get<std::string>();
  return last;
}

/// Of lines that end in `text`, of which the first may be cut off before its beginning.
std::optional<LastStep> last_in(std::string_view text, bool from_the_beginning) {
  size_t end = text.rfind('\n');  // what follows is torn
  while (end != std::string_view::npos && end > 0) {
    const size_t before = text.rfind('\n', end - 1);
    const bool is_first = before == std::string_view::npos;
    if (is_first && !from_the_beginning) return std::nullopt;
    const size_t begin = is_first ? 0 : before + 1;
    if (const auto step = step_in(text.substr(begin, end - begin))) return step;
    end = before;
  }
  return std::nullopt;
}

}  // namespace

std::optional<LastStep> read_last_step(const std::filesystem::path& metrics) {
  if (!std::filesystem::exists(metrics)) return std::nullopt;
  const File file = File::open_read(metrics);
  const int64_t size = file.size();
  for (int64_t window = kFirstWindow;; window *= 2) {
    const int64_t length = std::min(window, size);
    std::string text(static_cast<size_t>(length), '\0');
    file.read_exact(size - length, std::as_writable_bytes(std::span(text)));
    const auto last = last_in(text, length == size);
    if (last || length == size) return last;
  }
}

}  // namespace phalanx
