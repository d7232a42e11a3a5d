// Units: what is read, exactly, and what is refused.
#include "configs/units.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>

namespace phalanx {
namespace {

template <class Parse>
std::string refusal(Parse parse, const char* text) {
  try {
    parse(text);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST(Units, CountsAreDecimal) {
  EXPECT_EQ(parse_count("4096"), 4096);
  EXPECT_EQ(parse_count("4K"), 4000);
  EXPECT_EQ(parse_count("4M"), 4'000'000);
  EXPECT_EQ(parse_count("1.5B"), 1'500'000'000);
  EXPECT_EQ(parse_count("9.8T"), 9'800'000'000'000);
  EXPECT_EQ(parse_count("2e9"), 2'000'000'000);
  EXPECT_EQ(parse_count("0.4M"), 400'000);
  EXPECT_EQ(parse_count("0"), 0);
}

TEST(Units, CountsAreExactTo64Bits) {
  EXPECT_EQ(parse_count("9223372036854775807"), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(parse_count("9007199254740993"), 9007199254740993);  // 2^53 + 1: no double holds it
  EXPECT_EQ(parse_count("9007199.254740993B"), 9007199254740993);
  EXPECT_NE(refusal(parse_count, "9223372036854775808"), "");
  EXPECT_NE(refusal(parse_count, "9223373T"), "");
  EXPECT_NE(refusal(parse_count, "1e30"), "");
}

TEST(Units, CountsThatAreNotWholeOrHaveAnotherUnitAreRefused) {
  EXPECT_EQ(refusal(parse_count, "1.5"),
            "expected a whole count (like 4096, 4M or 1.5B; units K, M, B, T), got '1.5'");
  for (const char* text : {"", "K", "4k", "4 KiB", "4GB", "-4K", "4MM", "1.2.3M", "0x10", "1.0005K",
                           ".M", "nan", "4M tokens", "1e", "1e99999999999"}) {
    EXPECT_NE(refusal(parse_count, text), "") << text;
  }
}

TEST(Units, IntegersTakeNoUnit) {
  EXPECT_EQ(parse_integer("-3"), -3);
  EXPECT_EQ(refusal(parse_integer, "4K"), "expected a whole number without a unit, got '4K'");
  for (const char* text : {"", "1.0", "1e3", " 1", "9223372036854775808"}) {
    EXPECT_NE(refusal(parse_integer, text), "") << text;
  }
}

TEST(Units, SeedsUseAll64Bits) {
  EXPECT_EQ(parse_unsigned("18446744073709551615"), std::numeric_limits<uint64_t>::max());
  EXPECT_NE(refusal(parse_unsigned, "-1"), "");
  EXPECT_NE(refusal(parse_unsigned, "18446744073709551616"), "");
}

TEST(Units, RealsAreFiniteNumbers) {
  EXPECT_EQ(parse_real("3e-4"), 3e-4);
  EXPECT_EQ(parse_real("0.1"), 0.1);
  for (const char* text : {"", "inf", "nan", "1,5", "1e999", "0.1x"}) {
    EXPECT_NE(refusal(parse_real, text), "") << text;
  }
}

TEST(Units, RealsReadBackToTheSameBits) {
  for (const double value : {0.1, 3e-4, 1.0 / 3, 1e-8, 250000.0, 5e-324}) {
    EXPECT_EQ(parse_real(format_real(value)), value);
  }
}

TEST(Units, DurationsAreStepsOrTokens) {
  EXPECT_EQ(parse_duration("200 steps"), (Duration{Duration::Unit::kSteps, 200}));
  EXPECT_EQ(parse_duration("1 step"), (Duration{Duration::Unit::kSteps, 1}));
  EXPECT_EQ(parse_duration("2B"), (Duration{Duration::Unit::kTokens, 2'000'000'000}));
  EXPECT_EQ(parse_duration("2B tokens"), (Duration{Duration::Unit::kTokens, 2'000'000'000}));
  EXPECT_EQ(refusal(parse_duration, "20min"),
            "expected tokens (2B, 2B tokens) or steps (200 steps), got '20min'");
  for (const Duration& d : {Duration{Duration::Unit::kSteps, 7}, Duration{}}) {
    EXPECT_EQ(parse_duration(format_duration(d)), d);
  }
}

TEST(Units, TimesAreSeconds) {
  EXPECT_EQ(parse_seconds("20min"), 1200);
  EXPECT_EQ(parse_seconds("1.5h"), 5400);
  EXPECT_EQ(parse_seconds("500ms"), 0.5);
  EXPECT_EQ(parse_seconds("2d"), 172800);
  EXPECT_EQ(refusal(parse_seconds, "20"),
            "expected a time (like 90s, 20min, 1.5h; units ms, s, min, h, d), got '20'");
  EXPECT_NE(refusal(parse_seconds, "20m"), "");
  EXPECT_EQ(parse_seconds(format_seconds(0.25)), 0.25);
  EXPECT_EQ(parse_seconds(format_seconds(1200)), 1200);
}

TEST(Units, BytesAreBinaryOrDecimalAsWritten) {
  EXPECT_EQ(parse_bytes("8GiB"), int64_t{8} << 30);
  EXPECT_EQ(parse_bytes("8GB"), 8'000'000'000);
  EXPECT_EQ(parse_bytes("512 MiB"), int64_t{512} << 20);
  EXPECT_EQ(parse_bytes("1.5KiB"), 1536);
  EXPECT_NE(refusal(parse_bytes, "8"), "");
  EXPECT_NE(refusal(parse_bytes, "8G"), "");
  EXPECT_NE(refusal(parse_bytes, "9000000TiB"), "");
}

}  // namespace
}  // namespace phalanx
