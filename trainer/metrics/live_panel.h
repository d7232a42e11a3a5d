#pragma once
// A few lines at the bottom of a terminal that are drawn again in place. Local; one thread; prints
// to stderr. Below them the cursor stands at the beginning of a line, so that whatever else prints
// there does not run into them.
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace phalanx {

enum class Style { kPlain, kLabel, kStrong, kGood, kWarning };

struct Piece {
  std::string text;  // printable ASCII
  Style style = Style::kPlain;
};
using PanelLine = std::vector<Piece>;

/// Printed characters.
[[nodiscard]] size_t width_of(const PanelLine& line);
/// Cut to `columns`; with the escape sequences of its styles, or without any.
[[nodiscard]] std::string rendered(const PanelLine& line, size_t columns, bool colours);

struct TerminalSize {
  size_t columns = 80, rows = 24;
};
/// Of the terminal on stderr; the values above where there is none.
[[nodiscard]] TerminalSize terminal_size();

class LivePanel {
 public:
  explicit LivePanel(bool colours) : colours_(colours) {}

  /// The lines from now on, not drawn yet.
  void set(std::vector<PanelLine> lines) { lines_ = std::move(lines); }
  /// In the place of the lines before. What does not fit the terminal is cut off.
  void draw(const TerminalSize& size);
  /// `text` where the lines were, with which it scrolls away, and the lines drawn below.
  void print_above(std::string_view text, const TerminalSize& size);

 private:
  std::string erase(const TerminalSize& size) const;
  std::string drawing(const TerminalSize& size);

  bool colours_;
  std::vector<PanelLine> lines_;
  std::vector<size_t> widths_;  // of the lines on the screen
};

}  // namespace phalanx
