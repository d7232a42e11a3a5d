#pragma once
// The kinds of scalar that a configuration holds, each bound to the variable it fills.
// Local; the variable must outlive the Value. Units are in units.h.
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "configs/schema_visitor.h"
#include "configs/yaml_words.h"
#include "trainer/run_config.h"

namespace phalanx {

/// An interval of reals and its name: {0, 1, "a number from 0 to 1"}; ends belong to it if closed.
struct RealRange {
  double low;
  double high;
  bool low_closed;
  bool high_closed;
  const char* name;
};
inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr RealRange kPositive{0, kInfinity, false, false, "a number > 0"};
inline constexpr RealRange kNotNegative{0, kInfinity, true, false, "a number >= 0"};
inline constexpr RealRange kBelowOne{0, 1, true, false, "a number >= 0 and < 1"};
inline constexpr RealRange kPart{0, 1, false, true, "a number > 0 and at most 1"};
inline constexpr RealRange kWeight{0, 1, true, true, "a number from 0 to 1"};

Value text_value(std::string& variable);
Value name_value(std::string& variable, bool dots_allowed);
Value flag_value(bool& variable);
Value integer_value(int64_t& variable, int64_t at_least, std::string unit = "");
Value seed_value(uint64_t& variable);
/// With units: `4M`.
Value count_value(int64_t& variable, int64_t at_least, std::string unit);
Value optional_count_value(std::optional<int64_t>& variable, std::string unit);
Value real_value(double& variable, const RealRange& range);
Value optional_real_value(std::optional<double>& variable, const RealRange& range);
/// `[1, 1.5]`; each within the range.
Value real_list_value(std::vector<double>& variable, const RealRange& range);
/// A weight of a mix: a number, or `rest`, which is nullopt.
Value share_value(std::optional<double>& variable);
Value duration_value(Duration& variable);
/// One unit of a Duration that two fields (`warmup_tokens`, `warmup_steps`) share.
Value duration_value_in(Duration& variable, Duration::Unit unit);
/// Steps, tokens or a time.
Value interval_value(Duration& variable, double& seconds);

/// A time, or 0.
Value seconds_value(double& seconds);
/// The same, or `auto`, which is nullopt.
Value auto_seconds_value(std::optional<double>& seconds);

/// Choices by position: index -> name.
Value choice_value(std::vector<std::string> names, std::function<std::size_t()> get,
                   std::function<void(std::size_t)> set);

template <class Enum>
Value enum_value(Enum& variable, std::vector<std::pair<std::string, Enum>> choices) {
  std::vector<std::string> names;
  for (const auto& choice : choices) names.push_back(choice.first);
  const auto get = [&variable, choices] {
    std::size_t i = 0;
    while (choices[i].second != variable) ++i;
    return i;
  };
  return choice_value(names, get,
                      [&variable, choices](std::size_t i) { variable = choices[i].second; });
}

}  // namespace phalanx
