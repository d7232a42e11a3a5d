"""Logits and the gradient of every parameter against transformers' Phi3ForCausalLM.

hf_parity.py DUMP_MODEL

Makes random fp32 models of odd sizes, runs DUMP_MODEL (dump_model.cc) on each at several
tensor-parallel sizes, with and without sequence parallelism, and compares by relative norm.
"""
import pathlib
import subprocess
import sys
import tempfile

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import Phi3Config, Phi3ForCausalLM

LIMIT = 1e-5


def longrope(original, rotated_pairs, factor):
    """phi-4-mini's rotary embedding: three quarters of a head, each pair with factors of its own."""
    short = [1.0 + 0.03 * i for i in range(rotated_pairs)]
    return dict(partial_rotary_factor=0.75, original_max_position_embeddings=original,
                max_position_embeddings=factor * original,
                rope_parameters=dict(rope_type="longrope", rope_theta=10000.0, factor=float(factor),
                                     partial_rotary_factor=0.75, short_factor=short,
                                     original_max_position_embeddings=original,
                                     long_factor=[1.7 * f * f for f in short]))


# name, (tensor-parallel sizes beside 1), sizes
CASES = [
    ("four_to_one", (2,), dict(num_attention_heads=8, num_key_value_heads=2, head_dim=6,
                               hidden_size=48, intermediate_size=71, vocab_size=103)),
    ("forty_to_ten", (2, 4, 8), dict(num_attention_heads=40, num_key_value_heads=10, head_dim=4,
                                     hidden_size=160, intermediate_size=97, vocab_size=211)),
    ("ungrouped_odd", (2,), dict(num_attention_heads=2, num_key_value_heads=2, head_dim=10,
                                 hidden_size=33, intermediate_size=51, vocab_size=67)),
    ("one_kv_head", (2,), dict(num_attention_heads=6, num_key_value_heads=1, head_dim=16,
                               hidden_size=77, intermediate_size=129, vocab_size=59)),
    ("tied", (2,), dict(num_attention_heads=4, num_key_value_heads=2, head_dim=8, hidden_size=29,
                        intermediate_size=43, vocab_size=87, tie_word_embeddings=True)),
    ("long_theta", (2,), dict(num_attention_heads=4, num_key_value_heads=1, head_dim=18,
                              hidden_size=50, intermediate_size=101, vocab_size=131,
                              rope_theta=250000.0, num_hidden_layers=3)),
    ("single_layer", (2,), dict(num_attention_heads=10, num_key_value_heads=5, head_dim=2,
                                hidden_size=7, intermediate_size=3, vocab_size=11,
                                num_hidden_layers=1, rms_norm_eps=1e-6)),
    # Rows have 17 tokens: longer than these windows, and than the second original context.
    ("phi3_mini_window", (2,), dict(num_attention_heads=4, num_key_value_heads=4, head_dim=12,
                                    hidden_size=48, intermediate_size=64, vocab_size=96,
                                    sliding_window=5)),
    ("phi3_medium_window", (2, 4), dict(num_attention_heads=40, num_key_value_heads=10, head_dim=4,
                                        hidden_size=96, intermediate_size=64, vocab_size=96,
                                        sliding_window=3)),
    ("phi4_mini_short", (2,), dict(num_attention_heads=6, num_key_value_heads=2, head_dim=16,
                                   hidden_size=96, intermediate_size=64, vocab_size=96,
                                   tie_word_embeddings=True, sliding_window=4096,
                                   **longrope(32, 6, 32))),
    ("phi4_mini_long", (2,), dict(num_attention_heads=6, num_key_value_heads=2, head_dim=16,
                                  hidden_size=96, intermediate_size=64, vocab_size=96,
                                  tie_word_embeddings=True, sliding_window=4096,
                                  **longrope(16, 6, 32))),
]


