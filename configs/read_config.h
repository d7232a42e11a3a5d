#pragma once
// From a YAML file and `key=value` overrides to a checked RunConfig, the only way in.
// Local: every rank reads the same file and comes to the same result or the same error.
// Bad input: one std::invalid_argument with all errors, a line each, of the form
//   run.yaml:12:5: data.sources.web.max_epoch: unknown key; did you mean 'max_epochs'?
//   command line: optimizer.beta3: unknown key; did you mean 'beta1'?
// A file that cannot be read: std::system_error. Nothing is allocated on a device and no data is
// opened; the plan of the curriculum (epoch caps) needs the data and is checked by data/mixture.
#include <cstdint>
#include <string>
#include <vector>

#include "configs/tree_reader.h"
#include "trainer/run_config.h"

namespace phalanx {

struct ConfigRequest {
  std::string file;                    // shown in messages as given
  std::vector<std::string> overrides;  // key=value, later than the file
  std::string config_dir;              // holds model/<preset>.yaml
  int64_t num_ranks = 0;               // 0: not known, rules of the mesh are not checked
};

/// A field of the model that is not as its preset has it.
struct PresetDifference {
  std::string field;   // without "model."
  std::string value;   // of the run
  std::string preset;  // of the preset
};

struct ResolvedConfig {
  RunConfig run;
  std::vector<PresetDifference> preset_differences;        // none without a preset
  Origins origins;                                         // by path; what is absent is a default
  std::string origin_text(const std::string& path) const;  // "default", "run.yaml:12:5", ...
  /// Of the path, else of the innermost section around it that is written somewhere.
  Origin nearest_origin(std::string path) const;
  /// A line that names the file's own fields where they win over a preset of the command line; else
  /// empty, since whoever writes both in one place means it so.
  std::string preset_note() const;
};

ResolvedConfig read_run_config(const ConfigRequest& request);

/// The same for a text in hand (a checkpoint's config.yaml); request.file only names it.
ResolvedConfig read_run_config_text(const std::string& text, const ConfigRequest& request);

/// Names of the presets in `config_dir`/model, sorted.
std::vector<std::string> preset_names(const std::string& config_dir);

/// Throws std::invalid_argument with the known names when there is no such preset.
Phi4Config read_preset(const std::string& config_dir, const std::string& name);

}  // namespace phalanx
