#include "launch/same_start.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>

#include "configs/field_list.h"
#include "data/block_hash.h"
#include "data/shards/block_verifier.h"
#include "parallel/agreement.h"
#include "parallel/host_name.h"
#include "parallel/rank_list.h"

namespace phalanx {
namespace {

constexpr const char* kSelf = "/proc/self/exe";

std::string to_text(const StartMarks& marks) {
  return nlohmann::json{{"host", marks.host},
                        {"program", marks.program},
                        {"config", marks.config},
                        {"data", marks.data}}
      .dump();
}

StartMarks from_text(const std::string& text) {
  const nlohmann::json json = nlohmann::json::parse(text);
  return {json.at("host").get<std::string>(), json.at("program").get<std::string>(),
          json.at("config").get<std::string>(), json.at("data").get<std::vector<std::string>>()};
}

/// Without the places that values come from: a comment more in a file changes no run.
std::string config_text(const RunConfig& config) {
  std::string text;
  for (const FieldValue& field : field_values(config)) {
    text += fmt::format("{}: {}\n", field.path, field.value);
  }
  return text;
}

/// Ranks that agree on another value than rank 0.
struct Dissent {
  std::vector<int> ranks;
  std::string host;  // of the first of them
};

/// "found A on rank 0 (host a), B on ranks 4-7 (host b)"; `values` of "" do not count.
std::string dissent_text(const std::vector<StartMarks>& ranks,
                         const std::vector<std::string>& values) {
  std::map<std::string, Dissent> others;
  for (size_t rank = 1; rank < values.size(); ++rank) {
    if (values[rank].empty() || values[rank] == values[0]) continue;
    Dissent& dissent = others[values[rank]];
    if (dissent.ranks.empty()) dissent.host = ranks[rank].host;
    dissent.ranks.push_back(static_cast<int>(rank));
  }
  if (others.empty()) return "";
  std::string text = fmt::format("found {} on rank 0 ({})", values[0], ranks[0].host);
  for (const auto& [value, dissent] : others) {
    text += fmt::format(", {} on {} ({})", value, ranks_text(dissent.ranks), dissent.host);
  }
  return text;
}

std::string data_of(const StartMarks& marks, size_t index) {
  return index < marks.data.size() ? marks.data[index] : "nothing";
}

std::string data_differences(const std::vector<StartMarks>& ranks) {
  std::string text;
  size_t count = 0;
  for (const StartMarks& marks : ranks) count = std::max(count, marks.data.size());
  for (size_t index = 0; index < count; ++index) {
    std::vector<std::string> values;
    for (const StartMarks& marks : ranks) values.push_back(data_of(marks, index));
    const std::string dissent = dissent_text(ranks, values);
    if (dissent.empty()) continue;
    text += fmt::format(
        "\n  data: expected the same on all ranks, {}: give all hosts the same folders, or one "
        "that they share",
        dissent);
  }
  return text;
}

}  // namespace

StartMarks start_marks(const RunConfig& config, const RunData& data, bool hashes_program) {
  StartMarks marks;
  marks.host = host_name();
  if (hashes_program) marks.program = hash_text(hash_file(kSelf));
  marks.config = hash_text(xxh3(config_text(config)));
  marks.data.push_back("data.tokenizer=" + data.tokenizer->fingerprint());
  for (const SourceInfo& source : data.infos) {
    marks.data.push_back(fmt::format("data.sources.{}={}", source.name, source.fingerprint));
  }
  for (const auto& [source, list] : data.mask_lists) {
    marks.data.push_back(fmt::format("data.sources.{}.mask_documents={}", source, list.hash));
  }
  return marks;
}

std::string first_difference(const std::string& fields, const std::string& fields_of_rank_0) {
  std::istringstream mine(fields), theirs(fields_of_rank_0);
  std::string my_line, their_line;
  for (;;) {
    const bool more = static_cast<bool>(std::getline(mine, my_line));
    const bool more_theirs = static_cast<bool>(std::getline(theirs, their_line));
    if (!more && !more_theirs) return "";
    if (!more) my_line = "nothing";
    if (!more_theirs) their_line = "nothing";
    if (my_line == their_line) continue;
    return fmt::format("'{}' where rank 0 has '{}'", my_line, their_line);
  }
}

std::string start_differences(const std::vector<StartMarks>& ranks,
                              const std::vector<std::string>& config_lines) {
  std::string text;
  std::vector<std::string> programs, configs;
  for (const StartMarks& marks : ranks) programs.push_back(marks.program);
  const std::string program = dissent_text(ranks, programs);
  if (!program.empty()) {
    text += fmt::format(
        "\n  program: expected the same phalanx on all hosts, {} (XXH3 of the file): copy one "
        "build "
        "to all of them",
        program);
  }
  for (const StartMarks& marks : ranks) configs.push_back(marks.config);
  const std::string config = dissent_text(ranks, configs);
  if (!config.empty()) {
    text += fmt::format("\n  configuration: expected the same on all ranks, {}", config);
    for (size_t rank = 1; rank < config_lines.size(); ++rank) {
      if (config_lines[rank].empty()) continue;
      text += fmt::format("; rank {} has {}", rank, config_lines[rank]);
      break;
    }
    text += ": give all hosts the same file and overrides";
  }
  return text + data_differences(ranks);
}

void check_same_start(const RunConfig& config, const RunData& data, Session& session) {
  Communicator& control = session.control();
  const std::string mine = together(control, [&] {
    return to_text(start_marks(config, data, /*hashes_program=*/session.local_rank() == 0));
  });
  std::vector<StartMarks> ranks;
  for (const std::string& text : all_gather_strings(control, mine)) {
    ranks.push_back(from_text(text));
  }
  if (start_differences(ranks, {}).empty()) return;
  // All ranks have the same marks, so all come here, or none.
  const std::string text = config_text(config);
  const std::string first =
      all_gather_strings(control, control.rank() == 0 ? text : std::string()).at(0);
  const std::vector<std::string> lines = all_gather_strings(control, first_difference(text, first));
  throw AgreedError(ExitCode::kBadInput,
                    "the ranks do not start the same run:" + start_differences(ranks, lines));
}

std::string shared_gpus(const std::vector<RankGpu>& ranks) {
  std::map<std::string, std::vector<int>> by_gpu;
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    if (ranks[rank].bus_id.empty()) continue;
    by_gpu[ranks[rank].host + ": GPU " + ranks[rank].bus_id].push_back(static_cast<int>(rank));
  }
  std::string text;
  for (const auto& [gpu, users] : by_gpu) {
    if (users.size() < 2) continue;
    text += fmt::format("\n  host {} is that of {}", gpu, ranks_text(users));
  }
  return text;
}

void check_own_gpus(Communicator& control, const std::function<std::string()>& own_gpu) {
  const std::string mine = together(control, own_gpu);
  const std::vector<std::string> all =
      all_gather_strings(control, fmt::format("{} {}", host_name(), mine));
  std::vector<RankGpu> ranks;
  for (const std::string& text : all) {
    const size_t space = text.rfind(' ');
    ranks.push_back({text.substr(0, space), text.substr(space + 1)});
  }
  const std::string shared = shared_gpus(ranks);
  if (shared.empty()) return;
  throw AgreedError(
      ExitCode::kBadInput,
      fmt::format(
          "parallel.device: expected a GPU of its own for each rank, found shared ones; give "
          "each rank another one by CUDA_VISIBLE_DEVICES, or show all ranks of a host all "
          "its GPUs:{}",
          shared));
}

}  // namespace phalanx
