// configs/REFERENCE.md is what the reader's own definitions say.
#include "configs/reference_page.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "configs/field_list.h"

namespace phalanx {
namespace {

TEST(ReferencePage, IsTheOneThatTheProgramPrints) {
  std::ifstream file(PHALANX_SOURCE_DIR "/configs/REFERENCE.md");
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_TRUE(text.str() == reference_page())
      << "run: build/phalanx config --reference > configs/REFERENCE.md";
}

TEST(ReferencePage, HasARowForEachField) {
  const std::string page = reference_page();
  for (const FieldDoc& doc : field_docs()) {
    const bool is_heading = doc.is_section && doc.path.find_first_of(".[") == std::string::npos;
    const std::string expected =
        is_heading ? "\n## " + doc.path + ": " : "\n| `" + doc.path + "` |";
    EXPECT_NE(page.find(expected), std::string::npos) << doc.path;
  }
}

}  // namespace
}  // namespace phalanx
