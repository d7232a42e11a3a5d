#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <stdexcept>

#include "data/shards/adopt_dataset.h"
#include "data/shards/convert_tokens.h"
#include "data/tokenizer/tokenizer_file.h"
#include "launch/commands/data.h"
#include "launch/commands/progress_line.h"
#include "launch/counted.h"

namespace phalanx {
namespace {

struct ConvertArguments {
  std::vector<std::string> adopt, inputs, validation;
  std::string tokenizer, output, from, name, licence;
  std::string kind = "organic";
  bool shuffled = false;
};

std::filesystem::path without_end_slash(const std::filesystem::path& path) {
  return path.has_filename() ? path : path.parent_path();
}

DatasetManifest facts(const ConvertArguments& arguments) {
  const std::unique_ptr<Tokenizer> tokenizer = load_tokenizer(arguments.tokenizer);
  DatasetManifest manifest;
  manifest.kind = parse_dataset_kind(arguments.kind);
  manifest.licence = arguments.licence;
  manifest.tokenizer = tokenizer->fingerprint();
  manifest.vocab_size = tokenizer->vocab_size();
  manifest.end_of_document = tokenizer->end_of_document();
  manifest.packing.shuffled = arguments.shuffled;
  const std::filesystem::path named =
      arguments.output.empty() ? arguments.adopt.front() : arguments.output;
  manifest.name =
      arguments.name.empty() ? without_end_slash(named).filename().string() : arguments.name;
  return manifest;
}

/// Shows how far a command has read.
class ReadingLine {
 public:
  explicit ReadingLine(const char* what) : what_(what) {}

  void show(int64_t bytes, int64_t total) {
    const auto elapsed = std::chrono::steady_clock::now() - begin_;
    const double seconds = std::max(std::chrono::duration<double>(elapsed).count(), 1e-3);
    const double done = static_cast<double>(bytes), all = static_cast<double>(total);
    line_.show(fmt::format("{}: {:.1f} of {:.1f} MB, {:.1f} MB/s, {:.0f} s left", what_, done / 1e6,
                           all / 1e6, done / 1e6 / seconds, seconds * (all / done - 1)));
  }
  void finish() { line_.finish(); }

