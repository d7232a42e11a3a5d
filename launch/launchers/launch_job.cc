#include "launch/launchers/launch_job.h"

#include <fmt/format.h>

namespace phalanx {
namespace {

constexpr const char* kPlain =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./@%";

std::string shell_word(const std::string& word) {
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string quoted = "'";
  for (const char letter : word) quoted += letter == '\'' ? "'\\''" : std::string(1, letter);
  return quoted + "'";
}

}  // namespace

std::string shell_line(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "" : " ") + shell_word(word);
  return line;
}

std::string launch_text(const LaunchText& launch) {
  std::string text;
  for (const LaunchFile& file : launch.files) {
    text += fmt::format("# {}\n{}\n", file.path, file.text);
  }
  return text + shell_line(launch.command) + "\n";
}

}  // namespace phalanx
