#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "configs/units.h"
#include "data/shards/pack_dataset.h"
#include "data/tokenizer/encoder.h"
#include "data/tokenizer/tokenizer_file.h"
#include "launch/commands/data.h"
#include "launch/commands/pack_report.h"
#include "launch/commands/progress_line.h"
#include "launch/descriptor_limit.h"
#include "launch/environment.h"
#include "launch/speak_once.h"
#include "parallel/agreement.h"

namespace phalanx {
namespace {

struct PackArguments {
  std::vector<std::string> inputs;
  std::string tokenizer, output, kind, name, licence;
  double validation_fraction = 0.02;
  uint64_t seed = 0;
  std::string shard_tokens, text_field = "text", format = "auto", memory = "2GiB", unit, share;
  std::vector<int64_t> bin_lengths;
  int64_t max_bad_lines = 0;
  int threads = 0;
};

/// A number with a unit as the configuration has it; the option's name goes in front.
template <typename Parse>
int64_t parse_option(const char* option, const std::string& text, const Parse& parse) {
  try {
    return parse(text);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(fmt::format("{}: {}", option, error.what()));
  }
}

/// "2/16" is the third of sixteen.
JobShare parse_share(const std::string& text) {
  JobShare share;
  const char* end = text.data() + text.size();
  const auto index = std::from_chars(text.data(), end, share.index);
  auto size = index;
  if (index.ec == std::errc() && index.ptr != end && *index.ptr == '/') {
    size = std::from_chars(index.ptr + 1, end, share.size);
  }
  if (size.ptr == index.ptr || size.ec != std::errc() || size.ptr != end || share.index < 0 ||
      share.index >= share.size) {
    throw std::invalid_argument(
        fmt::format("--shard: expected i/N with 0 <= i < N, such as 0/16, found \"{}\"", text));
  }
  return share;
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

PackOptions pack_options(const PackArguments& arguments, int processes_here) {
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
    options.shard_tokens = parse_option("--shard-tokens", arguments.shard_tokens, parse_count);
  }
  options.text_field = arguments.text_field;
  options.format = parse_file_format(arguments.format);
  options.bin_lengths = arguments.bin_lengths;
  std::sort(options.bin_lengths.begin(), options.bin_lengths.end());
  options.memory_bytes = parse_option("--memory", arguments.memory, parse_bytes);
  if (!arguments.unit.empty()) {
    options.unit_bytes = parse_option("--unit", arguments.unit, parse_bytes);
  }
  options.max_bad_lines = arguments.max_bad_lines;
  const auto cores = static_cast<int>(std::thread::hardware_concurrency());
  options.num_threads =
      arguments.threads > 0 ? arguments.threads : std::max(1, cores / processes_here);
  return options;
}

/// Members of a job array come back when the others have done their share.
void stop_while_left(int64_t left, const char* what) {
  if (left == 0) return;
  throw StoppedError(
      fmt::format("this share is done, others have {} {} left: run the same command again when "
                  "they have ended; what is finished is kept",
                  left, what));
}

JobShare share_of(const PackArguments& arguments, const Session& session) {
  if (session.size() == 1) {
    return arguments.share.empty() ? JobShare{} : parse_share(arguments.share);
  }
  if (!arguments.share.empty()) {
    throw std::invalid_argument(
        fmt::format("--shard: expected one process, found {} ranks, which share the work anyway",
                    session.size()));
  }
  return {session.rank(), session.size()};
}

/// The phases of a job; between two of them all ranks have met.
ExitCode pack_on_session(const PackArguments& arguments, Session& session) {
  Communicator& control = session.control();
  const bool first = session.rank() == 0;
  const JobShare share = together(control, [&] { return share_of(arguments, session); });
  const auto tokenizer = together(control, [&] { return load_tokenizer(arguments.tokenizer); });
  ProgressLine line;
  std::unique_ptr<PackJob> job;
  // The first alone, since it makes the folder, and there may be no locks to keep others off.
  for (const bool turn : {true, false}) {
    together(control, [&] {
      if (first != turn) return;
      job = std::make_unique<PackJob>(pack_options(arguments, session.local_size()),
                                      pack_tokenizer(*tokenizer),
                                      first ? show_pack_progress(line) : ReportProgress());
    });
  }
  if (first) warn_without_locks(*job, arguments.output);
  together(control, [&] { job->encode_units(share); });
  together(control, [&] {
    if (!first) return;
    stop_while_left(job->units_left(), "unit(s) of the input");
    job->plan_shards();
  });
  together(control, [&] { job->write_shards(share); });
  together(control, [&] {
    if (!first) return;
    stop_while_left(job->shards_left(), "shard(s)");
    const PackResult result = job->finish();
    line.finish();
    print_pack_result(*job, result, arguments.output);
  });
  return ExitCode::kDone;
}

ExitCode run_pack(const PackArguments& arguments) {
  raise_descriptor_limit();
  Session session = open_session(environment, {Device::kCpu});
  return speak_once(session, [&] { return pack_on_session(arguments, session); });
}

void add_scale_options(CLI::App& pack, PackArguments& arguments) {
  pack.add_option("--text-field", arguments.text_field,
                  "Field of a JSON line, or column of a Parquet file, that holds the text")
      ->capture_default_str();
  pack.add_option("--format", arguments.format,
                  "What all inputs hold, whatever their names: jsonl, text or parquet")
      ->check(CLI::IsMember({"auto", "jsonl", "text", "parquet"}))
      ->capture_default_str();
  pack.add_option("--best-fit", arguments.bin_lengths,
                  "Also make rows of whole documents for these sequence lengths (data.packing)")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30));
  pack.add_option(
          "--max-bad-lines", arguments.max_bad_lines,
          "Lines, rows and files without a document to skip and list in rejected.jsonl; one more "
          "stops")
      ->capture_default_str();
  pack.add_option("--memory", arguments.memory,
                  "Memory of a process for the shuffle, which is done on disk beyond it")
      ->capture_default_str();
  pack.add_option("--unit", arguments.unit,
                  "Input of a unit of work: what a kill can cost (default: 256MiB, or a 1024th of "
                  "the input; at least a file)");
  pack.add_option("--shard", arguments.share,
                  "i/N: do only this share of the work, as one of N members of a job array");
}

}  // namespace