 private:
  const char* what_;
  ProgressLine line_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

void print_counts(const DatasetManifest& manifest) {
  fmt::print("  {}, {} of {} in {}, {}\n", counted(manifest.num_documents(), "document"),
             counted(manifest.num_tokens(), "token"), token_type_name(manifest.token_type),
             counted(static_cast<int64_t>(manifest.shards.size()), "shard"),
             manifest.packing.shuffled ? "shuffled" : "in the order of the input");
}

void run_adopt(const ConvertArguments& arguments) {
  AdoptOptions options{{arguments.adopt.begin(), arguments.adopt.end()},
                       without_end_slash(arguments.output),
                       facts(arguments)};
  ReadingLine line("reading");
  const AdoptResult result =
      adopt_dataset(options, [&](int64_t bytes, int64_t total) { line.show(bytes, total); });
  line.finish();
  const DatasetManifest& manifest = result.manifest;
  fmt::print("adopted {} ({}) as {}\n", manifest.name, dataset_kind_name(manifest.kind),
             (result.folder / kManifestName).string());
  print_counts(manifest);
  fmt::print("  largest id {} of a vocabulary of {}\n", result.max_id, manifest.vocab_size);
  if (result.empty_documents > 0) {
    fmt::print("  {} without tokens; nothing is read for them\n",
               counted(result.empty_documents, "document"));
  }
  if (result.documents_without_end > 0) {
    fmt::print(stderr,
               "phalanx: warning: {} of {} documents do not end with the end-of-document token {}: "
               "a model sees no sign between them and the next\n",
               result.documents_without_end, manifest.num_documents() - result.empty_documents,
               manifest.end_of_document);
  }
}

std::optional<TokenFileKind> parse_from(const std::string& from) {
  if (from.empty()) return std::nullopt;
  return from == "llmc" ? TokenFileKind::kLlmc : TokenFileKind::kNanoGpt;
}

void print_converted(const ConvertedPart& part) {
  const DatasetManifest& manifest = part.manifest;
  fmt::print("  {}\n", manifest.packing.part);
  print_counts(manifest);
  fmt::print(
      "  {} read, {} of them end-of-document tokens; {} without tokens left out, {} joined over "
      "the edge of two files\n",
      counted(part.tokens_read, "token"), part.ends_read,
      counted(manifest.packing.rejected_empty, "document"), part.joined_documents);
}

void run_convert(const ConvertArguments& arguments) {
  if (arguments.output.empty()) {
    throw std::invalid_argument("--output: expected the folder to make, found none");
  }
  ConvertOptions options;
  options.inputs.assign(arguments.inputs.begin(), arguments.inputs.end());
  options.validation.assign(arguments.validation.begin(), arguments.validation.end());
  options.output = without_end_slash(arguments.output);
  options.kind = parse_from(arguments.from);
  options.facts = facts(arguments);
  ReadingLine line("converting");
  const ConvertResult result =
      convert_tokens(options, [&](int64_t bytes, int64_t total) { line.show(bytes, total); });
  line.finish();
  fmt::print("converted {} ({}) into {}\n", options.facts.name, arguments.kind,
             options.output.string());
  print_converted(result.train);
  if (result.validation) print_converted(*result.validation);
}

void run(const ConvertArguments& arguments) {
  if (arguments.adopt.empty() == arguments.inputs.empty()) {
    throw std::invalid_argument(
        fmt::format("data convert: expected --adopt PREFIX... or --input FILE..., found {}",
                    arguments.adopt.empty() ? "neither" : "both"));
  }
  if (arguments.adopt.empty()) {
    run_convert(arguments);
  } else if (!arguments.from.empty() || !arguments.validation.empty()) {
    throw std::invalid_argument(fmt::format("{}: expected with --input only, found with --adopt",
                                            arguments.from.empty() ? "--validation" : "--from"));
  } else {
    run_adopt(arguments);
  }
}

void add_options(CLI::App& convert, ConvertArguments& arguments) {
  convert.add_option("--adopt", arguments.adopt,
                     "Megatron corpora, PREFIX of PREFIX.bin and PREFIX.idx: the shards, in order");
  convert.add_option("--input", arguments.inputs, "Token files of llm.c or nanoGPT, in order");
  convert.add_option("--validation", arguments.validation, "More of them, to hold out");
  convert
      .add_option("--from", arguments.from,
                  "What wrote these files (default: llm.c, known by its header)")
      ->check(CLI::IsMember({"llmc", "nanogpt"}));
  convert
      .add_option("--tokenizer", arguments.tokenizer,
                  "Of the ids: tokenizer.json, its folder, or .tiktoken")
      ->required();
  convert.add_option("--output", arguments.output,
                     "Folder to make; with --adopt: of links, instead of a dataset.json beside the "
                     "corpus");
  convert.add_option("--kind", arguments.kind, "organic or synthetic")->capture_default_str();
  convert.add_option("--name", arguments.name,
                     "Name of the data set (default: that of the output or the first PREFIX)");
  convert.add_option("--licence", arguments.licence, "Licence or origin, kept in the manifest");
  convert.add_flag("--shuffled", arguments.shuffled,
                   "The documents are in random order; training warns of a corpus that is not");
}

}  // namespace

void add_data_convert_command(CLI::App& data) {
  auto arguments = std::make_shared<ConvertArguments>();
  CLI::App* convert = data.add_subcommand("convert", "Make a data set of tokens made elsewhere");
  convert->footer(
      "Examples:\n"
      "  phalanx data convert --adopt corpus/web_text_document --tokenizer tokenizers/web\n"
      "writes corpus/dataset.json and nothing else; corpus/ is a data set then.\n"
      "  phalanx data convert --adopt a/web b/web --tokenizer tokenizers/web --output data/web\n"
      "makes data/web of links, for corpora in several folders or several in one.\n"
      "  phalanx data convert --input web_train_*.bin --validation web_val_*.bin \\\n"
      "      --tokenizer tokenizers/web --output data/web\n"
      "cuts llm.c's token files into documents; nanoGPT's want --from nanogpt.");
  add_options(*convert, *arguments);
  convert->callback([arguments] { run(*arguments); });
}

}  // namespace phalanx
