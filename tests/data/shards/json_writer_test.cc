#include "data/json_writer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace phalanx {
namespace {

using Json = nlohmann::ordered_json;

void write(JsonWriter& writer, const Json& value) {
  if (value.is_object()) {
    writer.begin_object();
    for (const auto& [key, member] : value.items()) {
      writer.key(key);
      write(writer, member);
    }
    writer.end_object();
  } else if (value.is_array()) {
    writer.begin_list();
    for (const Json& item : value) write(writer, item);
    writer.end_list();
  } else {
    writer.value(value);
  }
}

TEST(JsonWriter, WritesWhatTheLibraryWrites) {
  for (const char* text :
       {"{}", "[]", "7", "\"a\"", "[[], {}, [[]]]", "{\"a\": {}, \"b\": [], \"c\": [{}, 1]}",
        "[-1, 18446744073709551615, 1e-05, 250000.0, 0.1, 1e22, null, true, false]",
        "{\"a \\\"key\\\"\\n\": \"\\u0001\\\\/\\u00e4\\ud83d\\ude00\", \"b\": {\"c\": [1, [2, "
        "{}]]}}"}) {
    const Json value = Json::parse(text);
    JsonWriter line, page(/*indent=*/1), wide(/*indent=*/4);
    for (JsonWriter* writer : {&line, &page, &wide}) write(*writer, value);
    EXPECT_EQ(line.text(), value.dump());
    EXPECT_EQ(page.text(), value.dump(1));
    EXPECT_EQ(wide.text(), value.dump(4));
  }
}

TEST(JsonWriter, AMemberIsAKeyWithItsValue) {
  JsonWriter writer;
  writer.begin_object();
  writer.member("a", 1);
  writer.member("b", "two");
  writer.end_object();
  EXPECT_EQ(writer.text(), "{\"a\":1,\"b\":\"two\"}");
}

TEST(JsonWriter, RefusesWhatIsNotUtf8) {
  JsonWriter writer;
  EXPECT_THROW(writer.value("\xff"), nlohmann::json::exception);
}

}  // namespace
}  // namespace phalanx
