#include "trainer/checkpoint/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tests/trainer/checkpoint/support.h"
#include "trainer/checkpoint/safetensors_writer.h"

namespace phalanx {
namespace {

SafetensorsHeader parse(const std::string& bytes) {
  return read_safetensors_header(
      "f", static_cast<int64_t>(bytes.size()), [&](int64_t offset, std::span<std::byte> target) {
        if (offset + static_cast<int64_t>(target.size()) > static_cast<int64_t>(bytes.size())) {
          throw std::logic_error("read beyond the end");
        }
        std::memcpy(target.data(), bytes.data() + offset, target.size());
      });
}

std::string file_of(const std::string& header, size_t data_bytes) {
  std::string bytes(8, '\0');
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>(header.size() >> (8 * i));
  return bytes + header + std::string(data_bytes, '\1');
}

TEST(Safetensors, ReadsTensorsInTheOrderOfTheirBytes) {
  const SafetensorsHeader header = parse(file_of(
      R"({"b":{"dtype":"BF16","shape":[2,1],"data_offsets":[4,8]},"__metadata__":{"k":"v"},)"
      R"("a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}  )",
      8));
  ASSERT_EQ(header.tensors.size(), 2U);
  EXPECT_EQ(header.tensors[0].name, "a");
  EXPECT_TRUE(header.tensors[0].shape.empty());
  EXPECT_EQ(header.tensors[1].dtype, Dtype::kBF16);
  EXPECT_EQ(header.tensors[1].end - header.tensors[1].begin, 4);
  EXPECT_EQ(header.metadata.at("k"), "v");
}

struct BadFile {
  const char* header;
  size_t data_bytes;
  const char* message;
};

TEST(Safetensors, RefusesEveryBrokenRuleWithItsPlace) {
  const std::vector<BadFile> files{
      {" {}", 0, "expected '{'"},
      {"", 0, "expected '{'"},
      {"{", 0, "parse error"},
      {"{}x", 0, "parse error"},
      {"{}", 1, "expected 0 bytes of data, found 1"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 3, "expected 4 bytes of data"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8, "begin at 0, found [4, 8)"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4,
       "expected 8 bytes for F32 [2]"},
      {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
       R"("b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
       3, "tensor b: expected its data to begin at 2"},
      {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
       R"("a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
       1, "tensor a occurs twice"},
      {R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1,
       "key dtype occurs twice"},
      {R"({"a":{"dtype":"F31","shape":[1],"data_offsets":[0,1]}})", 1, "unknown dtype F31"},
      {R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})", 1,
       "tensor a: shape: expected whole numbers from 0 to 9223372036854775807, found -1"},
      {R"({"a":{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}})", 1, "found 1.5"},
      {R"({"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0,
       "is impossible"},
      {R"({"a":{"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,1]}})", 1,
       "found 18446744073709551615"},
      {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}})", 1,
       "data_offsets: expected at most 2"},
      {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1]}})", 1, "two data_offsets"},
      {R"({"a":{"dtype":"U8","shape":[1]}})", 1, "two data_offsets"},
      {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}})", 1, "unknown key x"},
      {R"({"a":[1]})", 0, "unexpected an array"},
      {R"({"a":{"shape":{}}})", 0, "unexpected an object"},
      {R"({"__metadata__":{"k":1}})", 0, "__metadata__: k: unexpected number 1"},
      {"{\"\xff\":1}", 0, "parse error"}};
  for (const BadFile& file : files) {
    const std::string message = message_of([&] { parse(file_of(file.header, file.data_bytes)); });
    EXPECT_CONTAINS(message, "f: safetensors header");
    EXPECT_CONTAINS(message, file.message);
  }
}

TEST(Safetensors, ChecksTheHeaderLengthBeforeItAllocates) {
  EXPECT_CONTAINS(message_of([] { parse("1234567"); }), "at least 8 bytes in the file, found 7");
  EXPECT_CONTAINS(message_of([] { parse(std::string(8, '\xff')); }), "length of at most 0");
  std::string lie = file_of("{}", 0);
  lie[1] = 1;
  EXPECT_CONTAINS(message_of([&] { parse(lie); }), "length of at most 2, found 258");
}

TEST(Safetensors, AHeaderHasAtMostHundredMillionBytes) {
  const auto read_blanks = [](int64_t length) {
    return read_safetensors_header("f", 8 + length, [&](int64_t offset, std::span<std::byte> out) {
      std::memset(out.data(), ' ', out.size());
      if (offset == 0) std::memcpy(out.data(), &length, out.size());
      if (offset == 8) std::memcpy(out.data(), "{}", 2);
    });
  };
  EXPECT_TRUE(read_blanks(100'000'000).tensors.empty());
  EXPECT_CONTAINS(message_of([&] { (void)read_blanks(100'000'001); }),
                  "f: safetensors header: expected a length of at most 100000000, found 100000001");
}

TEST(Safetensors, AZeroByteDoesNotEndAHeader) {
  EXPECT_CONTAINS(message_of([] { parse(file_of(std::string("{}\0{\"a\":1}", 10), 0)); }),
                  "byte 2: expected JSON, found a zero");
}

TEST(Safetensors, MessagesAreShortAndPrintable) {
  const std::string name = "\\u001b[2J" + std::string(1'000'000, 'x');
  const std::string message = message_of([&] { parse(file_of("{\"" + name + "\":1}", 0)); });
  EXPECT_CONTAINS(message, "tensor \"\\u001b[2Jxxx");
  EXPECT_LT(message.size(), 400U);
}

TEST(Safetensors, WriterSortsPadsAndRoundTrips) {
  const TemporaryFolder folder;
  SafetensorsWriter writer(
      folder.path() / "x",
      {{"z", Dtype::kF16, {3}}, {"b", Dtype::kF32, {2}}, {"a", Dtype::kF32, {0, 4}}},
      {{"format", "pt"}});
  ASSERT_EQ(writer.tensors()[0].name, "a");
  ASSERT_EQ(writer.tensors()[2].name, "z");
  const std::string data = "abcdefghijklmn";
  writer.write(std::as_bytes(std::span(data)));
  writer.finish();
  const std::string bytes = read_text(folder.path() / "x", 10000);
  const SafetensorsHeader header = parse(bytes);
  EXPECT_EQ(header.find("a")->begin % 8, 0);
  EXPECT_EQ(bytes.substr(static_cast<size_t>(header.find("z")->begin)), "ijklmn");
  EXPECT_EQ(header.find("missing"), nullptr);
}

TEST(Safetensors, WriterThatIsNotFinishedLeavesNoFile) {
  const TemporaryFolder folder;
  { SafetensorsWriter writer(folder.path() / "x", {{"a", Dtype::kF32, {1}}}); }
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "x"));
}

}  // namespace
}  // namespace phalanx
