#include "configs/experiment_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <stdexcept>

#include "configs/entries_of.h"
#include "configs/units.h"
#include "configs/value_schema.h"
#include "configs/values.h"
#include "data/file.h"

namespace phalanx {
namespace {

constexpr int64_t kMaxFileBytes = 1 << 20;
constexpr size_t kMaxRuns = 10'000;  // a mistyped grid is refused before its runs are read

template <class T, class Read>
Value list_value(std::vector<T>& variable, const std::string& accepts,
                 const std::string& item_schema, Read read) {
  return {accepts,
          [&variable, accepts, read](const ConfigNode& node) {
            if (node.kind != ConfigNode::Kind::kList) {
              throw std::invalid_argument(
                  fmt::format("expected {}, got {}", accepts, describe_kind(node)));
            }
            variable.clear();
            for (const ConfigNode& item : node.items) variable.push_back(read(item, accepts));
          },
          [&variable] { return fmt::format("[{}]", fmt::join(variable, ", ")); },
          [item_schema] { return schema_of_list(item_schema); }};
}

Value texts_value(std::vector<std::string>& variable, const std::string& accepts) {
  return list_value(
      variable, accepts, schema_of_text(), [](const ConfigNode& item, const std::string& expected) {
        if (item.kind == ConfigNode::Kind::kScalar) return item.text;
        throw std::invalid_argument(fmt::format("expected {}, each a text in quotes, got {}",
                                                expected, describe_kind(item)));
      });
}

Value seeds_value(std::vector<uint64_t>& variable) {
  return list_value(variable, "a list of whole numbers", schema_of_seed(),
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

void check_axes(const ExperimentConfig& e, Problems& problems) {
  for (size_t i = 0; i < e.grid.size(); ++i) {
    const ExperimentAxis& axis = e.grid[i];
    const std::string path = fmt::format("grid[{}].", i);
    if (axis.values.empty()) {
      problems.add(e.origin_of(path + "values"), path + "values",
                   "expected at least one value, got none");
    }
    if (axis.names.empty() || axis.names.size() == axis.values.size()) continue;
    problems.add(e.origin_of(path + "names"), path + "names",
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
    problems.add(e.origin_of("seeds"), "seeds", "expected each seed once, got one twice");
  }
}

}  // namespace

Origin ExperimentConfig::origin_of(const std::string& path) const {
  const auto found = origins.find(path);
  return found == origins.end() ? Origin{file} : found->second;
}

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
  if (problems.empty()) check_variety(experiment, problems);
  problems.throw_if_any();
  return experiment;
}

}  // namespace phalanx
