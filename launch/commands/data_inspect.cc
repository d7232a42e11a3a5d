#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <stdexcept>

#include "data/shards/dataset_reader.h"
#include "data/shards/dataset_verify.h"
#include "data/shards/document_lengths.h"
#include "data/store/open_dataset.h"
#include "launch/command_errors.h"
#include "launch/commands/data.h"
#include "launch/commands/inspect_report.h"
#include "launch/commands/progress_line.h"
#include "launch/commands/terminal_text.h"
#include "launch/environment.h"
#include "launch/store_environment.h"

namespace phalanx {
namespace {

// Of each sample: enough to see what it is.
constexpr int64_t kSampleTokens = 100;

struct InspectArguments {
  std::string folder, tokenizer;
  StoreSettings store;  // of a URL
  bool verify = false, quick = false, json = false;
  int64_t samples = 0;
  std::optional<int64_t> document;
};

double megabytes(int64_t bytes) { return static_cast<double>(bytes) / 1e6; }

std::vector<std::string> verify(const DatasetReader& reader) {
  int64_t total = 0;
  for (const ShardEntry& shard : reader.manifest().shards) total += shard.bin_bytes;
  ProgressLine line;
  return verify_dataset(reader, [&](int64_t bytes) {
    line.show(fmt::format("verifying: {:.1f} of {:.1f} MB", megabytes(bytes), megabytes(total)));
  });
}

LengthStatistics measure_lengths(const DatasetReader& reader) {
  LengthStatistics statistics;
  ProgressLine line;
  for (size_t shard = 0; shard < reader.manifest().shards.size(); ++shard) {
    DocumentLengths lengths(*reader.shard(shard));
    while (const auto length = lengths.next()) statistics.add(*length);
    line.show(fmt::format("lengths: {} of {} shards", shard + 1, reader.manifest().shards.size()));
  }
  return statistics;
}

PartReport inspect_part(const std::shared_ptr<const DatasetReader>& part,
                        const InspectArguments& arguments) {
  const DatasetReader& reader = *part;
  PartReport report;
  report.folder = reader.name();
  report.manifest = reader.manifest();
  if (arguments.verify) report.problems = verify(reader);
  // What is damaged is not read for more than its damage.
  if (report.problems && !report.problems->empty()) return report;
  if (!arguments.quick) report.lengths = measure_lengths(reader);
  const OriginReader origins(part);
  for (const int64_t i : sample_ordinals(report.manifest.num_documents(), arguments.samples)) {
    report.samples.push_back(find_document(reader, origins, i, kSampleTokens));
  }
  return report;
}

void inspect_document(const std::shared_ptr<const DatasetReader>& part,
                      const InspectArguments& arguments, const Tokenizer* tokenizer) {
  const InspectedDocument document =
      find_document(*part, OriginReader(part), *arguments.document, INT64_MAX);
  if (arguments.json) {
    fmt::print("{}\n", json_line(document_json(document, tokenizer)));
    return;
  }
  fmt::print("{}\n{}\n", document_line(document),
             terminal_text(document_text(document, tokenizer), LineEnds::kKeep));
}

/// The data set at `place` and, where it has them, its held-out documents.
std::vector<std::shared_ptr<const DatasetReader>> open_parts(const InspectArguments& arguments) {
  const auto files = std::make_shared<FilePool>();
  DatasetOpener opener(arguments.store, store_environment(environment), files);
  const DatasetParts found = opener.open({arguments.folder});
  std::vector<std::shared_ptr<const DatasetReader>> parts;
  for (const auto& part : {found.train, found.validation}) {
    if (part) parts.push_back(std::make_shared<const DatasetReader>(part, ReaderOptions{files}));
  }
  return parts;
}

void refuse_damage(const InspectArguments& arguments, size_t problems) {
  if (problems == 0) return;
  throw std::invalid_argument(fmt::format("{}: expected an undamaged data set, found {} problem{}",
                                          arguments.folder, problems, problems == 1 ? "" : "s"));
}

void run_inspect(const InspectArguments& arguments) {
  const auto parts = open_parts(arguments);
  std::unique_ptr<Tokenizer> tokenizer;
  if (!arguments.tokenizer.empty()) {
    tokenizer = load_tokenizer_of(arguments.tokenizer, *parts.front());
  }
  if (arguments.document) return inspect_document(parts.front(), arguments, tokenizer.get());
  Json json = Json::array();
  size_t problems = 0;
  for (const auto& part : parts) {
    const PartReport report = inspect_part(part, arguments);
    if (arguments.json) {
      json.push_back(part_json(report, tokenizer.get()));
    } else {
      print_part(report, tokenizer.get());
    }
    if (report.problems) problems += report.problems->size();
  }
  if (arguments.json) fmt::print("{}\n", json_line(json));
  refuse_damage(arguments, problems);
}

}  // namespace

void add_data_inspect_command(CLI::App& data) {
  auto arguments = std::make_shared<InspectArguments>();
  CLI::App* inspect = data.add_subcommand("inspect", "Show what a data set holds");
  inspect->footer(
      "Examples:\n"
      "  phalanx data inspect data/books --verify\n"
      "  phalanx data inspect data/books --samples 5 --tokenizer tokenizers/books\n"
      "  phalanx data inspect data/books/validation --document 17 --tokenizer tokenizers/books\n"
      "  phalanx data inspect s3://corpora/books --quick\n"
      "Documents are counted from 0. What could act on a terminal is shown as an escape (\\x1b).");
  inspect
      ->add_option("folder", arguments->folder,
                   "A data set, or what data pack made: a folder or a URL (https://, s3://)")
      ->required();
  CLI::Option* verify =
      inspect->add_flag("--verify", arguments->verify, "Read everything and compare the hashes");
  CLI::Option* quick = inspect->add_flag("--quick", arguments->quick,
                                         "Only what dataset.json says, no lengths of documents");
  CLI::Option* samples =
      inspect
          ->add_option("--samples", arguments->samples, "Show the beginnings of so many documents")
          ->check(at_least(0));
  inspect->add_option("--document", arguments->document, "Show this document whole, nothing else")
      ->excludes(quick)
      ->excludes(verify)
      ->excludes(samples);
  inspect->add_option("--tokenizer", arguments->tokenizer,
                      "Show text instead of ids: tokenizer.json, its folder, or .tiktoken");
  inspect->add_flag("--json", arguments->json, "For scripts: a list of data sets, or a document");
  inspect->callback([arguments] { run_inspect(*arguments); });
}

}  // namespace phalanx
