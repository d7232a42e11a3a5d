#pragma once
// Text from documents as a terminal may show it: nothing in it can move the cursor, change colours
// or the direction of writing, or pass for a line of ours.
// Local, pure.
#include <string>
#include <string_view>

namespace phalanx {

enum class LineEnds { kEscape, kKeep };

/// Control characters become escapes (\n, \t, \r, \x1b, \u0085, \u202e), and so do bytes that are
/// not UTF-8 (\xff) and the backslash (\\), so that the bytes can be told from the text.
/// With kKeep line ends and tabs stay as they are.
[[nodiscard]] std::string terminal_text(std::string_view text, LineEnds line_ends);

}  // namespace phalanx
