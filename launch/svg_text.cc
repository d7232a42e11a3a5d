#include "launch/svg_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace phalanx {

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '"') {
      out += "&quot;";
    } else {
      out += c;
    }
  }
  return out;
}

std::string shortened(const std::string& text, double pixels) {
  const auto room = static_cast<size_t>(std::max(0.0, pixels / kLetterWidth));
  if (text.size() <= room) return text;
  return room < 3 ? "" : text.substr(0, room - 2) + "..";
}

double round_up(double value) {
  const double power = std::pow(10.0, std::floor(std::log10(value)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= value * (1 - 1e-9)) return factor * power;
  }
  return 10 * power;
}

std::string axis_text(double tokens) {
  for (const auto& [unit, name] : {std::pair{1e12, "T"}, {1e9, "B"}, {1e6, "M"}, {1e3, "K"}}) {
    if (tokens >= unit * 0.9995) return fmt::format("{:.3g}{}", tokens / unit, name);
  }
  return fmt::format("{:.0f}", tokens);
}

std::string colour(double hue, double lightness) {
  const double saturation = 0.62;
  // Green and yellow look lighter than they are, blue darker.
  if (hue > 30 && hue < 200) lightness -= 0.08;
  if (hue > 210 && hue < 280) lightness += 0.06;
  const auto channel = [&](double n) {
    const double k = std::fmod(n + hue / 30, 12);
    const double chroma = saturation * std::min(lightness, 1 - lightness);
    const double value = lightness - chroma * std::max(-1.0, std::min({k - 3, 9 - k, 1.0}));
    return static_cast<int>(std::lround(255 * value));
  };
  return fmt::format("#{:02x}{:02x}{:02x}", channel(0), channel(8), channel(4));
}

std::string svg_head(const std::string& title, const std::string& subtitle, const SvgFrame& frame) {
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" "
      "width=\"{0:.0f}\" height=\"{1:.0f}\" font-family=\"Helvetica, Arial, sans-serif\" "
      "font-size=\"12\">\n"
      "<style>.paper{{fill:#ffffff}}.ink{{fill:#1d2530}}.soft{{fill:#5d6877}}"
      ".grid{{stroke:#e2e6ec}}.edge{{stroke:#8a94a3}}\n"
      "@media (prefers-color-scheme: dark){{.paper{{fill:#12161c}}.ink{{fill:#e8ecf2}}"
      ".soft{{fill:#a3aebc}}.grid{{stroke:#2a323d}}.edge{{stroke:#6d7886}}.series{{filter:"
      "brightness(1.4)}}}}</style>\n"
      "<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n"
      "<text class=\"ink\" x=\"{2:.0f}\" y=\"28\" font-size=\"17\" "
      "font-weight=\"bold\">{3}</text>\n"
      "<text class=\"soft\" x=\"{2:.0f}\" y=\"47\">{4}</text>\n",
      frame.width, frame.height, frame.left, escaped(title), escaped(subtitle));
}

}  // namespace phalanx
