#pragma once
// The data half of a run's configuration: sources, groups, and what each phase draws from them.
// Plain values, filled by configs/ and checked by resolve_curriculum() (curriculum.h).
// Units: tokens count targets, padding included (SEMANTICS.md, section 1).
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/store/store_settings.h"

namespace phalanx {

enum class SourceKind { kOrganic, kSynthetic };
/// As in a configuration and in every report: `organic`, `synthetic`.
inline const char* name_of(SourceKind kind) {
  return kind == SourceKind::kSynthetic ? "synthetic" : "organic";
}
enum class OnExhausted { kError, kRenormalize };
enum class Ramp { kStep, kLinear };
enum class RowPacking { kWindows, kBestFit };

struct SourceConfig {
  std::string name;
  std::string path;  // of a data set (data/shards/FORMAT.md): a folder or a URL
  SourceKind kind = SourceKind::kOrganic;
  std::optional<double> max_epochs;       // over the whole run and all its resumes
  int64_t shuffle_window = 0;             // shards whose rows are shuffled together; 0: all
  std::string mask_documents = "";        // file that lists documents whose targets do not count
  int64_t validation_last_tokens = 0;     // held out of a data set that was made elsewhere; 0: none
  std::vector<std::string> mirrors = {};  // further URLs of the same data set, asked in order
};

/// All places of the source's data set, in the order in which they are asked.
inline std::vector<std::string> places_of(const SourceConfig& source) {
  std::vector<std::string> places = source.mirrors;
  places.insert(places.begin(), source.path);
  return places;
}

/// One entry of a mix: a source or a group, and its weight; nullopt stands for `rest`.
struct MixEntry {
  std::string name;
  std::optional<double> weight;
};

struct PhaseConfig {
  std::string name;
  int64_t tokens = 0;
  std::vector<MixEntry> mix;
  Ramp ramp = Ramp::kStep;
  std::optional<int64_t> ramp_tokens;  // default: the whole phase
};

/// From `from_tokens` tokens into the stage on (rounded up to a whole step) a step has this many
/// rows.
struct BatchRampEntry {
  int64_t from_tokens = 0;
  int64_t global_batch_size = 0;
};

/// What data must know of a stage; the trainer's StageConfig holds the rest (rates, RoPE base).
struct StageRows {
  std::string name;
  int64_t sequence_length = 0;             // T
  int64_t global_batch_size = 0;           // rows a step
  std::vector<BatchRampEntry> batch_ramp;  // rising from_tokens; empty: one size for the stage
  bool allow_repeat = false;
  std::vector<PhaseConfig> phases;
};

struct DataConfig {
  uint64_t seed = 0;
  std::string tokenizer;
  std::vector<SourceConfig> sources;
  std::map<std::string, std::map<std::string, double>> groups;
  OnExhausted on_exhausted = OnExhausted::kError;
  bool document_mask = false;
  RowPacking packing = RowPacking::kWindows;
  bool verify = false;  // compare what is read with the hashes of packing
  StoreSettings store;  // for sources that are URLs
};

}  // namespace phalanx
