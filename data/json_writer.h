#pragma once
// JSON written as text at once, as nlohmann::json::dump() has it.
//
// For what runs beside training: the library's tree takes memory even as it is freed, and where
// there is none to be had then, the program ends (basic_json's destructor is noexcept).
//
// Local; one thread. Keys come in the caller's order. Errors: of nlohmann::json for text that is
// not UTF-8.
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace phalanx {

class JsonWriter {
 public:
  /// Spaces a level, each value on a line of its own; none: all on one line.
  explicit JsonWriter(std::optional<int> indent = std::nullopt) : indent_(indent) {}

  void begin_object() { begin('{'); }
  void end_object() { end('}'); }
  void begin_list() { begin('['); }
  void end_list() { end(']'); }
  /// Of the value that is written next.
  void key(std::string_view name);
  /// A number, a string, true, false or null.
  void value(const nlohmann::json& scalar);
  void member(std::string_view name, const nlohmann::json& scalar);

  const std::string& text() const { return text_; }

 private:
  void begin(char bracket);
  void end(char bracket);
  void separate();
  void begin_line();

  std::optional<int> indent_;
  std::string text_;
  std::vector<bool> has_values_;  // of each open list or object
  bool after_key_ = false;
};

}  // namespace phalanx
