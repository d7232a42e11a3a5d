#pragma once
// Writes a Hugging Face folder (architecture Phi3ForCausalLM) from logical tensors: config.json and
// safetensors files that transformers loads.
//
// Local: one rank, reading tensor by tensor and never holding one. The folder appears whole or not
// at all (data/file.h). Errors: std::invalid_argument when the folder is there already;
// std::system_error when the machine fails.
#include <cstdint>
#include <filesystem>

#include "trainer/checkpoint/hf_config.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/checkpoint/tensor_source.h"

namespace phalanx {

struct HfExport {
  HfConfig config;
  Dtype dtype = Dtype::kBF16;              // or kF32; bf16 is rounded to nearest even
  int64_t max_file_bytes = 5'000'000'000;  // a file is closed before it grows beyond this
};

void export_hf(TensorSource& source, const std::filesystem::path& folder, const HfExport& options);

}  // namespace phalanx
