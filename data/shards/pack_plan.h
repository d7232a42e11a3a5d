#pragma once
// What a packing job is: its options, its input files as they were found, and how they are cut into
// units of work, which stay when a file changes. Kept as pack.json in the unfinished folder, so
// that every process of the job, and every later attempt, does parts of the same work; it stays in
// the finished folder as the record.
//
// Local, pure but for make_pack_plan(), which looks at the input files. Errors:
// std::invalid_argument.
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "data/shards/pack_options.h"

namespace phalanx {

inline constexpr std::string_view kPackPlanName = "pack.json";

/// An input file: how it was when the job began, and in the end how it was when it was read.
struct PackInput {
  std::string path;
  int64_t pattern = 0;  // the first of the options' that matches it
  int64_t bytes = 0;
  int64_t mtime_ns = 0;
};

/// Whole files [first_file, end_file), which one process reads, sorts and marks as done.
struct PackUnit {
  int64_t first_file = 0;
  int64_t end_file = 0;
};

struct PackPlan {
  PackOptions options;  // output, and what changes no byte, left at their defaults
  std::string tokenizer;
  int64_t vocab_size = 0;
  int32_t end_of_document = 0;
  std::vector<PackInput> inputs;
  int64_t unit_bytes = 0;
  std::vector<PackUnit> units;
  bool packed = false;  // all but the last rename is done

  TokenType token_type() const { return token_type_for(vocab_size); }
  /// "books.jsonl:17" or "play.txt".
  std::string place(uint64_t file, int64_t line) const;
};

[[nodiscard]] PackPlan make_pack_plan(const PackOptions& options, const PackTokenizer& tokenizer);

[[nodiscard]] std::string pack_plan_json(const PackPlan& plan);
[[nodiscard]] PackPlan parse_pack_plan(std::string_view json, const std::string& where);

/// Throws what differs, if anything does, between the job at `where` and the one asked for. Files
/// of the same names may have changed.
void check_same_job(const PackPlan& there, const PackPlan& asked, const std::string& where);

/// Throws when a file is not as it was packed, with what can be done, `remedy`.
void check_same_file(const PackInput& packed, const PackInput& now, const std::string& remedy);

/// Throws when the file is not as it was when the job began.
void check_unchanged(const PackInput& input);

}  // namespace phalanx
