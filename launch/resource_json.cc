#include "launch/resource_json.h"

#include <nlohmann/json.hpp>

namespace phalanx {
namespace {

using Json = nlohmann::ordered_json;

Json memory_json(const MemoryPlan& memory) {
  Json json;
  for (const MemoryCategory& category : memory.categories()) json[category.name] = category.bytes;
  json["total"] = memory.total();
  json["host"] = memory.host;
  return json;
}

Json mesh_json(const PlanInput& input) {
  Json micro = Json::array();
  for (const WorkSpan& span : input.spans) micro.push_back(span.micro_batch_size);
  return {{"tensor_parallel_size", input.mesh.tensor_parallel},
          {"data_parallel_size", input.mesh.data_parallel},
          {"micro_batch_size", micro},
          {"recompute", recompute_name(input.recompute)}};
}

Json collective_json(const Collective& c) {
  return {{"name", c.name},       {"axis", c.axis},
          {"link", c.link.name},  {"calls", c.calls},
          {"bytes", c.bytes},     {"bandwidth", c.link.bandwidth},
          {"seconds", c.seconds}, {"exposed_seconds", c.exposed_seconds}};
}

Json step_json(const SpanPlan& span) {
  const StepPlan& step = span.step;
  Json collectives = Json::array();
  for (const Collective& c : step.collectives) collectives.push_back(collective_json(c));
  return {{"stage", span.span.stage},
          {"sequence_length", span.span.sequence_length},
          {"rows_per_step", span.span.rows_per_step},
          {"micro_batches", step.num_micro_batches},
          {"tokens", step.tokens},
          {"flops", step.flops},
          {"gemm_seconds", step.gemm_seconds},
          {"attention_seconds", step.attention_seconds},
          {"elementwise_seconds", step.elementwise_seconds},
          {"loss_seconds", step.loss_seconds},
          {"exposed_seconds", step.exposed_seconds()},
          {"optimizer_seconds", step.optimizer_seconds},
          {"waiting_seconds", step.waiting_seconds},
          {"seconds", step.seconds},
          {"tokens_per_second", step.tokens_per_second},
          {"mfu", step.mfu},
          {"collectives", collectives},
          {"num_steps", span.num_steps}};
}

Json activations_json(const RunPlan& plan, const Accelerator& accelerator) {
  Json json;
  PlanInput input = plan.input;
  for (const Recompute mode : {Recompute::kNone, Recompute::kSelective, Recompute::kFull}) {
    input.recompute = mode;
    json[recompute_name(mode)] = plan_memory(input, accelerator).activations;
  }
  return json;
}

Json candidate_json(const MeshCandidate& mesh) {
  Json json = mesh_json(mesh.input);
  json["memory_total"] = mesh.memory.total();
  json["tokens_per_second"] = mesh.tokens_per_second;
  json["mfu"] = mesh.mfu;
  json["overrides"] = overrides_text(mesh.input);
  return json;
}

}  // namespace

Json resource_json(const RunPlan& plan, const Accelerator& accelerator) {
  Json json = {{"gpu", accelerator.name},
               {"ranks", plan.input.mesh.num_ranks()},
               {"mesh", mesh_json(plan.input)},
               {"parameters", num_parameters(plan.input.shape)},
               {"memory", memory_json(plan.memory)},
               {"memory_available", accelerator.memory_bytes},
               {"fits", plan.memory.total() <= usable_memory(accelerator)},
               {"activations_by_recompute", activations_json(plan, accelerator)}};
  json["steps"] = Json::array();
  for (const SpanPlan& span : plan.spans) json["steps"].push_back(step_json(span));
  json["checkpoint"] = {{"bytes", plan.saves.bytes},
                        {"stall_seconds", plan.saves.stall_seconds},
                        {"count", plan.saves.count}};
  if (plan.seconds > 0) {
    json["run"] = {{"tokens", plan.tokens},
                   {"seconds", plan.seconds},
                   {"days", plan.days()},
                   {"rank_hours", plan.rank_hours()},
                   {"mfu", plan.mfu()}};
  }
  return json;
}

Json search_json(const MeshSearch& search, const std::vector<StateResult>& states) {
  Json fitting = Json::array(), refused = Json::array(), kept = Json::array();
  for (const MeshCandidate& mesh : search.fitting) fitting.push_back(candidate_json(mesh));
  for (const RefusedMesh& mesh : search.refused) {
    refused.push_back(
        {{"tensor_parallel_size", mesh.tensor_parallel_size}, {"reason", mesh.reason}});
  }
  for (const StateResult& result : states) {
    kept.push_back({{"overrides", result.choice.overrides},
                    {"least_bytes", result.least_bytes},
                    {"best", result.best ? candidate_json(*result.best) : Json()}});
  }
  return {
      {"tried", search.num_tried}, {"fitting", fitting}, {"refused", refused}, {"states", kept}};
}

}  // namespace phalanx
