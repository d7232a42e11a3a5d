#pragma once
// Makes a checkpoint of a Hugging Face folder: fp32 masters without moments, the dtype that each
// tensor had, and the folder's config.json and tokenizer files, so that export_hf() gives all of it
// back (trainer/CHECKPOINT.md, "Imported weights").
//
// Local: one rank, tensor by tensor and never holding one. The checkpoint appears whole or not at
// all. Errors: std::invalid_argument naming file, place, expected and found, before anything is
// written but for values that are not finite; std::system_error when the machine fails.
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "trainer/checkpoint/checkpoint_reader.h"
#include "trainer/checkpoint/hf_config.h"
#include "trainer/checkpoint/hf_files.h"
#include "trainer/checkpoint/new_folder.h"
#include "trainer/checkpoint/safetensors.h"

namespace phalanx {

struct HfImport {
  int64_t max_file_bytes = int64_t{4} << 30;  // a file is closed before it grows beyond this
  ByteProgress progress{};                    // of masters
};

void import_hf(const std::filesystem::path& folder, const std::filesystem::path& checkpoint,
               const HfImport& options = {});

/// What an imported checkpoint says of its source. Precondition: manifest().weights_only.
[[nodiscard]] HfConfig imported_config(CheckpointReader& checkpoint);
[[nodiscard]] HfFiles imported_files(CheckpointReader& checkpoint);

/// The dtype that each logical tensor had where it was imported from; none of a run's checkpoint.
[[nodiscard]] std::map<std::string, Dtype> source_dtypes(const Manifest& manifest);

}  // namespace phalanx
