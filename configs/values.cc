#include "configs/values.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include <fmt/format.h>

#include "configs/suggest.h"
#include "configs/units.h"
#include "configs/value_schema.h"

namespace phalanx {
namespace {

[[noreturn]] void refuse(const std::string& accepts, const std::string& found) {
  throw std::invalid_argument(fmt::format("expected {}, got {}", accepts, found));
}

/// The text of a plain scalar; numbers, flags and choices are never quoted.
const std::string& plain_text(const ConfigNode& node, const std::string& accepts) {
  if (node.kind != ConfigNode::Kind::kScalar) refuse(accepts, describe_kind(node));
  if (node.quoted) refuse(accepts, fmt::format("the text \"{}\"", node.text));
  return node.text;
}

/// Runs a parser of units.h and says, in its place, what this field accepts.
template <class Parse>
auto parsed(const ConfigNode& node, const std::string& accepts, Parse parse) {
  const std::string& text = plain_text(node, accepts);
  try {
    return parse(text);
  } catch (const std::invalid_argument&) {
    refuse(accepts, fmt::format("'{}'", text));
  }
}

std::string with_bound(const std::string& what, int64_t at_least) {
  return fmt::format("{} >= {}", what, at_least);
}

bool lies_in(double value, const RealRange& range) {
  const bool above = range.low_closed ? value >= range.low : value > range.low;
  return above && (range.high_closed ? value <= range.high : value < range.high);
}

double read_real(const ConfigNode& node, const RealRange& range) {
  const double value = parsed(node, range.name, parse_real);
  if (!lies_in(value, range)) refuse(range.name, fmt::format("'{}'", node.text));
  return value;
}

int64_t read_at_least(const ConfigNode& node, const std::string& accepts, int64_t at_least,
                      int64_t (*parse)(std::string_view)) {
  const int64_t value = parsed(node, accepts, parse);
  if (value < at_least) refuse(accepts, fmt::format("'{}'", node.text));
  return value;
}

std::string join_choices(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    text += i == 0 ? "" : i + 1 == names.size() ? " or " : ", ";
    text += names[i];
  }
  return text;
}

}  // namespace

Value text_value(std::string& variable) {
  const std::string accepts = "a text";
  return {accepts,
          [&variable, accepts](const ConfigNode& node) {
            if (node.kind != ConfigNode::Kind::kScalar) refuse(accepts, describe_kind(node));
            variable = node.text;
          },
          [&variable] { return quote_for_yaml(variable); }, schema_of_text};
}

Value name_value(std::string& variable, bool dots_allowed) {
  const std::string accepts = dots_allowed ? "a name (letters, digits, '_', '-', '.')"
                                           : "a name (letters, digits, '_', '-')";
  return {accepts,
          [&variable, accepts, dots_allowed](const ConfigNode& node) {
            if (node.kind != ConfigNode::Kind::kScalar) refuse(accepts, describe_kind(node));
            if (!is_name(node.text, dots_allowed)) refuse(accepts, fmt::format("'{}'", node.text));
            variable = node.text;
          },
          [&variable] { return quote_for_yaml(variable); },
          [=] { return schema_of_name(dots_allowed); }};
}

Value choice_value(std::vector<std::string> names, std::function<std::size_t()> get,
                   std::function<void(std::size_t)> set) {
  const std::string accepts = join_choices(names);
  return {accepts,
          [names, accepts, set](const ConfigNode& node) {
            const std::string& text = plain_text(node, accepts);
            const auto found = std::find(names.begin(), names.end(), text);
            if (found == names.end()) {
              const auto near = nearest(text, names);
              refuse(accepts, fmt::format("'{}'{}", text,
                                          near ? fmt::format("; did you mean '{}'?", *near) : ""));
            }
            set(static_cast<std::size_t>(found - names.begin()));
          },
          [names, get] { return names[get()]; }, [=] { return schema_of_choice(names); }};
}

Value flag_value(bool& variable) {
  return choice_value(
      {"false", "true"}, [&variable] { return variable ? 1u : 0u; },
      [&variable](std::size_t i) { variable = i == 1; });
}

Value integer_value(int64_t& variable, int64_t at_least, std::string unit) {
  const std::string accepts =
      with_bound(unit.empty() ? "a whole number" : "a whole number of " + unit, at_least) +
      " without a unit";
  return {accepts,
          [&variable, accepts, at_least](const ConfigNode& node) {
            variable = read_at_least(node, accepts, at_least, parse_integer);
          },
          [&variable] { return std::to_string(variable); },
          [=] { return schema_of_integer(at_least); }};
}

Value seed_value(uint64_t& variable) {
  const std::string accepts = "a whole number from 0 to 2^64 - 1";
  return {accepts,
          [&variable, accepts](const ConfigNode& node) {
            variable = parsed(node, accepts, parse_unsigned);
          },
          [&variable] { return std::to_string(variable); }, schema_of_seed};
}

Value count_value(int64_t& variable, int64_t at_least, std::string unit) {
  const std::string accepts = fmt::format("a count of {} >= {} (4096, 4M, 1.5B)", unit, at_least);
  return {accepts,
          [&variable, accepts, at_least](const ConfigNode& node) {
            variable = read_at_least(node, accepts, at_least, parse_count);
          },
          [&variable] { return std::to_string(variable); },
          [=] { return schema_of_count(at_least); }};
}

