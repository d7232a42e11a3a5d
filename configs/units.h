#pragma once
// Numbers with units as they stand in a run's YAML or on its command line. Local, pure functions.
// Counts are decimal (`4K` = 4,000) and exact: no value passes through floating point on its way
// to 64 bits. Each parse_ function throws std::invalid_argument with the text
// "expected <what is accepted>, got '<text>'"; the caller puts file, place and field in front.
#include <cstdint>
#include <string>
#include <string_view>

#include "trainer/run_config.h"

namespace phalanx {

/// `1234`: digits only, a sign, no unit.
int64_t parse_integer(std::string_view text);
/// `1234`: digits only, up to 2^64 - 1.
uint64_t parse_unsigned(std::string_view text);
/// `1234`, `4K`, `4M`, `1.5B`, `10T`, `2e9`; refused unless it is a whole number.
int64_t parse_count(std::string_view text);
/// `0.1`, `3e-4`; never infinite or NaN.
double parse_real(std::string_view text);
/// `200 steps` or tokens: `2B`, `2B tokens`.
Duration parse_duration(std::string_view text);
/// `90s`, `20min`, `1.5h`, `2d`, `500ms`: seconds.
double parse_seconds(std::string_view text);
/// `8GiB`, `8GB`, `512 MiB`, `100B`: bytes.
int64_t parse_bytes(std::string_view text);

/// Texts that the functions above read back to the same value.
std::string format_real(double value);
std::string format_duration(const Duration& duration);
std::string format_seconds(double seconds);

}  // namespace phalanx
