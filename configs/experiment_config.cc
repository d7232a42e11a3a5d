#include "configs/experiment_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <stdexcept>

#include "configs/entries_of.h"
#include "configs/suggest.h"
#include "configs/units.h"
#include "configs/values.h"
#include "data/file.h"

namespace phalanx {
namespace {

constexpr int64_t kMaxFileBytes = 1 << 20;
constexpr size_t kMaxRuns = 10'000;  // a mistyped grid is refused before its runs are read

template <class T, class Read>
Value list_value(std::vector<T>& variable, const std::string& accepts, Read read) {
  return {accepts,
          [&variable, accepts, read](const ConfigNode& node) {
            if (node.kind != ConfigNode::Kind::kList) {
              throw std::invalid_argument(
                  fmt::format("expected {}, got {}", accepts, describe_kind(node)));
            }
            variable.clear();
            for (const ConfigNode& item : node.items) variable.push_back(read(item, accepts));
          },
          [&variable] { return fmt::format("[{}]", fmt::join(variable, ", ")); }};
}

Value texts_value(std::vector<std::string>& variable, const std::string& accepts) {
  return list_value(variable, accepts, [](const ConfigNode& item, const std::string& expected) {
    if (item.kind == ConfigNode::Kind::kScalar) return item.text;
    throw std::invalid_argument(
        fmt::format("expected {}, each a text in quotes, got {}", expected, describe_kind(item)));
  });
}

Value seeds_value(std::vector<uint64_t>& variable) {
  return list_value(variable, "a list of whole numbers",
                    [](const ConfigNode& item, const std::string& expected) {
                      if (item.kind == ConfigNode::Kind::kScalar) return parse_unsigned(item.text);
                      throw std::invalid_argument(
                          fmt::format("expected {}, got {}", expected, describe_kind(item)));
                    });
}

void declare_variant(SchemaVisitor& v, ExperimentVariant& variant) {
  v.field({"name", "in names of runs", Tag::kFree, true}, name_value(variant.name, true));
  v.field({"set", "overrides"}, texts_value(variant.set, "a list of key=value"));
}

void declare_axis(SchemaVisitor& v, ExperimentAxis& axis) {
  v.field({"field", "of a run's configuration", Tag::kFree, true}, text_value(axis.field));
  v.field({"label", "in names of runs"}, name_value(axis.label, true));
  v.field({"values", "one a run", Tag::kFree, true}, texts_value(axis.values, "a list of values"));
  v.field({"names", "of the values"}, texts_value(axis.names, "a list of names"));
}

void declare_experiment(SchemaVisitor& v, ExperimentConfig& e) {
  v.field({"name", "the folder is dir/name", Tag::kFree, true}, name_value(e.name, true));
  v.field({"dir", "of the experiment's folder"}, text_value(e.dir));
  v.field({"base", "a run's configuration", Tag::kFree, true}, text_value(e.base));
  v.field({"set", "overrides of all runs"}, texts_value(e.set, "a list of key=value"));
  v.list({"runs", "overrides of each"}, entries_of(e.runs, declare_variant));
  v.list({"grid", "values of fields, every combination"}, entries_of(e.grid, declare_axis));
  v.field({"seeds", "model.seed and data.seed"}, seeds_value(e.seeds));
  v.field({"baseline", "what the report compares with"}, text_value(e.baseline));
  v.field({"parallel", "runs at one time"}, integer_value(e.parallel, 1, "runs"));
  v.field({"cores_per_run", "0: an equal part"}, integer_value(e.cores_per_run, 0, "cores"));
  v.field({"gpus_per_run", "by CUDA_VISIBLE_DEVICES"}, integer_value(e.gpus_per_run, 0, "GPUs"));
  v.field({"launcher", "words before phalanx train"}, text_value(e.launcher));
}

Origin origin_of(const ExperimentConfig& experiment, const std::string& path) {
  const auto found = experiment.origins.find(path);
  return found == experiment.origins.end() ? Origin{experiment.file} : found->second;
}

std::string last_part(const std::string& field) { return field.substr(field.rfind('.') + 1); }

/// What may stand in a folder's name.
std::string plain(const std::string& text) {
  std::string name;
  for (const char c : text) {
    const bool kept = std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-';
    name += kept ? c : '_';
  }
  return name;
}

std::string name_of_value(const ExperimentAxis& axis, size_t value) {
  if (!axis.names.empty()) return plain(axis.names[value]);
  return plain((axis.label.empty() ? last_part(axis.field) : axis.label) + "-" +
               axis.values[value]);
}

void check_axes(const ExperimentConfig& e, Problems& problems) {
  for (size_t i = 0; i < e.grid.size(); ++i) {
    const ExperimentAxis& axis = e.grid[i];
    const std::string path = fmt::format("grid[{}].", i);
    if (axis.values.empty()) {
      problems.add(origin_of(e, path + "values"), path + "values",
                   "expected at least one value, got none");
    }
    if (axis.names.empty() || axis.names.size() == axis.values.size()) continue;
    problems.add(origin_of(e, path + "names"), path + "names",
                 fmt::format("expected {} names, one a value, got {}", axis.values.size(),
                             axis.names.size()));
  }
}

void check_variety(const ExperimentConfig& e, Problems& problems) {
  if (e.runs.empty() && e.grid.empty() && e.seeds.empty()) {
    problems.add({e.file}, "", "expected runs, grid or seeds, found none: there is nothing to do");
  }
  size_t count = std::max<size_t>(1, e.runs.size()) * std::max<size_t>(1, e.seeds.size());
  for (const ExperimentAxis& axis : e.grid) {
    if (count <= kMaxRuns) count *= axis.values.size();
  }
  if (count > kMaxRuns) {
    problems.add({e.file}, "", fmt::format("expected at most {} runs, got more", kMaxRuns));
  }
  if (std::set<uint64_t>(e.seeds.begin(), e.seeds.end()).size() != e.seeds.size()) {
    problems.add(origin_of(e, "seeds"), "seeds", "expected each seed once, got one twice");
  }
}

/// A combination: overrides of an entry of `runs` and a value of each axis.
struct Combination {
  std::string name;
  std::vector<std::string> overrides;
  std::string origin;
};

std::vector<Combination> entries_of_runs(const ExperimentConfig& e) {
  std::vector<Combination> found;
  for (size_t i = 0; i < e.runs.size(); ++i) {
    const std::string path = fmt::format("runs[{}]", i);
    found.push_back(
        {e.runs[i].name, e.set, fmt::format("{}: {}", origin_of(e, path).text(), path)});
    found.back().overrides.insert(found.back().overrides.end(), e.runs[i].set.begin(),
                                  e.runs[i].set.end());
  }
  if (found.empty()) found.push_back({"", e.set, e.file});
  return found;
}

std::vector<Combination> combinations(const ExperimentConfig& e) {
  std::vector<Combination> found = entries_of_runs(e);
  for (const ExperimentAxis& axis : e.grid) {
    std::vector<Combination> longer;
    for (const Combination& one : found) {
      for (size_t v = 0; v < axis.values.size(); ++v) {
        longer.push_back(one);
        Combination& next = longer.back();
        next.name += (one.name.empty() ? "" : "-") + name_of_value(axis, v);
        next.overrides.push_back(fmt::format("{}={}", axis.field, axis.values[v]));
      }
    }
    found = std::move(longer);
  }
  for (Combination& one : found) {
    if (one.name.empty()) one.name = e.name;
  }
  return found;
}

ExperimentRun make_run(const ExperimentConfig& e, const Combination& combination,
                       const uint64_t* seed) {
  ExperimentRun run;
  run.variant = combination.name;
  run.name = combination.name;
  run.origin = combination.origin;
  run.overrides = combination.overrides;
  if (seed != nullptr) {
    run.name += fmt::format("-seed-{}", *seed);
    run.overrides.push_back(fmt::format("model.seed={}", *seed));
    run.overrides.push_back(fmt::format("data.seed={}", *seed));
  }
  run.overrides.push_back(fmt::format("run.dir={}", quote_for_yaml(e.dir + "/" + e.name)));
  run.overrides.push_back(fmt::format("run.name={}", quote_for_yaml(run.name)));
  return run;
}

/// Lines of messages, each once: what is wrong with a base is wrong with every run.
class Lines {
 public:
  void add(const std::string& line) {
    if (!seen_.insert(line).second) return;
    text_ += (text_.empty() ? "" : "\n") + line;
  }

