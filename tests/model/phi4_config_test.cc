// The counts of model/phi4_config.h against published numbers and against a sum over all tensors.
#include "model/phi4_config.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace phalanx {
namespace {

std::string error_of(const Phi4Config& config) {
  try {
    check(config);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

/// Every tensor of the published layout, one by one.
int64_t sum_over_tensors(const Phi4Config& c, int64_t& num_tensors) {
  int64_t sum = c.vocab_size * c.hidden_size;  // model.embed_tokens
  num_tensors = 1;
  for (int64_t layer = 0; layer < c.num_hidden_layers; ++layer) {
    sum += c.hidden_size;                                              // input_layernorm
    sum += (c.query_size() + 2 * c.key_value_size()) * c.hidden_size;  // qkv_proj
    sum += c.hidden_size * c.query_size();                             // o_proj
    sum += c.hidden_size;                                              // post_attention_layernorm
    sum += 2 * c.intermediate_size * c.hidden_size;                    // gate_up_proj
    sum += c.hidden_size * c.intermediate_size;                        // down_proj
    num_tensors += 6;
  }
  sum += c.hidden_size;  // model.norm
  ++num_tensors;
  if (!c.tie_word_embeddings) {
    sum += c.vocab_size * c.hidden_size;  // lm_head
    ++num_tensors;
  }
  return sum;
}

TEST(Phi4Config, Phi4HasThePublishedNumberOfParametersAndTensors) {
  EXPECT_EQ(num_parameters(Phi4Config{}), 14'659'507'200);
  EXPECT_EQ(num_hf_tensors(Phi4Config{}), 243);
}

TEST(Phi4Config, CountsEqualASumOverAllTensorsForOddShapes) {
  for (const bool tied : {false, true}) {
    const Phi4Config odd{.vocab_size = 1013,
                         .hidden_size = 60,
                         .intermediate_size = 77,
                         .num_hidden_layers = 3,
                         .num_attention_heads = 15,
                         .num_key_value_heads = 5,
                         .head_dim = 6,
                         .tie_word_embeddings = tied};
    int64_t num_tensors = 0;
    EXPECT_EQ(num_parameters(odd), sum_over_tensors(odd, num_tensors));
    EXPECT_EQ(num_hf_tensors(odd), num_tensors);
  }
}

TEST(Phi4Config, FlopsCountTheHeadOnceAndTheLookupNever) {
  Phi4Config tied{.vocab_size = 100,
                  .hidden_size = 8,
                  .intermediate_size = 16,
                  .num_hidden_layers = 2,
                  .num_attention_heads = 2,
                  .num_key_value_heads = 1,
                  .head_dim = 4,
                  .tie_word_embeddings = true};
  Phi4Config untied = tied;
  untied.tie_word_embeddings = false;
  EXPECT_EQ(flops_per_token(tied, 32), flops_per_token(untied, 32));
  // 6 x (2 layers x (8x8 + 2 x 8x4 + 8x8 + 3 x 8x16 + 2x8) + 8 + 100x8) + 6 x 2 x 8 x 32.
  EXPECT_EQ(flops_per_token(tied, 32), 6.0 * (2 * (64 + 64 + 64 + 384 + 16) + 8 + 800) + 3072);
}

TEST(Phi4Config, FlopsOfPhi4At4096AreSixForEachParameterPlusAttention) {
  EXPECT_EQ(flops_per_token(Phi4Config{}, 4096),
            6.0 * (14'659'507'200.0 - 513'802'240.0) + 6.0 * 40 * 5120 * 4096);
}

// Row 10, window 4: the queries see 1 + 2 + 3 + 7 x 4 = 34 keys; counted as halves of a diagonal,
// that is (4 - 16 / 20) x 10 = 32 keys, as 50 stands for the 55 of a whole triangle.
TEST(Phi4Config, FlopsCountTheKeysInsideTheWindow) {
  const Phi4Config whole;
  Phi4Config windowed;
  windowed.sliding_window = 4;
  const double keys_less = 12.0 * 40 * 5120 * (5.0 - 3.2);
  EXPECT_DOUBLE_EQ(flops_per_token(whole, 10) - flops_per_token(windowed, 10), keys_less);
  windowed.sliding_window = 10;
  EXPECT_EQ(flops_per_token(windowed, 10), flops_per_token(whole, 10));
}

TEST(Phi4Config, CheckRefusesRotaryEmbeddingsThatDoNotFitTheirHeads) {
  Phi4Config config;
  config.sliding_window = -1;
  config.partial_rotary_factor = 1.5;
  EXPECT_EQ(error_of(config),
            "model.sliding_window: expected a whole number >= 0, got -1\n"
            "model.partial_rotary_factor: expected a number > 0 and at most 1 that leaves an even "
            "number of the 128 channels of a head, got 1.5");
  config = {};
  config.partial_rotary_factor = 0.75;
  config.rope_scaling = RopeScaling::kLongRope;
  config.rope_short_factor.assign(48, 1.0);
  config.rope_long_factor.assign(47, 1.0);
  config.original_max_position_embeddings = 1;
  EXPECT_EQ(error_of(config),
            "model.rope_long_factor: expected 48 numbers, one for each rotated pair of channels, "
            "got 47 numbers\n"
            "model.original_max_position_embeddings: expected a whole number >= 2, got 1\n"
            "model.max_position_embeddings: expected a whole number from 1 to 1099511627776, got "
            "0");
  config.rope_scaling = RopeScaling::kNone;
  EXPECT_NE(error_of(config).find("model.rope_short_factor: expected nothing without "
                                  "rope_scaling: longrope, got 48 numbers"),
            std::string::npos);
}

TEST(Phi4Config, CheckNamesEveryFieldThatIsNotASize) {
  Phi4Config config;
  config.vocab_size = 0;
  config.num_hidden_layers = -1;
  EXPECT_EQ(error_of(config),
            "model.vocab_size: expected a whole number from 1 to 16777216, got 0\n"
            "model.num_hidden_layers: expected a whole number from 1 to 4096, got -1");
}

TEST(Phi4Config, CheckRefusesHeadsThatDoNotGroupAndOddHeadWidths) {
  Phi4Config config;
  config.num_key_value_heads = 7;
  config.head_dim = 33;
  EXPECT_EQ(error_of(config),
            "model.num_key_value_heads: expected a divisor of the 40 attention heads, got 7\n"
            "model.head_dim: expected an even number (rotary embedding turns pairs), got 33");
}

TEST(Phi4Config, CheckAcceptsPhi4) { EXPECT_EQ(error_of(Phi4Config{}), ""); }

}  // namespace
}  // namespace phalanx
