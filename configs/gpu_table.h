#pragma once
// The table of processors that a plan may be made for: gpus.yaml of the presets' folder, and files
// of the user's with the same keys, whose kinds come on top. Local, pure but for reading the files.
// Bad input: one std::invalid_argument with all errors of a file, a line each, as in read_config.h.
// A file that cannot be read: std::system_error.
#include <map>
#include <string>
#include <vector>

#include "trainer/planner/accelerator.h"

namespace phalanx {

/// By name.
using GpuTable = std::map<std::string, Accelerator>;

/// Kinds of later files replace those of the same name in earlier ones.
GpuTable read_gpu_table(const std::vector<std::string>& files);

/// The kind whose name is a word of what the maker calls a GPU ("NVIDIA H100 80GB HBM3"), or null.
/// The table's figures are those of SXM modules, so a PCIe or NVL card of that name is none.
const Accelerator* find_gpu_called(const GpuTable& table, const std::string& makers_name);

/// Throws std::invalid_argument with the known names when there is no such kind.
const Accelerator& find_gpu(const GpuTable& table, const std::string& name);

}  // namespace phalanx
