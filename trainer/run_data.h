#pragma once
// The data of a run, opened: tokenizer, sources of each stage, validation parts, and the curriculum
// resolved against them. Local: every rank opens the manifests alone (and the sizes of its
// share of the shards), inside together(). Errors: std::invalid_argument naming file or field,
// expected and found (a tokenizer that is not the shards', a vocabulary larger than the model's, a
// missing folder).
#include <memory>
#include <string>
#include <vector>

#include "data/mixture/batch_loader.h"
#include "data/shards/file_pool.h"
#include "data/store/store_settings.h"
#include "data/tokenizer/tokenizer.h"
#include "trainer/mask_history.h"
#include "trainer/run_config.h"

namespace phalanx {

class FetchQueue;

struct ValidationSource {
  std::string name;
  std::shared_ptr<const RowSource> rows;
  int64_t length = 0;  // targets of a row
};

struct RunData {
  std::shared_ptr<const Tokenizer> tokenizer;
  std::shared_ptr<FilePool> files = std::make_shared<FilePool>();  // of all data sets of the run
  std::shared_ptr<FetchQueue> fetches;                             // null: nothing is fetched
  Curriculum curriculum;
  std::vector<SourceInfo> infos;
  StageSources sources;
  std::vector<ValidationSource> validation;  // in name order; only sources with a held-out part
  std::vector<std::string> source_names;     // in name order, the index of Batch::source_R
  MaskLists mask_lists;                      // as they were read
  std::vector<std::string> warnings;         // for a person, one line each
};

/// Checks the sizes of shards rank, rank + world, ... of every source and its held-out part.
/// `environment` is what this machine knows of stores.
RunData open_run_data(const RunConfig& config, int rank, int world,
                      const StoreEnvironment& environment = {});

std::vector<StageRows> stage_rows(const std::vector<StageConfig>& stages);

}  // namespace phalanx
