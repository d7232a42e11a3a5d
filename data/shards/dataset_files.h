#pragma once
// Where the parts of a packed data set lie: FOLDER/train and FOLDER/validation, each a data set
// with its own dataset.json. A folder that itself holds dataset.json is a data set without parts.
// Local; looks at names only.
#include <filesystem>
#include <optional>

namespace phalanx {

/// FOLDER itself or FOLDER/train, whichever holds dataset.json. Throws std::invalid_argument that
/// names both when neither does.
[[nodiscard]] std::filesystem::path train_folder(const std::filesystem::path& folder);

/// FOLDER/validation when it holds dataset.json.
[[nodiscard]] std::optional<std::filesystem::path> validation_folder(
    const std::filesystem::path& folder);

}  // namespace phalanx
