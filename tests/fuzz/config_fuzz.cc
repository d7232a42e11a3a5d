// The configuration: what is accepted and written back reads to the same values.
#include "configs/field_list.h"
#include "configs/read_config.h"
#include "tests/fuzz/fuzz.h"

namespace phalanx::fuzz {
namespace {

using Values = std::vector<std::pair<std::string, std::string>>;

Values values_of(const ResolvedConfig& config) {
  Values values;
  for (const FieldValue& value : field_values(config.run)) {
    values.emplace_back(value.path, value.value);
  }
  return values;
}

void check(std::string_view input) {
  ConfigRequest request;
  request.file = "x.yaml";
  request.config_dir = PHALANX_SOURCE_DIR "/configs";
  std::optional<ResolvedConfig> first;
  try {
    first = read_run_config_text(std::string(input), request);
  } catch (const std::invalid_argument& error) {  // a line each, of the file or of a preset
    require(error.what()[0] != '\0', "a refusal says something");
    return;
  }
  const ResolvedConfig again = read_run_config_text(resolved_yaml(*first), request);
  require(values_of(*first) == values_of(again), "what is written reads to the same values");
}

}  // namespace
}  // namespace phalanx::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  phalanx::fuzz::check(phalanx::fuzz::text_of(data, size));
  return 0;
}
