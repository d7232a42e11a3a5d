#pragma once
// Small parts of pictures: text, scales, colours. Pure; local.
#include <string>

namespace phalanx {

inline constexpr double kLetterWidth = 6.3;  // of 12-pixel text, on average, in pixels

/// Safe between tags and in attributes.
std::string escaped(const std::string& text);

/// What of `text` fits into `pixels`; with two points at its end if not all does.
std::string shortened(const std::string& text, double pixels);

/// The next of 1, 2 and 5 times a power of ten.
double round_up(double value);

/// `50B`, `2.5T`: three digits that say something, without zeros behind the point.
std::string axis_text(double tokens);

/// #rrggbb of a hue in degrees, with fixed saturation and about the given lightness.
std::string colour(double hue, double lightness);

/// In pixels; `left` is where text begins.
struct SvgFrame {
  double width, height, left;
};

/// The picture up to and with its title and a line below it: the first 60 pixels of its height.
std::string svg_head(const std::string& title, const std::string& subtitle, const SvgFrame& frame);

}  // namespace phalanx
