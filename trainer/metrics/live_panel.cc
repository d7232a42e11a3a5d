#include "trainer/metrics/live_panel.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace phalanx {
namespace {

constexpr const char* kReset = "\x1b[0m";

const char* start_of(Style style) {
  switch (style) {
    case Style::kPlain:
      return "";
    case Style::kLabel:
      return "\x1b[2m";
    case Style::kStrong:
      return "\x1b[1m";
    case Style::kGood:
      return "\x1b[32m";
    case Style::kWarning:
      break;
  }
  return "\x1b[33m";
}

void print(const std::string& text) {
  std::fputs(text.c_str(), stderr);
  std::fflush(stderr);
}

/// The last column stays free: some terminals go on to the next line as soon as it is filled.
size_t usable(const TerminalSize& size) { return size.columns > 1 ? size.columns - 1 : 1; }

}  // namespace

size_t width_of(const PanelLine& line) {
  size_t width = 0;
  for (const Piece& piece : line) width += piece.text.size();
  return width;
}

std::string rendered(const PanelLine& line, size_t columns, bool colours) {
  std::string text;
  for (const Piece& piece : line) {
    const std::string part = piece.text.substr(0, columns);
    columns -= part.size();
    const bool styled = colours && piece.style != Style::kPlain && !part.empty();
    text += styled ? start_of(piece.style) + part + kReset : part;
  }
  return text;
}

TerminalSize terminal_size() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) {
    return {};
  }
  return {size.ws_col, size.ws_row};
}

/// Up to the first line of the panel, and everything from there on away. A terminal that became
/// narrower has folded its lines.
std::string LivePanel::erase(const TerminalSize& size) const {
  size_t rows = 0;
  for (const size_t width : widths_) rows += width == 0 ? 1 : (width - 1) / size.columns + 1;
  return rows == 0 ? "" : fmt::format("\x1b[{}A\r\x1b[J", std::min(rows, size.rows - 1));
}

std::string LivePanel::drawing(const TerminalSize& size) {
  std::string text;
  widths_.clear();
  for (const PanelLine& line : lines_) {
    if (widths_.size() + 1 >= size.rows) break;
    text += rendered(line, usable(size), colours_) + "\n";
    widths_.push_back(std::min(width_of(line), usable(size)));
  }
  return text;
}

void LivePanel::draw(const TerminalSize& size) {
  const std::string erased = erase(size);
  print(erased + drawing(size));
}

void LivePanel::print_above(std::string_view text, const TerminalSize& size) {
  const std::string erased = erase(size);
  print(fmt::format("{}{}\n{}", erased, text, drawing(size)));
}

}  // namespace phalanx
