#include "launch/command_errors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "configs/suggest.h"

namespace phalanx {
namespace {

bool is_option(const std::string& word) { return word.size() > 1 && word.front() == '-'; }

std::vector<std::string> command_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::App* sub : command.get_subcommands({})) names.push_back(sub->get_name());
  return names;
}

std::vector<std::string> option_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

/// "; did you mean 'train'?", or the names that there are.
std::string hint(const std::string& word, const std::vector<std::string>& known) {
  if (const auto near = nearest(word, known)) return fmt::format("; did you mean '{}'?", *near);
  return known.size() > 20 ? "" : fmt::format("; known: {}", fmt::join(known, ", "));
}

/// A word in the place of a command that is none.
std::optional<std::string> unknown_command(const CLI::App& command, const std::string& word) {
  const std::vector<std::string> names = command_names(command);
  if (names.empty() || std::find(names.begin(), names.end(), word) != names.end()) {
    return std::nullopt;
  }
  return fmt::format("expected a command, found '{}'{}", word, hint(word, names));
}

std::optional<std::string> unknown_option(const CLI::App& command, const std::string& word) {
  const std::string name = word.substr(0, word.find('='));
  const std::vector<std::string> names = option_names(command);
  if (!name.starts_with("--") || std::find(names.begin(), names.end(), name) != names.end()) {
    return std::nullopt;
  }
  return fmt::format("unknown option {}{}", name, hint(name, names));
}

}  // namespace

std::string command_line_error(const CLI::App& app, const CLI::Error& error,
                               const std::vector<std::string>& words) {
  const CLI::App* command = &app;
  std::string path = app.get_name();
  std::optional<std::string> found;
  for (const std::string& word : words) {
    if (found) break;
    if (is_option(word)) {
      found = unknown_option(*command, word);
    } else if (!command->get_subcommands({}).empty()) {
      found = unknown_command(*command, word);
      if (found) break;
      command = command->get_subcommand(word);
      path += " " + word;
    }
  }
  return fmt::format("{} (see {} --help)", found.value_or(error.what()), path);
}

CLI::Validator at_least(int64_t low) {
  const auto check = [low](const std::string& text) {
    int64_t value = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool whole = parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
    if (whole && value >= low) return std::string();
    return fmt::format("expected a whole number from {} on, found {}", low, text);
  };
  return CLI::Validator(check, fmt::format("from {} on", low));
}

}  // namespace phalanx
