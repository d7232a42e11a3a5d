#include "data/json_writer.h"

#include <nlohmann/json.hpp>

namespace phalanx {

void JsonWriter::key(std::string_view name) {
  separate();
  text_ += nlohmann::json(name).dump();
  text_ += indent_ ? ": " : ":";
  after_key_ = true;
}

void JsonWriter::value(const nlohmann::json& scalar) {
  separate();
  text_ += scalar.dump();
}

void JsonWriter::member(std::string_view name, const nlohmann::json& scalar) {
  key(name);
  value(scalar);
}

void JsonWriter::begin(char bracket) {
  separate();
  text_ += bracket;
  has_values_.push_back(false);
}

void JsonWriter::end(char bracket) {
  const bool has_values = has_values_.back();
  has_values_.pop_back();
  if (has_values) begin_line();
  text_ += bracket;
}

void JsonWriter::separate() {
  const bool follows_key = after_key_;
  after_key_ = false;
  if (follows_key || has_values_.empty()) return;
  if (has_values_.back()) text_ += ',';
  has_values_.back() = true;
  begin_line();
}

void JsonWriter::begin_line() {
  if (!indent_) return;
  text_ += '\n';
  text_.append(has_values_.size() * static_cast<size_t>(*indent_), ' ');
}

}  // namespace phalanx
