#include "launch/commands/tokenizer.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "data/tokenizer/bpe_trainer.h"
#include "data/tokenizer/encoder.h"
#include "data/tokenizer/tokenizer_file.h"
#include "launch/commands/json_line.h"
#include "launch/commands/training_text.h"

namespace phalanx {
namespace {

using nlohmann::json;

std::string decode_at(const Tokenizer& tokenizer, const std::vector<int32_t>& ids,
                      const std::string& place) {
  try {
    return tokenizer.decode(ids);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(fmt::format("{}: {}", place, error.what()));
  }
}

/// Another tokenizer in its place would make all data that were packed with it useless.
void require_no_tokenizer(const std::string& folder) {
  const std::filesystem::path file = std::filesystem::path(folder) / "tokenizer.json";
  if (!std::filesystem::exists(file)) return;
  throw std::invalid_argument(fmt::format(
      "--output: {}: expected no tokenizer there yet, found one; name another folder, or remove it",
      file.string()));
}

void save_and_say(const Tokenizer& tokenizer, const std::string& folder, std::ostream& out) {
  const std::string path = save_tokenizer(tokenizer, folder);
  write_at_once(out, fmt::format("{}: vocabulary {}, fingerprint {}\n", path,
                                 tokenizer.vocab_size(), tokenizer.fingerprint()));
}

void add_code_options(CLI::App& command, TokenizerCodeOptions& options) {
  command.add_option("--tokenizer", options.tokenizer, "tokenizer.json, its folder, or *.tiktoken")
      ->required();
  command.add_flag("--jsonl", options.jsonl, "One document a line, as JSON");
}

void add_train(CLI::App& tokenizer) {
  auto options = std::make_shared<TokenizerTrainOptions>();
  CLI::App* train = tokenizer.add_subcommand("train", "Train a byte-level BPE vocabulary on text");
  train
      ->add_option("--input", options->inputs,
                   "Files, folders or patterns; .json, .jsonl, .ndjson: a field of every line, "
                   ".parquet: a column of every row, any other file: one document; .gz, .zst and "
                   ".zstd are unpacked")
      ->required();
  train
      ->add_option("--format", options->format,
                   "What all inputs hold, whatever their names: jsonl, text or parquet")
      ->check(CLI::IsMember({"auto", "jsonl", "text", "parquet"}))
      ->capture_default_str();
  train->add_option("--text-field", options->text_field, "The field, or a Parquet file's column")
      ->capture_default_str();
  train->add_option("--vocab-size", options->vocab_size, "Tokens, specials counted")->required();
  train->add_option("--output", options->output, "Folder for tokenizer.json")->required();
  train->add_option("--threads", options->threads,
                    "Threads that count (default: all cores); the result does not depend on it");
  train->footer(
      "Example:\n"
      "  phalanx tokenizer train --input text/books text/web --vocab-size 32000 --output "
      "tokenizers/books");
  train->callback([options] { tokenizer_train(*options, std::cout); });
}

void add_encode(CLI::App& tokenizer) {
  auto options = std::make_shared<TokenizerCodeOptions>();
  CLI::App* encode = tokenizer.add_subcommand(
      "encode", "Text on standard input to ids; --jsonl: a JSON string a line to an array a line");
  encode->footer(
      "Examples:\n"
      "  phalanx tokenizer encode --tokenizer tokenizers/books < chapter.txt\n"
      "  echo '\"Call me Ishmael.\"' | phalanx tokenizer encode --tokenizer tokenizers/books "
      "--jsonl\n"
      "Each line is answered at once, so that a script may keep the program open and ask on.");
  add_code_options(*encode, *options);
  encode->add_flag("--specials", options->specials, "Recognise special tokens in the text");
  encode->add_flag("--keep-space", options->keep_space,
                   "Keep white space beside special tokens, also where the tokenizer's file says "
                   "that they take it along");
  encode->callback([options] { tokenizer_encode(*options, std::cin, std::cout); });
}

void add_decode(CLI::App& tokenizer) {
  auto options = std::make_shared<TokenizerCodeOptions>();
  CLI::App* decode = tokenizer.add_subcommand("decode",
                                              "Ids on standard input to text; --jsonl: an array a "
                                              "line to a JSON string a line, in which bytes "
                                              "that are not UTF-8 become U+FFFD");
  decode->footer(
      "Example:\n"
      "  echo '[312, 88]' | phalanx tokenizer decode --tokenizer tokenizers/books --jsonl");
  add_code_options(*decode, *options);
  decode->callback([options] { tokenizer_decode(*options, std::cin, std::cout); });
}

void add_convert(CLI::App& tokenizer) {
  auto options = std::make_shared<TokenizerConvertOptions>();
  CLI::App* convert =
      tokenizer.add_subcommand("convert", "Write a tokenizer as tokenizer.json for Hugging Face");
  convert
      ->add_option("--tokenizer", options->tokenizer, "tokenizer.json, its folder, or *.tiktoken")
      ->required();
  convert
      ->add_option("--specials", options->specials,
                   "file: those of the file; phi4: phi-4's 96, for the ranks of cl100k_base")
      ->check(CLI::IsMember({"file", "phi4"}))
      ->capture_default_str();
  convert->add_option("--output", options->output, "Folder for tokenizer.json")->required();
  convert->footer(
      "Example:\n"
      "  phalanx tokenizer convert --tokenizer cl100k_base.tiktoken --specials phi4 --output "
      "tokenizers/phi4");
  convert->callback([options] { tokenizer_convert(*options, std::cout); });
}

void add_info(CLI::App& tokenizer) {
  auto path = std::make_shared<std::string>();
  CLI::App* info =
      tokenizer.add_subcommand("info", "Print vocabulary size, specials and fingerprint");
  info->add_option("tokenizer,--tokenizer", *path, "tokenizer.json, its folder, or *.tiktoken")
      ->required();
  info->footer("Example:\n  phalanx tokenizer info tokenizers/books");
  info->callback([path] { tokenizer_info(*path, std::cout); });
}

}  // namespace

void add_tokenizer_command(CLI::App& app) {
  CLI::App* tokenizer = app.add_subcommand("tokenizer", "Train and use tokenizers");
  tokenizer->require_subcommand(1);
  tokenizer->footer("Example:\n  phalanx tokenizer info tokenizers/books");
  add_train(*tokenizer);
  add_encode(*tokenizer);
  add_decode(*tokenizer);
  add_convert(*tokenizer);
  add_info(*tokenizer);
}

void tokenizer_train(const TokenizerTrainOptions& options, std::ostream& out) {
  require_no_tokenizer(options.output);
  TrainingText text(options.inputs, {.text_field = options.text_field,
                                     .format = parse_file_format(options.format)});
  TrainOptions train_options;
  train_options.vocab_size = options.vocab_size;
  const auto cores = static_cast<int>(std::thread::hardware_concurrency());
  train_options.num_threads = options.threads > 0 ? options.threads : std::max(1, cores);
  const Tokenizer tokenizer(
      train_bpe([&text](std::string& document) { return text.next(document); }, train_options));
  save_and_say(tokenizer, options.output, out);
}

void tokenizer_convert(const TokenizerConvertOptions& options, std::ostream& out) {
  require_no_tokenizer(options.output);
  auto tokenizer = load_tokenizer(options.tokenizer);
  if (options.specials == "phi4") {
    const std::string name = tokenizer_file(options.tokenizer);
    tokenizer = std::make_unique<Tokenizer>(phi4_parts(tokenizer->parts(), name), name);
  }
  save_and_say(*tokenizer, options.output, out);
}

void tokenizer_encode(const TokenizerCodeOptions& options, std::istream& in, std::ostream& out) {
  const auto tokenizer = load_tokenizer(options.tokenizer);
  Encoder encoder(*tokenizer,
                  {.recognise_specials = options.specials, .keep_space = options.keep_space});
  std::vector<int32_t> ids;
  if (!options.jsonl) {
    const std::string text(std::istreambuf_iterator<char>(in), {});
    check_read(in);
    encoder.encode(text, ids);
    write_at_once(out, fmt::format("{}\n", fmt::join(ids, " ")));
  }
  std::string line;
  for (size_t number = 1; options.jsonl && std::getline(in, line); ++number) {
    const std::string place = fmt::format("standard input: line {}", number);
    const json text = parse_line(line, place);
    if (!text.is_string()) {
      throw std::invalid_argument(
          fmt::format("{}: expected a JSON string, found {}", place, shown(text)));
    }
    ids.clear();
    encoder.encode(text.get_ref<const std::string&>(), ids);
    write_at_once(out, fmt::format("[{}]\n", fmt::join(ids, ",")));
  }
  check_read(in);
}

void tokenizer_decode(const TokenizerCodeOptions& options, std::istream& in, std::ostream& out) {
  const auto tokenizer = load_tokenizer(options.tokenizer);
  if (!options.jsonl) {
    std::vector<int32_t> ids;
    std::string word;
    while (in >> word) {
      const std::string place = fmt::format("standard input: id {}", ids.size() + 1);
      ids.push_back(read_id(parse_line(word, place), tokenizer->vocab_size(), place));
    }
    check_read(in);
    write_at_once(out, decode_at(*tokenizer, ids, "standard input"));
  }
  std::string line;
  for (size_t number = 1; options.jsonl && std::getline(in, line); ++number) {
    const std::string place = fmt::format("standard input: line {}", number);
    const std::vector<int32_t> ids =
        read_ids(parse_line(line, place), tokenizer->vocab_size(), place);
    const std::string text = decode_at(*tokenizer, ids, place);
    write_at_once(out, json(text).dump(-1, ' ', false, json::error_handler_t::replace) + "\n");
  }
  check_read(in);
}

void tokenizer_info(const std::string& tokenizer_path, std::ostream& out) {
  const auto tokenizer = load_tokenizer(tokenizer_path);
  std::string text =
      fmt::format("vocabulary   {}\nfingerprint  {}\npattern      {}\n", tokenizer->vocab_size(),
                  tokenizer->fingerprint(), split_pattern_name(tokenizer->parts().pattern));
  for (const SpecialToken& special : tokenizer->parts().specials) {
    text += fmt::format("special      {}  {}\n", special.id, special.content);
  }
  write_at_once(out, text);
}

}  // namespace phalanx
