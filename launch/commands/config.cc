#include "launch/commands/config.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <stdexcept>

#include <fmt/format.h>

#include "configs/field_list.h"
#include "configs/json_schema.h"
#include "configs/reference_page.h"
#include "configs/suggest.h"
#include "launch/command_errors.h"
#include "launch/install_paths.h"
#include "launch/model_place.h"

namespace phalanx {
namespace {

struct ConfigArguments {
  ConfigRequest request;
  std::string explained;
  std::string model;
  bool explain = false;
  bool reference = false;
  bool schema = false;
};

void print_field(const FieldDoc& doc) {
  if (doc.is_section) {
    fmt::print("{}: {}\n", doc.path, doc.doc);
    return;
  }
  fmt::print("{}: {}\n    accepts  {}\n    default  {}\n    resume   {}\n", doc.path, doc.doc,
             doc.accepts, doc.default_text, tag_name(doc.tag));
}

/// All fields, or those at and below `wanted`, which may also be the last part of a path.
void explain(const std::string& wanted) {
  std::vector<std::string> known;
  bool found = false;
  for (const FieldDoc& doc : field_docs()) {
    known.push_back(doc.path);
    const bool below = doc.path.starts_with(wanted + ".") || doc.path.starts_with(wanted + "[");
    if (wanted.empty() || doc.path == wanted || below || doc.path.ends_with("." + wanted)) {
      print_field(doc);
      found = true;
    }
  }
  if (found) return;
  const auto near = nearest(wanted, known);
  throw std::invalid_argument(
      fmt::format("--explain {}: unknown field{}", wanted,
                  near ? fmt::format("; did you mean '{}'?", *near)
                       : std::string("; phalanx config --explain lists all")));
}

void run_config(ConfigArguments& arguments) {
  if (arguments.explain) return explain(arguments.explained);
  if (arguments.reference) return fmt::print("{}", reference_page());
  if (arguments.schema) return fmt::print("{}", run_json_schema());
  if (arguments.request.file.empty() == arguments.model.empty()) {
    throw std::invalid_argument(
        "phalanx config: expected either a configuration file, --model, --explain, --reference or "
        "--schema");
  }
  if (!arguments.model.empty()) {
    fmt::print("{}", model_section(open_model(arguments.model).config, arguments.model));
    return;
  }
  arguments.request.config_dir = find_config_dir();
  const ResolvedConfig config = read_run_config(arguments.request);
  fmt::print(stderr, "{}", config.preset_note());
  fmt::print("{}", resolved_yaml(config));
}

}  // namespace

void add_config_command(CLI::App& app) {
  auto arguments = std::make_shared<ConfigArguments>();
  CLI::App* command = app.add_subcommand(
      "config", "Check a configuration and print it resolved, or explain the fields");
  command->footer(
      "Examples:\n"
      "  phalanx config configs/quickstart.yaml optimizer.weight_decay=0 --ranks 4\n"
      "  phalanx config --explain stages[].phases[].mix\n"
      "  phalanx config --schema > phalanx.schema.json\n"
      "  phalanx config --model checkpoints/phi-4    # its section `model:`, to start a run from");
  command->add_option("config", arguments->request.file, "YAML file of a run");
  command->add_option("overrides", arguments->request.overrides,
                      "key=value, such as stages[0].phases[1].mix.web=0.25");
  command
      ->add_option("--ranks", arguments->request.num_ranks,
                   "Also check the rules of the mesh for this many ranks")
      ->check(at_least(1));
  command->add_option("--model", arguments->model,
                      "Print the section `model:` of a Hugging Face folder or a checkpoint");
  CLI::Option* explain_option =
      command->add_option("--explain", arguments->explained, "A field, or nothing for all");
  explain_option->expected(0, 1);
  CLI::Option* reference = command->add_flag("--reference", arguments->reference,
                                             "All fields as a page (configs/REFERENCE.md)");
  CLI::Option* schema =
      command->add_flag("--schema", arguments->schema,
                        "All fields as a JSON Schema, by which editors complete and check");
  explain_option->excludes(reference)->excludes(schema);
  reference->excludes(schema);
  command->callback([arguments, explain_option] {
    arguments->explain = explain_option->count() > 0;
    run_config(*arguments);
  });
}

}  // namespace phalanx
