// What comes from outside with a store: the AWS files, which hold secrets that no message repeats;
// URLs, which are read back from what is written of them; answers, of which a person sees one line.
#include <algorithm>

#include "data/store/aws_profile.h"
#include "data/store/fetch_policy.h"
#include "data/store/store_url.h"
#include "tests/fuzz/fuzz.h"

namespace phalanx::fuzz {
namespace {

constexpr size_t kMaxLine = 400;

void check_profile(const std::string& text) {
  for (const char* section : {"default", "profile lab"}) {
    const std::string secret = "\n[default]\naws_secret_access_key = qX7-secret";
    (void)accepted("file:", [&] { return read_aws_section(text, section, "file"); });
    try {
      const auto settings = read_aws_section(secret + "\n" + text, section, "file");
      const auto key = settings.find("aws_secret_access_key");
      require(section != std::string("default") || key != settings.end(), "a setting is found");
      (void)read_aws_section(text + secret + "\n[broken", section, "file");
      require(false, "a broken line is refused");
    } catch (const std::invalid_argument& error) {
      require(std::string_view(error.what()).find("qX7") == std::string_view::npos,
              "no message holds a secret");
    }
  }
}

void check_url(const std::string& text) {
  try {
    const StoreUrl url = parse_store_url(text);
    require(is_store_url(text), "what is read as a URL is known as one");
    require(parse_store_url(url.text()) == url, "a URL is read back from its text");
    const StoreUrl file = url.below("a.bin");
    require(file.text() == url.text() + "/a.bin", "a file lies below");
  } catch (const std::invalid_argument&) {
    // A password before the @ is not repeated, which unit tests look at.
  }
}

void check_answer(const std::string& text) {
  for (const int status : {0, 200, 403, 503}) {
    HttpAnswer answer;
    answer.status = status;
    answer.body_start = text;
    answer.problem = "refused";
    answer.headers["retry-after"] = text.substr(0, 64);
    const std::string shown = answer_text(answer);
    require(shown.size() < kMaxLine, "an answer is shown in a line");
    require(std::all_of(shown.begin(), shown.end(), [](char c) { return c >= ' ' && c <= '~'; }),
            "nothing acts on a terminal");
    require(wait_seconds(3, answer, 1, 1'700'000'000) >= 0.5, "a wait is never shorter than ours");
    (void)blames_keys(answer);
  }
}

}  // namespace
}  // namespace phalanx::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(phalanx::fuzz::text_of(data, size));
  phalanx::fuzz::check_profile(text);
  phalanx::fuzz::check_url(text);
  phalanx::fuzz::check_answer(text);
  return 0;
}
