#include "trainer/metrics/attempts.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

namespace phalanx {
namespace {

constexpr uint64_t kMaxAttempts = uint64_t{1} << 32;  // beyond: no count of starts

}  // namespace

int64_t next_attempt(const std::filesystem::path& metrics) {
  std::ifstream file(metrics, std::ios::binary);
  int64_t next = 0;
  for (std::string line; std::getline(file, line);) {
    const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) continue;
    const auto attempt = json.find("attempt");
    if (attempt == json.end() || !attempt->is_number_unsigned()) continue;
    if (attempt->get<uint64_t>() < kMaxAttempts) next = attempt->get<int64_t>() + 1;
  }
  return next;
}

}  // namespace phalanx
