#include "launch/store_environment.h"

#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <stdexcept>

#include "data/file.h"
#include "data/store/aws_profile.h"

namespace phalanx {
namespace {

namespace fs = std::filesystem;

using Settings = std::map<std::string, std::string>;

constexpr int64_t kMaxFileBytes = int64_t{1} << 20;

std::string value_or_empty(const VariableLookup& variable, const std::string& name) {
  return variable(name).value_or("");
}

std::string first_set(const VariableLookup& variable, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (const std::string value = value_or_empty(variable, name); !value.empty()) return value;
  }
  return "";
}

std::string setting(const Settings& settings, const std::string& name) {
  const auto found = settings.find(name);
  return found == settings.end() ? "" : found->second;
}

/// A file of AWS's: where `variable_name` says, else NAME in ~/.aws.
fs::path aws_file(const VariableLookup& variable, const char* variable_name, const char* name) {
  const std::string given = value_or_empty(variable, variable_name);
  if (!given.empty()) return given;
  const std::string home = value_or_empty(variable, "HOME");
  return home.empty() ? fs::path() : fs::path(home) / ".aws" / name;
}

Settings read_section(const fs::path& file, const std::string& section) {
  std::error_code error;
  if (file.empty() || !fs::exists(file, error)) return {};
  return read_aws_section(read_text(file, kMaxFileBytes), section, file.string());
}

std::string profile_of(const VariableLookup& variable) {
  const std::string name = first_set(variable, {"AWS_PROFILE", "AWS_DEFAULT_PROFILE"});
  return name.empty() ? "default" : name;
}

Settings config_of(const VariableLookup& variable) {
  return read_section(aws_file(variable, "AWS_CONFIG_FILE", "config"),
                      config_section(profile_of(variable)));
}

std::optional<AwsKeys> keys_of_variables(const VariableLookup& variable) {
  AwsKeys keys{value_or_empty(variable, "AWS_ACCESS_KEY_ID"),
               value_or_empty(variable, "AWS_SECRET_ACCESS_KEY"),
               value_or_empty(variable, "AWS_SESSION_TOKEN")};
  if (keys.access_key_id.empty() && keys.secret_access_key.empty()) return std::nullopt;
  if (!keys.access_key_id.empty() && !keys.secret_access_key.empty()) return keys;
  throw std::invalid_argument(
      fmt::format("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: expected both or neither, found "
                  "only {}",
                  keys.access_key_id.empty() ? "the second" : "the first"));
}

AwsKeys keys_in(const Settings& settings) {
  return {setting(settings, "aws_access_key_id"), setting(settings, "aws_secret_access_key"),
          setting(settings, "aws_session_token")};
}

AwsKeys find_keys(const VariableLookup& variable) {
  if (const auto keys = keys_of_variables(variable)) return *keys;
  const std::string profile = profile_of(variable);
  const fs::path file = aws_file(variable, "AWS_SHARED_CREDENTIALS_FILE", "credentials");
  AwsKeys keys = keys_in(read_section(file, profile));
  if (keys.empty()) keys = keys_in(config_of(variable));
  if (keys.empty() != keys.secret_access_key.empty()) {
    throw std::invalid_argument(
        fmt::format("{}: [{}]: expected aws_access_key_id and aws_secret_access_key, found one of "
                    "them",
                    file.string(), profile));
  }
  if (keys.empty() && profile != "default") {
    throw std::invalid_argument(
        fmt::format("AWS_PROFILE: expected a section [{}] with keys in {}, found none", profile,
                    file.string()));
  }
  return keys;
}

S3Defaults s3_defaults(const VariableLookup& variable) {
  S3Defaults found{first_set(variable, {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"}),
                   first_set(variable, {"AWS_REGION", "AWS_DEFAULT_REGION"})};
  if (!found.endpoint.empty() && !found.region.empty()) return found;
  const Settings config = config_of(variable);
  if (found.endpoint.empty()) found.endpoint = setting(config, "endpoint_url");
  if (found.region.empty()) found.region = setting(config, "region");
  return found;
}

}  // namespace

StoreEnvironment store_environment(const VariableLookup& variable) {
  StoreEnvironment found;
  found.keys = [variable] { return find_keys(variable); };
  found.s3 = [variable] { return s3_defaults(variable); };
  found.ca_file = value_or_empty(variable, "AWS_CA_BUNDLE");
  const std::string temporary = value_or_empty(variable, "TMPDIR");
  if (!temporary.empty()) found.temporary_folder = temporary;
  return found;
}

}  // namespace phalanx
