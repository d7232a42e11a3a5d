#pragma once
// The files of a Hugging Face folder beside its weights and config.json, carried as they are:
// tokenizer, chat template, settings of generation.
//
// Local; plain values. Errors: std::invalid_argument naming the file, the place, expected and
// found; std::system_error when a file cannot be read.
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

namespace phalanx {

using HfFiles = std::map<std::string, std::string>;  // contents by name

/// Those of the known names that the folder has.
[[nodiscard]] HfFiles read_hf_files(const std::filesystem::path& folder);

/// Those that are JSON are whole, and an object each: another program is to read them after us.
void check_json_files(const HfFiles& files, const std::string& folder);

/// tokenizer.json, if it is among the files, gives no id that a model of so many rows lacks.
void check_tokenizer_fits(const HfFiles& files, int64_t vocab_size, const std::string& folder);

}  // namespace phalanx
