#include "configs/units.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <span>
#include <stdexcept>

#include <fmt/format.h>

namespace phalanx {
namespace {

struct Unit {
  std::string_view name;
  int64_t factor;
};

constexpr Unit kCountUnits[] = {
    {"", 1}, {"K", 1'000}, {"M", 1'000'000}, {"B", 1'000'000'000}, {"T", 1'000'000'000'000}};
constexpr Unit kByteUnits[] = {{"B", 1},
                               {"KB", 1'000},
                               {"MB", 1'000'000},
                               {"GB", 1'000'000'000},
                               {"TB", 1'000'000'000'000},
                               {"KiB", int64_t{1} << 10},
                               {"MiB", int64_t{1} << 20},
                               {"GiB", int64_t{1} << 30},
                               {"TiB", int64_t{1} << 40}};
constexpr Unit kTimeUnits[] = {{"ms", 1},
                               {"s", 1'000},
                               {"min", 60'000},
                               {"h", 3'600'000},
                               {"d", 86'400'000}};  // in milliseconds

[[noreturn]] void refuse(std::string_view expected, std::string_view text) {
  throw std::invalid_argument(fmt::format("expected {}, got '{}'", expected, text));
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

struct Split {
  std::string_view number;
  std::string_view unit;
};

/// Cuts `1.5e3 GiB` after the number; an exponent counts only when digits follow it.
Split split_unit(std::string_view text) {
  std::size_t end = 0;
  while (end < text.size() && (is_digit(text[end]) || text[end] == '.')) ++end;
  if (end > 0 && end < text.size() && (text[end] == 'e' || text[end] == 'E')) {
    std::size_t digits = end + 1;
    if (digits < text.size() && (text[digits] == '+' || text[digits] == '-')) ++digits;
    std::size_t stop = digits;
    while (stop < text.size() && is_digit(text[stop])) ++stop;
    if (stop > digits) end = stop;
  }
  return {text.substr(0, end), trim(text.substr(end))};
}

struct Decimal {
  unsigned __int128 digits = 0;
  int64_t exponent = 0;  // value = digits x 10^exponent
};

std::optional<Decimal> parse_decimal(std::string_view number) {
  Decimal decimal;
  bool point = false;
  int num_digits = 0;
  std::size_t i = 0;
  for (; i < number.size() && number[i] != 'e' && number[i] != 'E'; ++i) {
    if (number[i] == '.') {
      if (point) return std::nullopt;
      point = true;
      continue;
    }
    if (++num_digits > 24) return std::nullopt;
    decimal.digits = decimal.digits * 10 + static_cast<unsigned>(number[i] - '0');
    if (point) --decimal.exponent;
  }
  if (num_digits == 0) return std::nullopt;
  if (i < number.size()) {
    std::string_view power = number.substr(i + 1);
    if (power.front() == '+') power.remove_prefix(1);
    int value = 0;
    const auto [end, error] = std::from_chars(power.data(), power.data() + power.size(), value);
    if (error != std::errc() || value < -30 || value > 30) return std::nullopt;
    decimal.exponent += value;
  }
  return decimal;
}

/// digits x 10^exponent x factor where that is a whole number below 2^63.
std::optional<int64_t> exact_product(Decimal decimal, int64_t factor) {
  constexpr auto kLimit = static_cast<unsigned __int128>(std::numeric_limits<int64_t>::max());
  if (decimal.digits == 0) return 0;
  // 24 digits (2^80) times a factor of at most 2^40 stays below 2^128.
  unsigned __int128 value = decimal.digits * static_cast<unsigned __int128>(factor);
  for (; decimal.exponent > 0; --decimal.exponent) {
    if (value > kLimit) return std::nullopt;
    value *= 10;
  }
  for (; decimal.exponent < 0; ++decimal.exponent) {
    if (value % 10 != 0) return std::nullopt;
    value /= 10;
  }
  if (value > kLimit) return std::nullopt;
  return static_cast<int64_t>(value);
}

std::optional<int64_t> parse_exact(std::string_view text, std::span<const Unit> units) {
  const Split parts = split_unit(trim(text));
  const auto unit =
      std::find_if(units.begin(), units.end(), [&](const Unit& u) { return u.name == parts.unit; });
  if (unit == units.end()) return std::nullopt;
  const auto decimal = parse_decimal(parts.number);
  return decimal ? exact_product(*decimal, unit->factor) : std::nullopt;
}

template <class T>
T parse_digits(std::string_view text, std::string_view expected) {
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    refuse(expected, text);
  }
  return value;
}

}  // namespace

int64_t parse_integer(std::string_view text) {
  return parse_digits<int64_t>(text, "a whole number without a unit");
}

uint64_t parse_unsigned(std::string_view text) {
  return parse_digits<uint64_t>(text, "a whole number from 0 to 2^64 - 1");
}

int64_t parse_count(std::string_view text) {
  const auto count = parse_exact(text, kCountUnits);
  if (!count) refuse("a whole count (like 4096, 4M or 1.5B; units K, M, B, T)", text);
  return *count;
}

double parse_real(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() ||
      !std::isfinite(value)) {
    refuse("a number", text);
  }
  return value;
}

Duration parse_duration(std::string_view text) {
  constexpr std::string_view kExpected = "tokens (2B, 2B tokens) or steps (200 steps)";
  const std::string_view trimmed = trim(text);
  Duration duration;
  std::string_view count = trimmed;
  if (trimmed.ends_with(" steps") || trimmed.ends_with(" step")) {
    duration.unit = Duration::Unit::kSteps;
    count = trimmed.substr(0, trimmed.rfind(' '));
  } else if (trimmed.ends_with(" tokens")) {
    count = trimmed.substr(0, trimmed.rfind(' '));
  }
  const auto value = parse_exact(count, kCountUnits);
  if (!value) refuse(kExpected, text);
  duration.count = *value;
  return duration;
}

double parse_seconds(std::string_view text) {
  const auto milliseconds = parse_exact(text, kTimeUnits);
  if (!milliseconds) refuse("a time (like 90s, 20min, 1.5h; units ms, s, min, h, d)", text);
  return static_cast<double>(*milliseconds) / 1000.0;
}

int64_t parse_bytes(std::string_view text) {
  const auto bytes = parse_exact(text, kByteUnits);
  if (!bytes) refuse("a size in bytes (like 8GiB or 8GB; units B, KB, KiB, MB, MiB, ...)", text);
  return *bytes;
}

std::string format_real(double value) { return fmt::format("{}", value); }

std::string format_duration(const Duration& duration) {
  return fmt::format("{} {}", duration.count,
                     duration.unit == Duration::Unit::kSteps ? "steps" : "tokens");
}

std::string format_seconds(double seconds) {
  const auto milliseconds = static_cast<int64_t>(std::llround(seconds * 1000));
  if (milliseconds % 1000 != 0) return fmt::format("{}ms", milliseconds);
  return fmt::format("{}s", milliseconds / 1000);
}

}  // namespace phalanx