  /// What the reader takes for words of the command line stands in the experiment's file.
  void add_reading(const std::string& text, const ExperimentRun& run) {
    const std::string mark = fmt::format("{}: ", kCommandLine);
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = std::min(text.find('\n', begin), text.size());
      const std::string line = text.substr(begin, end - begin);
      const bool ours = line.starts_with(mark);
      add(ours ? fmt::format("{}: {}: {}", run.origin, run.variant, line.substr(mark.size()))
               : line);
      begin = end + 1;
    }
  }

  void throw_if_any() const {
    if (!text_.empty()) throw std::invalid_argument(text_);
  }

 private:
  std::set<std::string> seen_;
  std::string text_;
};

void check_names(const ExperimentConfig& e, const std::vector<ExperimentRun>& runs, Lines& lines) {
  std::set<std::string> names, variants;
  for (const ExperimentRun& run : runs) {
    variants.insert(run.variant);
    if (names.insert(run.name).second) continue;
    lines.add(fmt::format("{}: expected runs of different names, got two of the name '{}'",
                          run.origin, run.name));
  }
  if (e.baseline.empty() || variants.contains(e.baseline)) return;
  const std::vector<std::string> known(variants.begin(), variants.end());
  const auto near = nearest(e.baseline, known);
  lines.add(fmt::format("{}: baseline: expected one of {}, got '{}'{}",
                        origin_of(e, "baseline").text(), fmt::join(known, ", "), e.baseline,
                        near ? fmt::format("; did you mean '{}'?", *near) : ""));
}

}  // namespace

ExperimentConfig read_experiment(const std::string& file) {
  Problems problems;
  const ConfigNode root = parse_yaml(read_text(file, kMaxFileBytes), file, problems);
  problems.throw_if_any();
  ExperimentConfig experiment;
  experiment.file = file;
  TreeReader reader(root, {}, problems);
  declare_experiment(reader, experiment);
  reader.finish();
  experiment.origins = reader.origins();
  check_axes(experiment, problems);
  check_variety(experiment, problems);
  problems.throw_if_any();
  return experiment;
}

std::vector<ExperimentRun> experiment_runs(const ExperimentConfig& experiment,
                                           const std::string& config_dir) {
  std::vector<ExperimentRun> runs;
  for (const Combination& combination : combinations(experiment)) {
    if (experiment.seeds.empty()) runs.push_back(make_run(experiment, combination, nullptr));
    for (const uint64_t& seed : experiment.seeds) {
      runs.push_back(make_run(experiment, combination, &seed));
    }
  }
  Lines lines;
  check_names(experiment, runs, lines);
  for (ExperimentRun& run : runs) {
    ConfigRequest request;
    request.file = experiment.base;
    request.overrides = run.overrides;
    request.config_dir = config_dir;
    try {
      run.config = read_run_config(request);
    } catch (const std::invalid_argument& error) {
      lines.add_reading(error.what(), run);
    }
  }
  lines.throw_if_any();
  return runs;
}

}  // namespace phalanx
