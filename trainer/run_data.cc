#include "trainer/run_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "data/mixture/bin_loader.h"
#include "data/mixture/source_loader.h"
#include "data/store/open_dataset.h"
#include "data/tokenizer/tokenizer_file.h"

namespace phalanx {
namespace {

/// The shards that a rank checks: first, first + stride, ...
struct ShardShare {
  size_t first, stride;
};

std::shared_ptr<const DatasetReader> open_dataset(const RunConfig& config,
                                                  std::shared_ptr<const FileSource> files,
                                                  const std::string& field, const RunData& data) {
  const Tokenizer& tokenizer = *data.tokenizer;
  auto reader = std::make_shared<const DatasetReader>(
      std::move(files), ReaderOptions{data.files, config.data.verify});
  const std::string& found = reader->manifest().tokenizer;
  if (!tokenizer.made(found)) {
    throw std::invalid_argument(
        fmt::format("{}: tokens of {} were made with another tokenizer: expected {} "
                    "(data.tokenizer {}), found {}",
                    field, reader->name(), tokenizer.fingerprint(), config.data.tokenizer, found));
  }
  return reader;
}

std::shared_ptr<const Tokenizer> open_tokenizer(const RunConfig& config) {
  if (!std::filesystem::exists(config.data.tokenizer)) {
    throw std::invalid_argument(
        fmt::format("data.tokenizer: expected a tokenizer.json or its folder, found nothing at {}",
                    config.data.tokenizer));
  }
  std::shared_ptr<const Tokenizer> tokenizer = load_tokenizer(config.data.tokenizer);
  if (tokenizer->vocab_size() > config.model.shape.vocab_size) {
    throw std::invalid_argument(fmt::format(
        "model.vocab_size: expected at least the {} tokens of data.tokenizer {}, got {}",
        tokenizer->vocab_size(), config.data.tokenizer, config.model.shape.vocab_size));
  }
  return tokenizer;
}

std::vector<SourceConfig> by_name(std::vector<SourceConfig> sources) {
  std::sort(sources.begin(), sources.end(),
            [](const SourceConfig& a, const SourceConfig& b) { return a.name < b.name; });
  return sources;
}

/// A source's data set as it is opened: its parts, and the reader of the one that is trained on.
struct OpenSource {
  const SourceConfig& config;
  DatasetParts parts;
  std::string field;  // its path
  std::shared_ptr<const DatasetReader> reader;
};

/// Tokens of the source's data set that are trained on; what follows is held out.
int64_t training_tokens(const OpenSource& opened) {
  const SourceConfig& source = opened.config;
  const DatasetReader& reader = *opened.reader;
  const int64_t held_out = source.validation_last_tokens;
  if (held_out == 0) return reader.num_tokens();
  const std::string field = fmt::format("data.sources.{}.validation.last_tokens", source.name);
  if (opened.parts.validation) {
    throw std::invalid_argument(
        fmt::format("{}: expected 0, because {} is the held-out part of the data set, got {}",
                    field, opened.parts.validation->name(), held_out));
  }
  // Two on either side: an input and its target.
  const int64_t most = reader.num_tokens() - 2;
  if (held_out < 2 || held_out > most) {
    throw std::invalid_argument(
        fmt::format("{}: expected 0, or 2 to {} of the {} tokens of {}, got {}", field, most,
                    reader.num_tokens(), reader.name(), held_out));
  }
  return reader.num_tokens() - held_out;
}

void add_validation(const RunConfig& config, const OpenSource& opened, const ShardShare& share,
                    RunData& data) {
  const SourceConfig& source = opened.config;
  std::shared_ptr<const DatasetReader> reader = opened.reader;
  SourceLoaderConfig loader;
  loader.sequence_length = config.evaluation.sequence_length > 0
                               ? config.evaluation.sequence_length
                               : config.stages.front().sequence_length;
  loader.vocab_size = config.model.shape.vocab_size;
  if (source.validation_last_tokens > 0) {
    loader.first_token = training_tokens(opened);
  } else if (opened.parts.validation) {
    reader = open_dataset(config, opened.parts.validation, opened.field, data);
    reader->check_shards(share.first, share.stride);
    if (reader->num_tokens() < 2) return;
  } else {
    return;
  }
  data.validation.push_back(
      {source.name, std::make_shared<SourceLoader>(reader, loader), loader.sequence_length});
}

/// Changes with all that decides which tokens a row of the source holds.
std::string fingerprint_of(const RunConfig& config, const SourceConfig& source,
                           const DatasetManifest& manifest) {
  std::string text = manifest.order_fingerprint();
  if (config.data.packing == RowPacking::kBestFit) {
    std::vector<int64_t> lengths;
    for (const StageConfig& stage : config.stages) lengths.push_back(stage.sequence_length);
    text = bins_fingerprint(manifest, lengths);
  }
  if (source.shuffle_window > 0) text += fmt::format("/shuffle_window:{}", source.shuffle_window);
  if (source.validation_last_tokens > 0) {
    text += fmt::format("/last_tokens:{}", source.validation_last_tokens);
  }
  return text;
}

/// The rows of the source in each stage, and what the plan must know of them.
void add_rows(const RunConfig& config, const OpenSource& opened, RunData& data) {
  const SourceConfig& source = opened.config;
  const std::shared_ptr<const DatasetReader>& reader = opened.reader;
  SourceInfo info{source.name, fingerprint_of(config, source, reader->manifest()), {}};
  info.shuffle_window = source.shuffle_window;
  SourceLoaderConfig loader;
  loader.vocab_size = config.model.shape.vocab_size;
  loader.end_token = training_tokens(opened);
  if (!source.mask_documents.empty()) {
    loader.masked = read_masked_documents(source.mask_documents, reader->num_documents());
    data.mask_lists[source.name] = {source.mask_documents, hash_of(*loader.masked)};
  }
  for (size_t s = 0; s < config.stages.size(); ++s) {
    loader.sequence_length = config.stages[s].sequence_length;
    std::shared_ptr<const RowSource> rows;
    if (config.data.packing == RowPacking::kBestFit) {
      rows = std::make_shared<BinLoader>(reader, loader);
    } else {
      rows = std::make_shared<SourceLoader>(reader, loader);
    }
    info.rows_by_stage.push_back(rows->num_rows());
    if (source.shuffle_window > 0) info.shard_rows_by_stage.push_back(rows->shard_rows());
    data.sources[s].push_back(std::move(rows));
  }
  data.infos.push_back(std::move(info));
  data.source_names.push_back(source.name);
}

DatasetParts open_parts(DatasetOpener& opener, const OpenSource& opened) {
  const SourceConfig& source = opened.config;
  const bool stored = is_store_url(source.path);
  if (!stored && !std::filesystem::exists(source.path)) {
    throw std::invalid_argument(
        fmt::format("{}: expected the folder of a data set (with dataset.json), found nothing at "
                    "{}",
                    opened.field, source.path));
  }
  try {
    return opener.open(places_of(source));
  } catch (const StoreError& error) {
    throw StoreError(static_cast<std::errc>(error.code().value()),
                     fmt::format("{}: {}", opened.field, error.what()));
  } catch (const std::invalid_argument& error) {
    if (!stored) throw;
    throw std::invalid_argument(fmt::format("{}: {}", opened.field, error.what()));
  }
}

std::string unshuffled_warning(const std::string& source, const DatasetReader& reader) {
  return fmt::format(
      "warning: data.sources.{}: the documents of {} are in the order in which they were found "
      "(dataset.json: packing.shuffled is false), so that a row holds neighbours: pack the text "
      "with `phalanx data pack`, unless it was shuffled before",
      source, reader.name());
}

}  // namespace

std::vector<StageRows> stage_rows(const std::vector<StageConfig>& stages) {
  std::vector<StageRows> rows;
  for (const StageConfig& stage : stages) {
    rows.push_back({stage.name, stage.sequence_length, stage.global_batch_size, stage.batch_ramp,
                    stage.allow_repeat, stage.phases});
  }
  return rows;
}

RunData open_run_data(const RunConfig& config, int rank, int world,
                      const StoreEnvironment& environment) {
  const ShardShare share{static_cast<size_t>(rank), static_cast<size_t>(world)};
  RunData data;
  data.curriculum = resolve_curriculum(config.data, stage_rows(config.stages));
  data.tokenizer = open_tokenizer(config);
  data.sources.resize(config.stages.size());
  DatasetOpener opener(config.data.store, environment, data.files);
  for (const SourceConfig& source : by_name(config.data.sources)) {
    OpenSource opened{source, {}, fmt::format("data.sources.{}.path", source.name), nullptr};
    opened.parts = open_parts(opener, opened);
    opened.reader = open_dataset(config, opened.parts.train, opened.field, data);
    opened.reader->check_shards(share.first, share.stride);
    add_rows(config, opened, data);
    add_validation(config, opened, share, data);
    if (!opened.reader->manifest().packing.shuffled) {
      data.warnings.push_back(unshuffled_warning(source.name, *opened.reader));
    }
  }
  data.fetches = opener.queue();
  return data;
}

}  // namespace phalanx
