#include "configs/model_schema.h"

#include "configs/values.h"

namespace phalanx {
namespace {

using enum Tag;

void declare_rope(SchemaVisitor& v, Phi4Config& c) {
  v.field({"partial_rotary_factor", "part of a head that is rotated, its first channels", kFixed},
          real_value(c.partial_rotary_factor, kPart));
  v.field({"rope_scaling", "how positions past the original context are told apart", kFixed},
          enum_value<RopeScaling>(c.rope_scaling, {{"none", RopeScaling::kNone},
                                                   {"longrope", RopeScaling::kLongRope}}));
  v.field({"rope_short_factor", "longrope: divides the frequency of each rotated pair", kFixed},
          real_list_value(c.rope_short_factor, kPositive));
  v.field(
      {"rope_long_factor", "longrope: the same in rows longer than the original context", kFixed},
      real_list_value(c.rope_long_factor, kPositive));
  v.field({"original_max_position_embeddings", "longrope: the original context; else 0", kFixed},
          integer_value(c.original_max_position_embeddings, 0, "tokens"));
  v.field({"max_position_embeddings", "longrope: the context it is made for; else 0", kFixed},
          integer_value(c.max_position_embeddings, 0, "tokens"));
}

void declare_shape(SchemaVisitor& v, Phi4Config& c) {
  v.field({"vocab_size", "rows of the embedding; at least the tokenizer's tokens", kFixed, true},
          integer_value(c.vocab_size, 1));
  v.field({"hidden_size", "width of the residual stream", kFixed, true},
          integer_value(c.hidden_size, 1));
  v.field({"intermediate_size", "width of the feed-forward layer", kFixed, true},
          integer_value(c.intermediate_size, 1));
  v.field({"num_hidden_layers", "blocks", kFixed, true}, integer_value(c.num_hidden_layers, 1));
  v.field({"num_attention_heads", "query heads", kFixed, true},
          integer_value(c.num_attention_heads, 1));
  v.field(
      {"num_key_value_heads", "key and value heads, shared by groups of query heads", kFixed, true},
      integer_value(c.num_key_value_heads, 1));
  v.field({"head_dim", "width of a head", kFixed, false, "hidden_size / num_attention_heads"},
          integer_value(c.head_dim, 1));
  v.field({"rms_norm_eps", "added to the mean square in the norms", kFixed},
          real_value(c.rms_norm_eps, kPositive));
  v.field({"initializer_range", "standard deviation of the first weights", kFixed},
          real_value(c.initializer_range, kPositive));
  v.field({"tie_word_embeddings", "one matrix for embedding and head", kFixed},
          flag_value(c.tie_word_embeddings));
  v.field({"sliding_window", "keys that a query sees, itself included; 0: all before it", kFixed},
          integer_value(c.sliding_window, 0, "tokens"));
  declare_rope(v, c);
}

}  // namespace

void declare_model(SchemaVisitor& v, ModelConfig& c) {
  v.field({"preset", "a file of configs/model/ that gives the fields below; those named here win",
           kFree, false, "", /*gives_others=*/true},
          {text_value(c.preset).accepts, text_value(c.preset).read,
           [&c] { return c.preset.empty() ? std::nullopt : std::optional(c.preset); },
           text_value(c.preset).schema});
  declare_shape(v, c.shape);
  v.field({"seed", "of the first weights", kFixed}, seed_value(c.seed));
  v.field({"init_from", "Hugging Face folder or checkpoint with the first weights; empty: random",
           kFree},
          text_value(c.init_from));
}

void declare_preset(SchemaVisitor& v, Phi4Config& shape) { declare_shape(v, shape); }

}  // namespace phalanx
