#include "launch/commands/plan.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <set>
#include <stdexcept>

#include <fmt/format.h>

#include "configs/read_config.h"
#include "launch/command_errors.h"
#include "launch/install_paths.h"

namespace phalanx {
namespace {

struct PlanArguments {
  ConfigRequest request;
  std::string model;
  int64_t tensor_parallel_size = 1;
  int64_t sequence_length = 4096;
};

/// What a plan is made of, from a preset or from a run's configuration.
struct Planned {
  std::string name;
  Phi4Config shape;
  int64_t num_ranks;
  int64_t tensor_parallel_size;
  int64_t sequence_length;
  int64_t bytes_per_weight;
  std::set<int64_t> other_lengths = {};  // of later stages
};

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Key-value heads of the tensor-parallel rank that needs most of them.
int64_t key_value_heads_per_rank(const Phi4Config& shape, int64_t tensor) {
  const int64_t queries = shape.num_attention_heads / tensor;
  const int64_t group = shape.num_attention_heads / shape.num_key_value_heads;
  int64_t most = 0;
  for (int64_t rank = 0; rank < tensor; ++rank) {
    const int64_t first = rank * queries / group;
    const int64_t last = ((rank + 1) * queries - 1) / group;
    most = std::max(most, last - first + 1);
  }
  return most;
}

/// Parameters that the fullest rank holds: vocabulary and feed-forward are padded to whole shares.
int64_t parameters_per_rank(const Phi4Config& shape, int64_t tensor) {
  Phi4Config share = shape;
  share.vocab_size = divide_up(shape.vocab_size, tensor);
  share.intermediate_size = divide_up(shape.intermediate_size, tensor);
  share.num_attention_heads = shape.num_attention_heads / tensor;
  share.num_key_value_heads = key_value_heads_per_rank(shape, tensor);
  return num_parameters(share);
}

void print_plan(const Planned& plan) {
  const int64_t replicas = plan.num_ranks / plan.tensor_parallel_size;
  const int64_t share = parameters_per_rank(plan.shape, plan.tensor_parallel_size);
  const int64_t weights = share * plan.bytes_per_weight;
  const int64_t gradients = share * 4;
  // fp32 master weights and two fp32 moments, spread over the replicas.
  const int64_t optimizer = divide_up(share, replicas) * 12;
  fmt::print("model {}\n", plan.name);
  fmt::print("parameters {}\n", num_parameters(plan.shape));
  fmt::print("hf_tensors {}\n", num_hf_tensors(plan.shape));
  fmt::print("sequence_length {}\n", plan.sequence_length);
  fmt::print("flops_per_token {:.0f}\n", flops_per_token(plan.shape, plan.sequence_length));
  for (const int64_t length : plan.other_lengths) {
    fmt::print("flops_per_token_of_rows_of_{} {:.0f}\n", length,
               flops_per_token(plan.shape, length));
  }
  fmt::print("ranks {}\n", plan.num_ranks);
  fmt::print("tensor_parallel_size {}\n", plan.tensor_parallel_size);
  fmt::print("data_parallel_size {}\n", replicas);
  fmt::print("parameters_per_rank {}\n", share);
  fmt::print("weight_bytes_per_rank {}\n", weights);
  fmt::print("gradient_bytes_per_rank {}\n", gradients);
  fmt::print("optimizer_bytes_per_rank {}\n", optimizer);
  fmt::print("state_gib_per_rank {:.2f}\n",
             static_cast<double>(weights + gradients + optimizer) / (1 << 30));
}

Planned plan_of_model(const PlanArguments& arguments) {
  const int64_t given = arguments.request.num_ranks;
  const int64_t num_ranks = given > 0 ? given : arguments.tensor_parallel_size;
  const Phi4Config shape = read_preset(arguments.request.config_dir, arguments.model);
  const int64_t tensor = arguments.tensor_parallel_size;
  if (shape.num_attention_heads % tensor != 0) {
    throw std::invalid_argument(
        fmt::format("--tensor-parallel-size: expected a divisor of the {} attention heads, got {}",
                    shape.num_attention_heads, tensor));
  }
  if (num_ranks % tensor != 0) {
    throw std::invalid_argument(fmt::format(
        "--tensor-parallel-size: expected a divisor of the {} ranks, got {}", num_ranks, tensor));
  }
  return {arguments.model, shape, num_ranks, tensor, arguments.sequence_length, 2};
}

Planned plan_of_run(const PlanArguments& arguments) {
  const int64_t given = arguments.request.num_ranks;
  const RunConfig run = read_run_config(arguments.request).run;
  const std::string& preset = run.model.preset;
  Planned plan{preset.empty() ? run.name : preset,
               run.model.shape,
               given > 0 ? given : run.parallel.tensor_parallel_size,
               run.parallel.tensor_parallel_size,
               run.stages.front().sequence_length,
               run.precision == Precision::kFp32 ? 4 : 2};
  for (const StageConfig& stage : run.stages) plan.other_lengths.insert(stage.sequence_length);
  plan.other_lengths.erase(plan.sequence_length);
  return plan;
}

void run_plan(PlanArguments& arguments) {
  const bool has_file = !arguments.request.file.empty();
  if (has_file == !arguments.model.empty()) {
    throw std::invalid_argument("phalanx plan: expected either a configuration file or --model");
  }
  arguments.request.config_dir = find_config_dir();
  print_plan(has_file ? plan_of_run(arguments) : plan_of_model(arguments));
}

}  // namespace

void add_plan_command(CLI::App& app) {
  auto arguments = std::make_shared<PlanArguments>();
  CLI::App* command =
      app.add_subcommand("plan", "Count parameters, operations and bytes of a model or a run");
  command->footer(
      "Examples:\n"
      "  phalanx plan --model phi4-14b --ranks 16 --tensor-parallel-size 8\n"
      "  phalanx plan configs/quickstart.yaml --ranks 4 parallel.tensor_parallel_size=2");
  command->add_option("config", arguments->request.file, "YAML file of a run");
  command->add_option("overrides", arguments->request.overrides, "key=value");
  CLI::Option* model =
      command->add_option("--model", arguments->model, "A preset of configs/model");
  command
      ->add_option("--ranks", arguments->request.num_ranks, "Ranks in all (default: one replica)")
      ->check(at_least(1));
  command
      ->add_option("--tensor-parallel-size", arguments->tensor_parallel_size,
                   "Ranks of a replica; of a run: the override parallel.tensor_parallel_size=N")
      ->needs(model)
      ->check(at_least(1))
      ->capture_default_str();
  command->add_option("--sequence-length", arguments->sequence_length, "Targets of a row")
      ->needs(model)
      ->check(at_least(1))
      ->capture_default_str();
  command->callback([arguments] { run_plan(*arguments); });
}

}  // namespace phalanx
