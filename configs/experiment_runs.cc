// The runs that an experiment means: every combination, with the places of what is wrong in them.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <stdexcept>

#include "configs/experiment_config.h"
#include "configs/suggest.h"
#include "configs/values.h"

namespace phalanx {
namespace {

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

/// A combination: overrides of all runs, of an entry of `runs` and of a value of each axis.
struct Combination {
  std::string name;
  std::vector<std::string> overrides, places;

  /// What is set again replaces what was set before.
  void add(const std::vector<std::string>& more, const std::string& place) {
    for (const std::string& one : more) {
      const std::string key = one.substr(0, one.find('=') + 1);
      for (size_t i = overrides.size(); i-- > 0;) {
        if (key.empty() || !overrides[i].starts_with(key)) continue;
        overrides.erase(overrides.begin() + static_cast<std::ptrdiff_t>(i));
        places.erase(places.begin() + static_cast<std::ptrdiff_t>(i));
      }
      overrides.push_back(one);
      places.push_back(place);
    }
  }
};

std::string place_of(const ExperimentConfig& e, const std::string& path) {
  return fmt::format("{}: {}", e.origin_of(path).text(), path);
}

std::vector<Combination> entries_of_runs(const ExperimentConfig& e) {
  Combination common;
  common.add(e.set, place_of(e, "set"));
  if (e.runs.empty()) return {common};
  std::vector<Combination> found;
  for (size_t i = 0; i < e.runs.size(); ++i) {
    found.push_back(common);
    found.back().name = e.runs[i].name;
    found.back().add(e.runs[i].set, place_of(e, fmt::format("runs[{}]", i)));
  }
  return found;
}

std::vector<Combination> combinations(const ExperimentConfig& e) {
  std::vector<Combination> found = entries_of_runs(e);
  for (size_t a = 0; a < e.grid.size(); ++a) {
    const ExperimentAxis& axis = e.grid[a];
    std::vector<Combination> longer;
    for (const Combination& one : found) {
      for (size_t v = 0; v < axis.values.size(); ++v) {
        longer.push_back(one);
        Combination& next = longer.back();
        next.name += (one.name.empty() ? "" : "-") + name_of_value(axis, v);
        next.add({fmt::format("{}={}", axis.field, axis.values[v])},
                 place_of(e, fmt::format("grid[{}]", a)));
      }
    }
    found = std::move(longer);
  }
  for (Combination& one : found) {
    if (one.name.empty()) one.name = e.name;
  }
  return found;
}

ExperimentRun make_run(const ExperimentConfig& e, Combination combination, const uint64_t* seed) {
  ExperimentRun run;
  run.variant = combination.name;
  run.name = combination.name;
  if (seed != nullptr) {
    run.name += fmt::format("-seed-{}", *seed);
    combination.add({fmt::format("model.seed={}", *seed), fmt::format("data.seed={}", *seed)},
                    place_of(e, "seeds"));
  }
  combination.add({fmt::format("run.dir={}", quote_for_yaml(e.dir + "/" + e.name)),
                   fmt::format("run.name={}", quote_for_yaml(run.name))},
                  place_of(e, "name"));
  run.overrides = std::move(combination.overrides);
  run.places = std::move(combination.places);
  return run;
}

/// Where the value of `field` was written: the last override of it, or of a section around it.
std::string place_of_field(const ExperimentRun& run, const std::string& field) {
  for (size_t i = run.overrides.size(); i-- > 0;) {
    const std::string key = run.overrides[i].substr(0, run.overrides[i].find('='));
    if (field.starts_with(key)) return run.places[i];
  }
  return run.variant;
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
      std::string line = text.substr(begin, end - begin);
      if (line.starts_with(mark)) {
        line = line.substr(mark.size());
        line = fmt::format("{}: {}", place_of_field(run, line.substr(0, line.find(": "))), line);
      }
      add(line);
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
    lines.add(fmt::format("{}: expected runs of different names, got two of the name '{}'", e.file,
                          run.name));
  }
  if (e.baseline.empty() || variants.contains(e.baseline)) return;
  const std::vector<std::string> known(variants.begin(), variants.end());
  const auto near = nearest(e.baseline, known);
  lines.add(fmt::format("{}: baseline: expected one of {}, got '{}'{}",
                        e.origin_of("baseline").text(), fmt::join(known, ", "), e.baseline,
                        near ? fmt::format("; did you mean '{}'?", *near) : ""));
}

}  // namespace

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
