#pragma once
// The files ~/.aws/credentials and ~/.aws/config: sections of `name = value`, as the AWS tools read
// them. Local, pure: the text is an argument.
// Errors: std::invalid_argument with file and line; never with what stands there, which may be a
// secret.
#include <map>
#include <string>
#include <string_view>

namespace phalanx {

/// The settings of section `section`; empty where there is no such section. Names in lower case.
/// Indented lines belong to a nested setting and are passed over.
[[nodiscard]] std::map<std::string, std::string> read_aws_section(std::string_view text,
                                                                  std::string_view section,
                                                                  const std::string& where);

/// Of profile `profile` in ~/.aws/config: "profile NAME", but "default".
[[nodiscard]] std::string config_section(const std::string& profile);

}  // namespace phalanx
