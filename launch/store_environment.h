#pragma once
// What this machine knows of stores: keys, endpoint and region from the variables that AWS's tools
// read and from their files, ~/.aws/credentials and ~/.aws/config; the folder for temporary files.
//
//   AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN    before the files
//   AWS_PROFILE                                                    section of the files
//   AWS_SHARED_CREDENTIALS_FILE, AWS_CONFIG_FILE                   in place of the files
//   AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION, AWS_DEFAULT_REGION, AWS_CA_BUNDLE, TMPDIR
//
// Local. The files are read when an s3:// URL asks for them. The keys are read each time that they
// are asked for, so that they may be replaced while a run goes on; they are printed and stored
// nowhere. Other ways to keys (a machine's role, SSO) are not known. Errors of asking:
// std::invalid_argument naming variable, file or section.
#include <functional>
#include <optional>
#include <string>

#include "data/store/store_settings.h"

namespace phalanx {

using VariableLookup = std::function<std::optional<std::string>(const std::string& name)>;

[[nodiscard]] StoreEnvironment store_environment(const VariableLookup& variable);

}  // namespace phalanx
