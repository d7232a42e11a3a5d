// `phalanx tokenizer train|encode|decode|convert|info`. Local; one process.
// Results go to the output stream, nothing else does. Bad input leaves as std::invalid_argument, a
// failing machine as std::system_error.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace phalanx {

// Adds the command and its subcommands; their work runs in CLI11's callbacks, on std::cin and
// std::cout.
void add_tokenizer_command(CLI::App& app);

struct TokenizerTrainOptions {
  // Files, folders (every file below them) or glob patterns, read as record_reader.h says. The
  // order of documents is that of the arguments, sorted within each.
  std::vector<std::string> inputs;
  int64_t vocab_size = 0;
  std::string output;  // folder
  std::string text_field = "text";
  std::string format = "auto";  // of all inputs (file_kind.h)
  int threads = 0;              // that count; 0: one a core
};

struct TokenizerCodeOptions {
  std::string tokenizer;    // file, or folder with tokenizer.json
  bool jsonl = false;       // a document a line: JSON strings to JSON arrays of ids, or back
  bool specials = false;    // encode only: recognise special tokens in the text
  bool keep_space = false;  // encode only: EncodeOptions
};

struct TokenizerConvertOptions {
  std::string tokenizer;          // file, or folder with tokenizer.json
  std::string specials = "file";  // or "phi4" (phi4_parts())
  std::string output;             // folder
};

void tokenizer_train(const TokenizerTrainOptions& options, std::ostream& out);
void tokenizer_encode(const TokenizerCodeOptions& options, std::istream& in, std::ostream& out);
void tokenizer_decode(const TokenizerCodeOptions& options, std::istream& in, std::ostream& out);
void tokenizer_convert(const TokenizerConvertOptions& options, std::ostream& out);
void tokenizer_info(const std::string& tokenizer, std::ostream& out);

}  // namespace phalanx
