#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <thread>

#include "data/shards/pack_dataset.h"
#include "data/tokenizer/encoder.h"
#include "data/tokenizer/tokenizer_file.h"
#include "launch/commands/data.h"
#include "launch/commands/progress_line.h"

namespace phalanx {
namespace {

struct PackArguments {
  std::vector<std::string> inputs;
  std::string tokenizer, output, kind, name, licence;
  double validation_fraction = 0.02;
  uint64_t seed = 0;
  std::string shard_tokens;
  int threads = 0;
};

double megabytes(int64_t bytes) { return static_cast<double>(bytes) / 1e6; }

/// "500000", "64K", "1.5M", "1B" (or "1G"): decimal.
int64_t parse_count(const std::string& option, const std::string& text) {
  const auto refuse = [&] {
    throw std::invalid_argument(fmt::format(
        "{}: expected a count such as 500000, 64K, 10M or 1B, found \"{}\"", option, text));
  };
  size_t digits = 0;
  double value = 0;
  try {
    value = std::stod(text, &digits);
  } catch (const std::exception&) {
    refuse();
  }
  const std::string suffix = text.substr(digits);
  double unit = 1;
  if (suffix == "K") {
    unit = 1e3;
  } else if (suffix == "M") {
    unit = 1e6;
  } else if (suffix == "B" || suffix == "G") {
    unit = 1e9;
  } else if (!suffix.empty()) {
    refuse();
  }
  const double count = value * unit;
  if (!(count >= 1 && count <= 1e12) || count != std::floor(count)) refuse();
  return static_cast<int64_t>(count);
}

int64_t parse_per_mille(double fraction) {
  const double per_mille = std::round(fraction * 1000);
  if (!(fraction >= 0 && fraction <= 0.5) || std::abs(fraction * 1000 - per_mille) > 1e-6) {
    throw std::invalid_argument(fmt::format(
        "--validation-fraction: expected 0 to 0.5 in steps of 0.001, found {}", fraction));
  }
  return static_cast<int64_t>(per_mille);
}

PackTokenizer pack_tokenizer(const Tokenizer& tokenizer) {
  return {.make_encoder =
              [&tokenizer] {
                return [encoder = std::make_shared<Encoder>(tokenizer)](std::string_view text) {
                  std::vector<int32_t> ids;
                  encoder->encode(text, ids);
                  return ids;
                };
              },
          .vocab_size = tokenizer.vocab_size(),
          .end_of_document = tokenizer.end_of_document(),
          .fingerprint = tokenizer.fingerprint()};
}

PackOptions pack_options(const PackArguments& arguments) {
  PackOptions options;
  options.inputs = arguments.inputs;
  options.output = arguments.output;
  const std::filesystem::path output = arguments.output;
  options.name = !arguments.name.empty() ? arguments.name
                 : output.has_filename() ? output.filename().string()
                                         : output.parent_path().filename().string();
  options.kind = parse_dataset_kind(arguments.kind);
  options.licence = arguments.licence;
  options.seed = arguments.seed;
  options.validation_per_mille = parse_per_mille(arguments.validation_fraction);
  if (!arguments.shard_tokens.empty()) {
    options.shard_tokens = parse_count("--shard-tokens", arguments.shard_tokens);
  }
  const auto cores = static_cast<int>(std::thread::hardware_concurrency());
  options.num_threads = arguments.threads > 0 ? arguments.threads : std::max(1, cores);
  return options;
}

std::string progress_text(const PackProgress& progress, double seconds) {
  if (progress.stage == PackProgress::Stage::kReading) {
    return fmt::format("reading: {} documents, {:.1f} MB", progress.documents,
                       megabytes(progress.text_bytes));
  }
  const double share =
      static_cast<double>(progress.documents) / static_cast<double>(progress.documents_total);
  return fmt::format("tokenizing: {} of {} documents, {:.1f} MB, {:.1f} MB/s, {:.0f} s left",
                     progress.documents, progress.documents_total, megabytes(progress.text_bytes),
                     megabytes(progress.text_bytes) / seconds, seconds * (1 / share - 1));
}

void print_part(const DatasetManifest& manifest) {
  fmt::print("  {:<11} {:>10} documents {:>14} tokens {:>10.1f} MB of text {:>4} shard{}\n",
             manifest.packing.part, manifest.num_documents(), manifest.num_tokens(),
             megabytes(manifest.text_bytes), manifest.shards.size(),
             manifest.shards.size() == 1 ? "" : "s");
}

void run_pack(const PackArguments& arguments) {
  const PackOptions options = pack_options(arguments);
  const std::unique_ptr<Tokenizer> tokenizer = load_tokenizer(arguments.tokenizer);
  ProgressLine line;
  auto stage = PackProgress::Stage::kReading;
  auto begin = std::chrono::steady_clock::now();
  const PackResult result =
      pack_dataset(options, pack_tokenizer(*tokenizer), [&](const PackProgress& progress) {
        const auto now = std::chrono::steady_clock::now();
        if (std::exchange(stage, progress.stage) != progress.stage) begin = now;
        const double seconds = std::chrono::duration<double>(now - begin).count();
        line.show(progress_text(progress, std::max(seconds, 1e-3)));
      });
  line.finish();
  fmt::print("packed {} ({}) into {}\n", options.name, arguments.kind, arguments.output);
  print_part(result.train);
  if (result.validation) print_part(*result.validation);
  if (result.train.packing.rejected_empty > 0) {
    fmt::print("  rejected    {:>10} documents without text\n",
               result.train.packing.rejected_empty);
  }
}

}  // namespace

void add_data_pack_command(CLI::App& data) {
  auto arguments = std::make_shared<PackArguments>();
  CLI::App* pack = data.add_subcommand("pack", "Turn text files into token shards");
  pack->footer(
      "Example:\n"
      "  phalanx data pack --input 'books/**/*.txt' more.jsonl --tokenizer tokenizers/books \\\n"
      "      --output data/books --kind organic --licence 'public domain'\n"
      "makes data/books/train and data/books/validation. Files that end in .jsonl hold one\n"
      "document a line in the field \"text\"; any other file is one document.");
  pack->add_option("inputs,--input", arguments->inputs,
                   "Files, folders or quoted patterns (*, ?, **)")
      ->required();
  pack->add_option("--tokenizer", arguments->tokenizer, "tokenizer.json, its folder, or .tiktoken")
      ->required();
  pack->add_option("--output", arguments->output, "Folder to make")->required();
  pack->add_option("--kind", arguments->kind, "organic or synthetic")->required();
  pack->add_option("--name", arguments->name, "Name of the data set (default: the folder's)");
  pack->add_option("--licence", arguments->licence, "Licence or origin, kept in the manifest");
  pack->add_option("--validation-fraction,--validation", arguments->validation_fraction,
                   "Share of the documents to hold out, in steps of 0.001")
      ->capture_default_str();
  pack->add_option("--seed", arguments->seed, "Seed of the document order")->capture_default_str();
  pack->add_option("--shard-tokens", arguments->shard_tokens,
                   "Most tokens in a shard, such as 100M (default: 2^30)");
  pack->add_option("--threads", arguments->threads,
                   "Tokenizing threads (default: all cores); the result does not depend on it");
  pack->callback([arguments] { run_pack(*arguments); });
}

}  // namespace phalanx
