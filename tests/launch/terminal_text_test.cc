#include "launch/commands/terminal_text.h"

#include <gtest/gtest.h>

namespace phalanx {
namespace {

std::string line(std::string_view text) { return terminal_text(text, LineEnds::kEscape); }

TEST(TerminalText, KeepsWhatOnlyShows) {
  const std::string text = "plain ~ \xC3\xA9 \xE4\xB8\xAD \xF0\x9F\x98\x80 \xE2\x80\xA7";
  EXPECT_EQ(line(text), text);
  EXPECT_EQ(line(""), "");
}

TEST(TerminalText, EscapesEveryControlCharacter) {
  for (int code = 0; code < 0x20; ++code) {
    EXPECT_EQ(line(std::string(1, static_cast<char>(code)))[0], '\\') << code;
  }
  EXPECT_EQ(line(std::string("\0\x1b\x7f", 3)), "\\x00\\x1b\\x7f");
  EXPECT_EQ(line("a\nb\tc\rd\\"), "a\\nb\\tc\\rd\\\\");
  // U+0080, U+009B (which begins a sequence as ESC [ does), U+009F; then U+00A0, which is text.
  EXPECT_EQ(line("\xC2\x80\xC2\x9B\xC2\x9F\xC2\xA0"), "\\u0080\\u009b\\u009f\xC2\xA0");
  // Separators and the direction of writing.
  EXPECT_EQ(line("\xE2\x80\xA8\xE2\x80\xAE\xE2\x81\xA6\xE2\x80\x8F"),
            "\\u2028\\u202e\\u2066\\u200f");
}

TEST(TerminalText, KeepsLinesWhereAsked) {
  EXPECT_EQ(terminal_text("a\nb\tc\r\x1b", LineEnds::kKeep), "a\nb\tc\\r\\x1b");
}

TEST(TerminalText, EscapesBytesThatAreNotUtf8) {
  EXPECT_EQ(line("a\xFFz"), "a\\xffz");
  EXPECT_EQ(line("\x9b[31m"), "\\x9b[31m");
  EXPECT_EQ(line("\xC0\x9B"), "\\xc0\\x9b");                    // overlong
  EXPECT_EQ(line("\xE0\x80\x9B"), "\\xe0\\x80\\x9b");           // overlong
  EXPECT_EQ(line("\xF0\x80\x80\x9B"), "\\xf0\\x80\\x80\\x9b");  // overlong
  EXPECT_EQ(line("\xED\xA0\x80"), "\\xed\\xa0\\x80");           // a surrogate
  EXPECT_EQ(line("\xF4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // above U+10FFFF
  EXPECT_EQ(line("\xE4\xB8"), "\\xe4\\xb8");                    // cut off
  EXPECT_EQ(line("\xE4\x1b[0m"), "\\xe4\\x1b[0m");              // cut off by an escape
}

}  // namespace
}  // namespace phalanx
