#include "data/tokenizer/nfc.h"

#include <gtest/gtest.h>

namespace phalanx {
namespace {

std::string nfc(const std::string& text) {
  const Nfc nfc;
  std::string result = "untouched";
  if (!nfc.apply(text, result)) {
    EXPECT_EQ(result, "untouched");
    return text;
  }
  return result;
}

TEST(Nfc, composes_and_orders_marks) {
  EXPECT_EQ(nfc("e\u0301"), "\u00e9");
  EXPECT_EQ(nfc("a\u0301\u0323b"), "\u1ea1\u0301b");  // the mark below goes first
  EXPECT_EQ(nfc("a\u0315\u0300"), "\u00e0\u0315");    // past a mark of a higher class
  EXPECT_EQ(nfc("\u0041\u030a"), "\u00c5");
  EXPECT_EQ(nfc("\u212b"), "\u00c5");                // a singleton
  EXPECT_EQ(nfc("\u0958"), "\u0915\u093c");          // never composed back
  EXPECT_EQ(nfc("a\u0310\u0301"), "a\u0310\u0301");  // behind another mark of its class
  EXPECT_EQ(nfc("\u0301e\u0301"), "\u0301\u00e9");
}

TEST(Nfc, composes_hangul) {
  EXPECT_EQ(nfc("\u1112\u1161\u11ab"), "\uD55C");
  EXPECT_EQ(nfc("\ud558\u11ab"), "\uD55C");
  EXPECT_EQ(nfc("\ud55c\u11ab"), "\ud55c\u11ab");
}

TEST(Nfc, leaves_bytes_that_are_no_utf8) {
  EXPECT_EQ(nfc("e\xFF\u0301"), "e\xFF\u0301");
  EXPECT_EQ(nfc("\xC3"
                "e\u0301\xE4\xB8"),
            "\xC3\u00e9\xE4\xB8");
}

TEST(Nfc, text_without_marks_is_not_copied) {
  std::string result;
  EXPECT_FALSE(Nfc().apply("plain \u00e9 \u4e2d", result));
}

}  // namespace
}  // namespace phalanx