def random_model(seed, sizes):
    torch.manual_seed(seed)
    sizes = {"num_hidden_layers": 2, "max_position_embeddings": 64, "tie_word_embeddings": False,
             **sizes}
    # A padding token would zero its row of the embedding's gradient.
    config = Phi3Config(**sizes, pad_token_id=None, bos_token_id=None, eos_token_id=None,
                        attention_dropout=0.0, attn_implementation="eager")
    model = Phi3ForCausalLM(config).float()
    assert model.model.embed_tokens.padding_idx is None
    assert config.rope_parameters["rope_theta"] == sizes.get("rope_theta", 10000.0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            deviation = 0.2 if "norm" in name else parameter.shape[-1] ** -0.5
            parameter.normal_(1.0 if "norm" in name else 0.0, deviation)
    return model


def logical(config, of_name):
    """Tensors by our names, cut out of the fused ones."""
    head = config.head_dim
    q, kv = config.num_attention_heads * head, config.num_key_value_heads * head
    result = {"token_embedding.weight": of_name("model.embed_tokens.weight"),
              "norm.weight": of_name("model.norm.weight")}
    if not config.tie_word_embeddings:
        result["head.weight"] = of_name("lm_head.weight")
    for i in range(config.num_hidden_layers):
        theirs, ours = f"model.layers.{i}.", f"layers.{i}."
        parts = of_name(theirs + "self_attn.qkv_proj.weight").split([q, kv, kv])
        for name, part in zip("qkv", parts):
            result[f"{ours}attention.{name}.weight"] = part
        gate, up = of_name(theirs + "mlp.gate_up_proj.weight").chunk(2)
        result[ours + "feed_forward.gate.weight"] = gate
        result[ours + "feed_forward.up.weight"] = up
        result[ours + "feed_forward.down.weight"] = of_name(theirs + "mlp.down_proj.weight")
        result[ours + "attention.o.weight"] = of_name(theirs + "self_attn.o_proj.weight")
        result[ours + "attention_norm.weight"] = of_name(theirs + "input_layernorm.weight")
        norm = of_name(theirs + "post_attention_layernorm.weight")
        result[ours + "feed_forward_norm.weight"] = norm
    return result


def expected_tensors(model, ids):
    logits = model(ids[:, :-1]).logits.flatten(0, 1)
    loss = torch.nn.functional.cross_entropy(logits, ids[:, 1:].flatten(), reduction="none")
    loss.sum().backward()
    parameters = dict(model.named_parameters())
    expected = logical(model.config, lambda name: parameters[name].grad)
    return {**expected, "logits": logits.detach(), "loss": loss.detach()}


def compare(found, expected, where):
    assert found.keys() == expected.keys(), (where, found.keys() ^ expected.keys())
    worst, worst_name = 0.0, ""
    for name, truth in expected.items():
        assert found[name].shape == truth.shape, (where, name, found[name].shape, truth.shape)
        assert truth.norm() > 0, (where, name)
        error = ((found[name].double() - truth.double()).norm() / truth.double().norm()).item()
        assert error <= LIMIT, f"{where}: {name} is off by {error:.2e} in relative norm"
        worst, worst_name = max((worst, worst_name), (error, name))
    print(f"{where}: {len(expected)} tensors, worst {worst:.1e} ({worst_name})", flush=True)


def main(dump_model):
    transformers.utils.logging.disable_progress_bar()
    for seed, (case, tensor_sizes, sizes) in enumerate(CASES, 1):
        with tempfile.TemporaryDirectory(prefix="phalanx-parity-") as name:
            folder = pathlib.Path(name)
            model = random_model(seed, sizes)
            model.save_pretrained(folder)
            ids = torch.randint(model.config.vocab_size, (3, 18))  # 51 targets: odd
            save_file({"ids": ids}, folder / "ids.st")
            expected = expected_tensors(model, ids)
            for tensor_size in (1, *tensor_sizes):
                for sequence_parallel in (0, 1)[:1 if tensor_size == 1 else 2]:
                    out = folder / "out.st"
                    subprocess.run([dump_model, folder, folder / "ids.st", out, str(tensor_size),
                                    str(sequence_parallel), "fp32"], check=True)
                    compare(load_file(out), expected,
                            f"{case}, tensor parallel {tensor_size}"
                            + (", sequence parallel" if sequence_parallel else ""))


if __name__ == "__main__":
    main(sys.argv[1])
