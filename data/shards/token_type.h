#pragma once
// How token ids lie in a shard: the values are Megatron's dtype codes and never change.
// Pure.
#include <cstdint>
#include <string_view>

namespace phalanx {

enum class TokenType : uint8_t { kInt32 = 4, kUint16 = 8 };

constexpr int64_t token_bytes(TokenType type) { return type == TokenType::kUint16 ? 2 : 4; }

constexpr std::string_view token_type_name(TokenType type) {
  return type == TokenType::kUint16 ? "uint16" : "int32";
}

/// Megatron's rule, so that its own tools choose the same: uint16 below 65,500 ids.
constexpr TokenType token_type_for(int64_t vocab_size) {
  return vocab_size < 65500 ? TokenType::kUint16 : TokenType::kInt32;
}

}  // namespace phalanx
