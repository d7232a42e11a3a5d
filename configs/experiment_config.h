#pragma once
// An experiment: many runs of one configuration that differ in some fields and in their seeds.
// Local, pure but for reading the files.
//
//   base: configs/quickstart.yaml       # a run's configuration; paths as in it, from where one is
//   set: [run.stop_after_steps=0]       # overrides of all runs
//   runs:                               # a list of overrides ...
//     - {name: late, set: ["stages[0].phases[1].mix.problems=0.5"]}
//   grid:                               # ... times every combination of these values
//     - {field: optimizer.weight_decay, label: decay, values: [0.1, 0.01]}
//   seeds: [1, 2, 3]                    # of each, with model.seed and data.seed
//
// Bad input: one std::invalid_argument with all errors of the file, a line each, as in
// read_config.h. A file that cannot be read: std::system_error.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "configs/read_config.h"

namespace phalanx {

struct ExperimentVariant {
  std::string name;
  std::vector<std::string> set;  // key=value
};

struct ExperimentAxis {
  std::string field;
  std::string label;                // in names of runs; empty: the last part of the field
  std::vector<std::string> values;  // as YAML
  std::vector<std::string> names;   // of the values; none: label and value
};

struct ExperimentConfig {
  std::string file;  // as given
  std::string name;
  std::string dir = "runs";  // the experiment's folder is dir/name
  std::string base;
  std::vector<std::string> set;
  std::vector<ExperimentVariant> runs;
  std::vector<ExperimentAxis> grid;
  std::vector<uint64_t> seeds;
  std::string baseline;       // name of a variant; empty: the first
  int64_t parallel = 1;       // runs at one time
  int64_t cores_per_run = 0;  // 0: an equal part of the cores
  int64_t gpus_per_run = 0;
  std::string launcher;  // words before `phalanx train`: mpirun -n 2 ...; empty: one process
  Origins origins;
  /// Of a path in the file, else the file.
  [[nodiscard]] Origin origin_of(const std::string& path) const;
};

struct ExperimentRun {
  std::string name;                    // also that of its folder in dir/name: late-seed-2
  std::string variant;                 // without the seed
  std::vector<std::string> overrides;  // run.dir and run.name included
  std::vector<std::string> places;     // where each override is written
  ResolvedConfig config;
};

[[nodiscard]] ExperimentConfig read_experiment(const std::string& file);

/// Variant by variant, of each seed by seed. Reads the configuration of every run, and throws with
/// all that is wrong with any of them, before a single one is started.
[[nodiscard]] std::vector<ExperimentRun> experiment_runs(const ExperimentConfig& experiment,
                                                         const std::string& config_dir);

}  // namespace phalanx
