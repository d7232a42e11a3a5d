// Computes logits and the gradient of the summed loss for an HF folder, on thread ranks, and writes
// them by logical name: the side of the parity test that is ours.
//   dump_model FOLDER IDS.safetensors OUT.safetensors TENSOR_PARALLEL_SIZE SEQUENCE_PARALLEL
//   fp32|bf16
// IDS holds `ids` (I64 [rows, T + 1]); OUT gets `logits` [rows * T, vocabulary], `loss`
// [rows * T] and the full gradient of every parameter, fp32.
#include <ATen/ATen.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

#include "data/file.h"
#include "tests/support/ranks.h"
#include "tests/support/test_model.h"
#include "trainer/checkpoint/hf_config.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/checkpoint/safetensors_writer.h"

namespace phalanx {
namespace {

using Tensors = std::map<std::string, at::Tensor>;

at::Tensor read_ids(const std::string& path) {
  const File file = File::open_read(path);
  const SafetensorsHeader header = read_safetensors_header(
      path, file.size(),
      [&](int64_t offset, std::span<std::byte> bytes) { file.read_exact(offset, bytes); });
  const StoredTensor& stored = header.tensors.at(0);
  at::Tensor ids = at::empty({stored.shape[0], stored.shape[1]}, at::kLong);
  file.read_exact(stored.begin,
                  std::as_writable_bytes(std::span(ids.mutable_data_ptr<int64_t>(),
                                                   static_cast<size_t>(ids.numel()))));
  return ids;
}

void write_tensors(const std::string& path, const Tensors& tensors) {
  std::vector<StoredTensor> stored;
  for (const auto& [name, tensor] : tensors) {
    stored.push_back({name, Dtype::kF32, tensor.sizes().vec(), 0, 0});
  }
  SafetensorsWriter writer(path, stored);
  for (const StoredTensor& next : writer.tensors()) {
    const at::Tensor values = tensors.at(next.name).contiguous();
    writer.write(std::as_bytes(
        std::span(values.const_data_ptr<float>(), static_cast<size_t>(values.numel()))));
  }
  writer.finish();
}

/// Puts this rank's part of each gradient into the full one. Replicated and shared tensors are
/// stored whole, and already summed over the ranks.
void put_gradients(const ParameterSet& parameters, bool first_rank, Tensors& out) {
  for (const auto& parameter : parameters.parameters()) {
    const ShardSpec& spec = parameter->spec;
    const bool sharded = spec.role == ParamRole::kSharded;
    at::Tensor& full = out[parameter->name];
    if (!full.defined()) full = at::zeros(spec.full_shape);
    if (!sharded && !first_rank) continue;
    const Bucket& bucket = parameters.buckets()[static_cast<size_t>(parameter->bucket)];
    full.narrow(spec.dim, spec.stored().begin, spec.stored().size())
        .copy_(stored_view(*parameter, bucket.grads));
  }
}

void dump(const std::string& folder, const std::string& ids_path, const std::string& out_path,
          int tensor_parallel_size, bool sequence_parallel, Precision precision) {
  const HfConfig hf = read_hf_config(folder);
  const at::Tensor ids = read_ids(ids_path);
  const int64_t length = ids.size(1) - 1;
  Tensors out;
  std::mutex mutex;
  run_ranks(tensor_parallel_size, [&](Communicator& world) {
    TestMesh mesh(world, tensor_parallel_size);
    RunConfig config =
        test_run_config(hf.shape, tensor_parallel_size, sequence_parallel, precision);
    config.model.init_from = folder;
    Replica replica(config, mesh.context, {});
    const RopeTable rope(hf.rope_theta, hf.shape, length, at::kCPU);
    const TokenBatch batch{ids.narrow(1, 0, length).contiguous(),
                           ids.narrow(1, 1, length).contiguous(),
                           at::ones({ids.size(0), length}, at::kBool),
                           at::arange(length, at::kLong).repeat({ids.size(0), 1}),
                           {},
                           &rope};
    const at::Tensor logits = replica.model().logits(batch);
    replica.grads().begin_step(1);
    const at::Tensor loss_N = replica.model().loss(batch, &replica.grads());
    replica.grads().finish();
    const std::lock_guard lock(mutex);
    if (world.rank() == 0) {
      out["logits"] = logits.to(at::kFloat);
      out["loss"] = loss_N;
    }
    put_gradients(replica.parameters(), world.rank() == 0, out);
  });
  write_tensors(out_path, out);
}

}  // namespace
}  // namespace phalanx

int main(int argc, char** argv) {
  if (argc != 7) {
    std::fprintf(stderr,
                 "usage: dump_model FOLDER IDS OUT TENSOR_PARALLEL_SIZE SEQUENCE_PARALLEL "
                 "fp32|bf16\n");
    return 2;
  }
  const bool bf16 = std::string_view(argv[6]) == "bf16";
  try {
    phalanx::dump(argv[1], argv[2], argv[3], std::atoi(argv[4]), std::atoi(argv[5]) != 0,
                  bf16 ? phalanx::Precision::kBf16 : phalanx::Precision::kFp32);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "dump_model: %s\n", error.what());
    return 2;
  }
  return 0;
}
