#include "launch/commands/plan.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <stdexcept>
#include <vector>

#include <fmt/format.h>

#include "configs/gpu_table.h"
#include "configs/read_config.h"
#include "configs/units.h"
#include "launch/command_errors.h"
#include "launch/install_paths.h"
#include "launch/resource_json.h"
#include "launch/resource_text.h"

namespace phalanx {
namespace {

struct PlanArguments {
  ConfigRequest request;
  std::string model;
  int64_t tensor_parallel_size = 1;
  int64_t sequence_length = 4096;
  int64_t global_batch_size = 0;
  std::string tokens;
  std::string gpu;
  std::vector<std::string> gpu_tables;
  bool json = false;
  bool search = false;
};

/// What a plan is made of, from a preset or from a run's configuration.
struct Planned {
  std::string name;
  PlanInput input;
  DeviceKind device = DeviceKind::kCuda;
};

Planned plan_of_model(const PlanArguments& arguments) {
  const int64_t given = arguments.request.num_ranks, tensor = arguments.tensor_parallel_size;
  const int64_t num_ranks = given > 0 ? given : tensor;
  Planned plan{arguments.model, {}};
  plan.input.shape = read_preset(arguments.request.config_dir, arguments.model);
  const int64_t heads = plan.input.shape.num_attention_heads;
  if (heads % tensor != 0) {
    throw std::invalid_argument(
        fmt::format("--tensor-parallel-size: expected a divisor of the {} attention heads, got {}",
                    heads, tensor));
  }
  if (num_ranks % tensor != 0) {
    throw std::invalid_argument(fmt::format(
        "--tensor-parallel-size: expected a divisor of the {} ranks, got {}", num_ranks, tensor));
  }
  plan.input.mesh = {tensor, num_ranks / tensor};
  const int64_t replicas = plan.input.mesh.data_parallel;
  const int64_t rows = arguments.global_batch_size > 0 ? arguments.global_batch_size : replicas;
  if (rows % replicas != 0 && !arguments.search) {
    throw std::invalid_argument(fmt::format(
        "--global-batch-size: expected a multiple of the {} replicas, got {}", replicas, rows));
  }
  plan.input.spans = {{"pretrain", arguments.sequence_length, rows, 1, 0}};
  if (!arguments.tokens.empty()) {
    try {
      plan.input.spans[0].tokens = parse_count(arguments.tokens);
    } catch (const std::invalid_argument& error) {
      throw std::invalid_argument(fmt::format("--tokens: {}", error.what()));
    }
  }
  return plan;
}

/// The preset's where the model is it, else the run's with what is not the preset's.
std::string model_name(const ResolvedConfig& config) {
  const std::string& preset = config.run.model.preset;
  if (preset.empty()) return config.run.name;
  std::string others;
  for (const PresetDifference& difference : config.preset_differences) {
    others += (others.empty() ? "" : ", ") + difference.field;
  }
  return others.empty() ? preset
                        : fmt::format("{} ({} but for {})", config.run.name, preset, others);
}

/// A search chooses the mesh, so that of the configuration need not fit the ranks.
Planned plan_of_run(const PlanArguments& arguments) {
  ConfigRequest request = arguments.request;
  const int64_t given = request.num_ranks;
  if (arguments.search) request.num_ranks = 0;
  const ResolvedConfig config = read_run_config(request);
  fmt::print(stderr, "{}", config.preset_note());
  RunConfig run = config.run;
  int64_t& tensor = run.parallel.tensor_parallel_size;
  const int64_t num_ranks = given > 0 ? given : tensor;
  if (arguments.search && num_ranks % tensor != 0) tensor = 1;
  return {model_name(config), plan_input(run, num_ranks), run.parallel.device};
}

Accelerator accelerator_of(const PlanArguments& arguments, DeviceKind device) {
  std::vector<std::string> files = {arguments.request.config_dir + "/gpus.yaml"};
  files.insert(files.end(), arguments.gpu_tables.begin(), arguments.gpu_tables.end());
  const std::string usual = device == DeviceKind::kCuda ? "h100" : "cpu";
  return find_gpu(read_gpu_table(files), arguments.gpu.empty() ? usual : arguments.gpu);
}

/// What scripts read line by line: `name value`.
void print_counts(const Planned& plan) {
  const PlanInput& input = plan.input;
  const StoredParameters stored = stored_parameters(input.shape, input.mesh);
  const int64_t share = stored.numel / input.mesh.data_parallel;
  const int64_t length = input.spans.front().sequence_length;
  fmt::print("model {}\n", plan.name);
  fmt::print("parameters {}\n", num_parameters(input.shape));
  fmt::print("hf_tensors {}\n", num_hf_tensors(input.shape));
  fmt::print("sequence_length {}\n", length);
  fmt::print("flops_per_token {:.0f}\n", flops_per_token(input.shape, length));
  std::set<int64_t> others;
  for (const WorkSpan& span : input.spans) others.insert(span.sequence_length);
  others.erase(length);
  for (const int64_t other : others) {
    fmt::print("flops_per_token_of_rows_of_{} {:.0f}\n", other,
               flops_per_token(input.shape, other));
  }
  fmt::print("ranks {}\n", input.mesh.num_ranks());
  fmt::print("tensor_parallel_size {}\n", input.mesh.tensor_parallel);
  fmt::print("data_parallel_size {}\n", input.mesh.data_parallel);
  fmt::print("parameters_per_rank {}\n", used_parameters(input.shape, input.mesh.tensor_parallel));
  fmt::print("weight_bytes_per_rank {}\n", stored.numel * input.state.weight);
  fmt::print("gradient_bytes_per_rank {}\n", stored.numel * input.state.gradient);
  fmt::print("optimizer_bytes_per_rank {}\n", share * input.state.optimizer());
  const int64_t state =
      stored.numel * (input.state.weight + input.state.gradient) + share * input.state.optimizer();
  fmt::print("state_gib_per_rank {:.2f}\n", double(state) / (1 << 30));
}

void run_plan(PlanArguments& arguments) {
  const bool has_file = !arguments.request.file.empty();
  if (has_file == !arguments.model.empty()) {
    throw std::invalid_argument("phalanx plan: expected either a configuration file or --model");
  }
  arguments.request.config_dir = find_config_dir();
  Planned planned = has_file ? plan_of_run(arguments) : plan_of_model(arguments);
  const Accelerator accelerator = accelerator_of(arguments, planned.device);
  if (planned.input.products != Products::kCompute && accelerator.fp8_flops == 0) {
    throw std::invalid_argument(
        fmt::format("precision: expected bf16 or fp32 on {}, got fp8; its table has no fp8_tflops",
                    accelerator.name));
  }
  if (!has_file) {
    planned.input.overlap = overlap_of(accelerator.device, ParallelConfig().overlap_chunks);
  }
  std::optional<MeshSearch> search;
  std::vector<StateResult> states;
  if (arguments.search) {
    const SearchLimits limits{usable_memory(accelerator)};
    search = search_meshes(planned.input, accelerator, limits);
    states = search_states(planned.input, accelerator, limits);
    if (!search->fitting.empty()) planned.input = search->fitting.front().input;
  }
  const RunPlan plan = plan_run_resources(planned.input, accelerator);
  if (arguments.json) {
    nlohmann::ordered_json json = resource_json(plan, accelerator);
    if (search) json["search"] = search_json(*search, states);
    fmt::print("{}\n", json.dump(1));
    return;
  }
  if (search) fmt::print("{}{}\n", search_text(*search, accelerator), states_text(states));
  if (search && search->fitting.empty()) return;
  print_counts(planned);
  fmt::print("\n{}", resource_text(plan, accelerator));
}

void add_model_options(CLI::App& command, PlanArguments& arguments) {
  CLI::Option* model = command.add_option("--model", arguments.model, "A preset of configs/model");
  command
      .add_option("--tensor-parallel-size", arguments.tensor_parallel_size,
                  "Ranks of a replica; of a run: the override parallel.tensor_parallel_size=N")
      ->needs(model)
      ->check(at_least(1))
      ->capture_default_str();
  command.add_option("--sequence-length", arguments.sequence_length, "Targets of a row")
      ->needs(model)
      ->check(at_least(1))
      ->capture_default_str();
  command
      .add_option("--global-batch-size", arguments.global_batch_size,
                  "Rows a step (default: one a replica)")
      ->needs(model)
      ->check(at_least(1));
  command.add_option("--tokens", arguments.tokens, "Budget, such as 9.8T (default: none)")
      ->needs(model);
}

}  // namespace

void add_plan_command(CLI::App& app) {
  auto arguments = std::make_shared<PlanArguments>();
  CLI::App* command =
      app.add_subcommand("plan", "Say what a run or a model needs: memory, time, best mesh");
  command->footer(
      "Examples:\n"
      "  phalanx plan configs/quickstart.yaml --ranks 4 parallel.tensor_parallel_size=2\n"
      "  phalanx plan configs/phi4-proxy-1b.yaml --gpus 64 --gpu h200 --search\n"
      "  phalanx plan --model phi4-14b --gpus 1920 --global-batch-size 5760 --tokens 9.8T "
      "--search\n"
      "All is counted, nothing is measured or allocated: the kinds of configs/gpus.yaml say how\n"
      "fast a processor is. `name value` lines come first, then tables; --json is for scripts.");
  command->add_option("config", arguments->request.file, "YAML file of a run");
  command->add_option("overrides", arguments->request.overrides, "key=value");
  command
      ->add_option("--ranks,--gpus", arguments->request.num_ranks,
                   "Ranks in all, one a GPU (default: one replica)")
      ->check(at_least(1));
  command->add_option("--gpu", arguments->gpu,
                      "Kind: h100, h200, a100, b200, cpu, or one of a --gpu-table (default: cpu "
                      "for a run on CPU, else h100)");
  command->add_option("--gpu-table", arguments->gpu_tables,
                      "YAML file with more kinds, laid out like configs/gpus.yaml");
  command->add_flag("--search", arguments->search,
                    "Rank the meshes that fit (tensor parallelism, micro-batch, recompute), say "
                    "why others do not, plan the best");
  command->add_flag("--json", arguments->json, "One JSON object; the README names its keys");
  add_model_options(*command, *arguments);
  command->callback([arguments] { run_plan(*arguments); });
}

}  // namespace phalanx
