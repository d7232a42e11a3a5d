#pragma once
// SHA-256 (FIPS 180-4) and HMAC-SHA-256 (RFC 2104), which requests to S3 are signed with.
// Local, pure. Tested with the vectors of FIPS 180-4 and RFC 4231.
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace phalanx {

using Sha256 = std::array<uint8_t, 32>;

[[nodiscard]] Sha256 sha256(std::string_view bytes);
[[nodiscard]] Sha256 hmac_sha256(std::string_view key, std::string_view bytes);
/// 64 lower-case hexadecimal digits.
[[nodiscard]] std::string hex_text(const Sha256& hash);
/// The 32 bytes themselves, as the key of a further hmac_sha256().
[[nodiscard]] std::string_view bytes_of(const Sha256& hash);

}  // namespace phalanx
