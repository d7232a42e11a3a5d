#include "data/store/fetch_policy.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

namespace phalanx {
namespace {

constexpr double kFirstWait = 0.25, kLongestWait = 20;
constexpr int kMostDoublings = 10;
constexpr size_t kMaxLine = 160;

/// Retry-After of RFC 9110: seconds, or a date.
std::optional<double> asked_wait(const HttpAnswer& answer, int64_t now) {
  const auto header = answer.headers.find("retry-after");
  if (header == answer.headers.end()) return std::nullopt;
  const std::string& text = header->second;
  int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error == std::errc() && end == text.data() + text.size()) {
    return static_cast<double>(std::max<int64_t>(0, seconds));
  }
  tm date{};
  if (strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date) == nullptr) return std::nullopt;
  return static_cast<double>(std::max<int64_t>(0, timegm(&date) - now));
}

/// What stands between <tag> and </tag>, as in the errors of S3.
std::string element(const std::string& text, const std::string& tag) {
  const size_t open = text.find("<" + tag + ">");
  if (open == std::string::npos) return "";
  const size_t begin = open + tag.size() + 2;
  const size_t end = text.find("</" + tag + ">", begin);
  return end == std::string::npos ? "" : text.substr(begin, end - begin);
}

/// The first line that says something, without what could act on a terminal.
std::string first_line(const std::string& text) {
  std::string line;
  for (const char c : text) {
    if (c == '\n' && !line.empty()) break;
    if (c < ' ' || c > '~' || line.size() >= kMaxLine) continue;
    if (c == ' ' && line.empty()) continue;
    line.push_back(c);
  }
  return line;
}

std::string body_text(const HttpAnswer& answer) {
  const std::string code = element(answer.body_start, "Code");
  if (code.empty()) return first_line(answer.body_start);
  return first_line(fmt::format("{}: {}", code, element(answer.body_start, "Message")));
}

}  // namespace

bool is_good(const HttpAnswer& answer) {
  return answer.end == HttpEnd::kWhole && (answer.status == 200 || answer.status == 206);
}

bool may_pass(const HttpAnswer& answer) {
  if (answer.end == HttpEnd::kHopeless) return false;
  if (answer.status >= 500) return answer.status != 501 && answer.status != 505;
  switch (answer.status) {
    case 408:
    case 416:
    case 425:
    case 429:
      return true;
    default:
      return answer.end != HttpEnd::kWhole;
  }
}

bool blames_keys(const HttpAnswer& answer) {
  if (answer.status != 400 && answer.status != 401 && answer.status != 403) return false;
  const std::string code = element(answer.body_start, "Code");
  for (const char* of_keys : {"ExpiredToken", "InvalidToken", "TokenRefreshRequired",
                              "InvalidAccessKeyId", "SignatureDoesNotMatch"}) {
    if (code == of_keys) return true;
  }
  return false;
}

bool says_absent(const HttpAnswer& answer) {
  return answer.status == 404 || answer.status == 410 || answer.status == 403;
}

double wait_seconds(int failures, const HttpAnswer& answer, uint64_t draw, int64_t now) {
  const double whole =
      std::min(kLongestWait, kFirstWait * std::exp2(std::min(failures - 1, kMostDoublings)));
  constexpr double kUnit = 1.0 / 18446744073709551616.0;  // 2^-64
  const double own = whole * (0.5 + 0.5 * static_cast<double>(draw) * kUnit);
  return std::max(own, asked_wait(answer, now).value_or(0));
}

std::string answer_text(const HttpAnswer& answer) {
  if (answer.status == 0) return "no answer: " + answer.problem;
  std::string text = fmt::format("{}", answer.status);
  if (const std::string body = body_text(answer); !body.empty()) text += " " + body;
  if (answer.end != HttpEnd::kWhole) text += ", then: " + answer.problem;
  return text;
}

}  // namespace phalanx