void add_data_pack_command(CLI::App& data) {
  auto arguments = std::make_shared<PackArguments>();
  CLI::App* pack = data.add_subcommand("pack", "Turn text files into token shards");
  pack->footer(
      "Examples:\n"
      "  phalanx data pack --input 'books/**/*.txt' more.jsonl.zst --tokenizer tokenizers/books "
      "\\\n"
      "      --output data/books --kind organic --licence 'public domain'\n"
      "  mpirun -np 8 phalanx data pack ...                  # ranks share the work\n"
      "  phalanx data pack ... --shard $SLURM_ARRAY_TASK_ID/64      # a job array does; run it\n"
      "      again while it ends with 75: the others were not done\n"
      "makes data/books/train and data/books/validation, the same bytes however many share the\n"
      "work. .json, .jsonl and .ndjson hold one document a line in the field \"text\", .parquet "
      "one\n"
      "a row; any other file is one document, unless --format says what all inputs hold; .gz,\n"
      ".zst and .zstd are unpacked. After a kill the same command goes on with what is in\n"
      "data/books.tmp.");
  // Given either way; required() would have the help ask for both.
  pack->add_option("inputs,--input", arguments->inputs,
                   "Files, folders or quoted patterns (*, ?, **), at least one");
  pack->add_option("--tokenizer", arguments->tokenizer, "tokenizer.json, its folder, or .tiktoken")
      ->required();
  pack->add_option("--output", arguments->output, "Folder to make")->required();
  pack->add_option("--kind", arguments->kind, "organic or synthetic")->required();
  pack->add_option("--name", arguments->name, "Name of the data set (default: the folder's)");
  pack->add_option("--licence", arguments->licence, "Licence or origin, kept in the manifest");
  pack->add_option("--validation-fraction,--validation", arguments->validation_fraction,
                   "Share of the documents to hold out, in steps of 0.001")
      ->capture_default_str();
  pack->add_option("--seed", arguments->seed, "Seed of the document order")
      ->check([](const std::string& text) {
        return text.starts_with("-") ? "expected a whole number from 0 on, found " + text : "";
      })
      ->capture_default_str();
  pack->add_option("--shard-tokens", arguments->shard_tokens,
                   "Most tokens in a shard, such as 100M (default: 2^30)");
  pack->add_option("--threads", arguments->threads,
                   "Tokenizing threads (default: all cores); the result does not depend on it")
      ->check(CLI::PositiveNumber);
  add_scale_options(*pack, *arguments);
  pack->callback([arguments] {
    if (arguments->inputs.empty()) throw CLI::RequiredError("--input");
    const ExitCode code = run_pack(*arguments);
    if (code != ExitCode::kDone) throw CLI::RuntimeError(static_cast<int>(code));
  });
}

}  // namespace phalanx