Value optional_count_value(std::optional<int64_t>& variable, std::string unit) {
  const std::string accepts = fmt::format("a count of {} >= 1 (4096, 4M, 1.5B)", unit);
  return {
      accepts,
      [&variable, accepts](const ConfigNode& node) {
        variable = read_at_least(node, accepts, 1, parse_count);
      },
      [&variable] { return variable ? std::optional(std::to_string(*variable)) : std::nullopt; },
      [=] { return schema_of_count(1); }};
}

Value real_value(double& variable, const RealRange& range) {
  return {range.name,
          [&variable, range](const ConfigNode& node) { variable = read_real(node, range); },
          [&variable] { return format_real(variable); }, [=] { return schema_of_real(range); }};
}

Value optional_real_value(std::optional<double>& variable, const RealRange& range) {
  return {range.name,
          [&variable, range](const ConfigNode& node) { variable = read_real(node, range); },
          [&variable] { return variable ? std::optional(format_real(*variable)) : std::nullopt; },
          [=] { return schema_of_real(range); }};
}

Value real_list_value(std::vector<double>& variable, const RealRange& range) {
  const std::string accepts = fmt::format("a list, each {}", range.name);
  return {accepts,
          [&variable, range, accepts](const ConfigNode& node) {
            if (node.kind != ConfigNode::Kind::kList) {
              throw std::invalid_argument(
                  fmt::format("expected {}, got {}", accepts, describe_kind(node)));
            }
            variable.clear();
            for (const ConfigNode& item : node.items) variable.push_back(read_real(item, range));
          },
          [&variable] {
            std::string text;
            for (const double value : variable) {
              text += (text.empty() ? "" : ", ") + format_real(value);
            }
            return "[" + text + "]";
          },
          [=] { return schema_of_list(schema_of_real(range)); }};
}

Value share_value(std::optional<double>& variable) {
  RealRange range = kWeight;
  range.name = "a weight from 0 to 1, or rest";
  return {range.name,
          [&variable, range](const ConfigNode& node) {
            const bool rest = node.kind == ConfigNode::Kind::kScalar && node.text == "rest";
            variable = rest ? std::nullopt : std::optional(read_real(node, range));
          },
          [&variable] { return variable ? format_real(*variable) : std::string("rest"); },
          [=] {
            return schema_of_any({schema_of_real(range), schema_of_word("rest")});
          }};
}

Value duration_value(Duration& variable) {
  const std::string accepts = "tokens (2B) or steps (200 steps)";
  return {accepts,
          [&variable, accepts](const ConfigNode& node) {
            variable = parsed(node, accepts, parse_duration);
          },
          [&variable] { return format_duration(variable); }, schema_of_duration};
}

Value duration_value_in(Duration& variable, Duration::Unit unit) {
  const std::string accepts = fmt::format("a count of {} >= 0 (4096, 4M, 1.5B)",
                                          unit == Duration::Unit::kSteps ? "steps" : "tokens");
  return {accepts,
          [&variable, accepts, unit](const ConfigNode& node) {
            variable = {unit, read_at_least(node, accepts, 0, parse_count)};
          },
          [&variable, unit] {
            return variable.unit == unit ? std::optional(std::to_string(variable.count))
                                         : std::nullopt;
          },
          [=] { return schema_of_count(0); }};
}

Value interval_value(Duration& variable, double& seconds) {
  const std::string accepts = "steps (200 steps), tokens (2B) or a time (20min)";
  return {accepts,
          [&variable, &seconds, accepts](const ConfigNode& node) {
            const std::string& text = plain_text(node, accepts);
            try {
              variable = parse_duration(text);
              seconds = 0;
            } catch (const std::invalid_argument&) {
              seconds = parsed(node, accepts, parse_seconds);
              variable = {Duration::Unit::kSteps, 0};
            }
          },
          [&variable, &seconds] {
            return seconds > 0 ? format_seconds(seconds) : format_duration(variable);
          },
          [=] {
            return schema_of_any({schema_of_duration(), schema_of_seconds()});
          }};
}

namespace {

double read_seconds(const ConfigNode& node, const std::string& accepts) {
  return plain_text(node, accepts) == "0" ? 0.0 : parsed(node, accepts, parse_seconds);
}

std::string write_seconds(double seconds) { return seconds == 0 ? "0" : format_seconds(seconds); }

/// A time or 0; no other number, for it would have no unit.
std::string seconds_schema() { return schema_of_any({R"({"const": 0})", schema_of_seconds()}); }

}  // namespace

Value seconds_value(double& seconds) {
  const std::string accepts = "a time (90s, 20min, 1.5h) or 0";
  return {accepts,
          [&seconds, accepts](const ConfigNode& node) { seconds = read_seconds(node, accepts); },
          [&seconds] { return write_seconds(seconds); }, seconds_schema};
}

Value auto_seconds_value(std::optional<double>& seconds) {
  const std::string accepts = "auto, a time (90s, 20min, 1.5h) or 0";
  return {accepts,
          [&seconds, accepts](const ConfigNode& node) {
            seconds.reset();
            if (plain_text(node, accepts) != "auto") seconds = read_seconds(node, accepts);
          },
          [&seconds] { return seconds ? write_seconds(*seconds) : std::string("auto"); },
          [=] {
            return schema_of_any({schema_of_word("auto"), seconds_schema()});
          }};
}

}  // namespace phalanx
