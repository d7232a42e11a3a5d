"""Makes Hugging Face folders of tiny phi-3 models with transformers, and judges ours.

make FOLDER            whole/, sharded/, bf16/, tied/, beside each NAME.expected.safetensors with
                       the logical tensors in fp32; mini/ and window/ have phi-4-mini's and
                       phi-3-mini's positions; yarn/ and llama/ are what we do not read
equal EXPORTED SOURCE  transformers loads both with equal weights and outputs
safetensors FOLDER     ours.safetensors has the bytes of theirs.safetensors
"""
import json
import pathlib
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import Phi3Config, Phi3ForCausalLM

SIZES = dict(vocab_size=53, hidden_size=24, intermediate_size=37, num_hidden_layers=2,
             num_attention_heads=6, num_key_value_heads=2, max_position_embeddings=64,
             pad_token_id=0, bos_token_id=1, eos_token_id=2)


def logical(model):
    config, result = model.config, {}
    state = {name: tensor.detach().float().contiguous()
             for name, tensor in model.state_dict().items()}
    head = config.hidden_size // config.num_attention_heads
    q, kv = config.num_attention_heads * head, config.num_key_value_heads * head
    for i in range(config.num_hidden_layers):
        theirs, ours = f"model.layers.{i}.", f"layers.{i}."
        parts = state[theirs + "self_attn.qkv_proj.weight"].split([q, kv, kv])
        for name, part in zip("qkv", parts):
            result[f"{ours}attention.{name}.weight"] = part.contiguous()
        gate, up = state[theirs + "mlp.gate_up_proj.weight"].chunk(2)
        result[ours + "feed_forward.gate.weight"] = gate.contiguous()
        result[ours + "feed_forward.up.weight"] = up.contiguous()
        result[ours + "feed_forward.down.weight"] = state[theirs + "mlp.down_proj.weight"]
        result[ours + "attention.o.weight"] = state[theirs + "self_attn.o_proj.weight"]
        result[ours + "attention_norm.weight"] = state[theirs + "input_layernorm.weight"]
        norm = state[theirs + "post_attention_layernorm.weight"]
        result[ours + "feed_forward_norm.weight"] = norm
    result["token_embedding.weight"] = state["model.embed_tokens.weight"]
    result["norm.weight"] = state["model.norm.weight"]
    if not config.tie_word_embeddings:
        result["head.weight"] = state["lm_head.weight"]
    return result


def make(folder):
    torch.manual_seed(1)
    variants = {"whole": {}, "sharded": {"max_shard_size": "20KB"}, "bf16": {}, "tied": {},
                "mini": {}, "window": {}}
    pairs = [1.0 + i / 4 for i in range(2)]
    positions = {"mini": dict(hidden_size=36, tie_word_embeddings=True, sliding_window=4096,
                              original_max_position_embeddings=16, partial_rotary_factor=0.75,
                              rope_parameters=dict(rope_type="longrope", rope_theta=10000.0,
                                                   partial_rotary_factor=0.75, short_factor=pairs,
                                                   long_factor=[3 * f for f in pairs])),
                 "window": dict(sliding_window=7)}
    for name, options in variants.items():
        config = Phi3Config(**{**SIZES, "tie_word_embeddings": name == "tied",
                               **positions.get(name, {})})
        model = Phi3ForCausalLM(config)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter)
        if name == "bf16":
            model = model.to(torch.bfloat16)
        model.save_pretrained(folder / name, **options)
        save_file(logical(model), folder / f"{name}.expected.safetensors")
    assert len(list((folder / "sharded").glob("*.safetensors"))) > 2
    for name, section, key, value in (("yarn", "rope_parameters", "rope_type", "yarn"),
                                      ("llama", None, "architectures", ["LlamaForCausalLM"]),
                                      ("odd", "rope_parameters", "partial_rotary_factor", 0.75)):
        config = json.loads((folder / "whole" / "config.json").read_text())
        (config if section is None else config[section])[key] = value
        (folder / name).mkdir()
        (folder / name / "config.json").write_text(json.dumps(config))
    tensors = {"w": torch.randn(3, 5), "b": torch.randn(4).bfloat16(),
               "h": torch.randn(2, 2).half(), "i": torch.arange(7), "empty": torch.zeros(0, 3),
               "a": torch.randn(2), "scalar": torch.tensor(2.0), '\u00e9 "\x01\n': torch.ones(1)}
    for kind in (torch.float64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
                 torch.float8_e4m3fn, torch.float8_e4m3fnuz, torch.float8_e5m2,
                 torch.float8_e5m2fnuz, torch.complex64, torch.uint64, torch.uint32, torch.uint16):
        tensors[f"of {kind}"] = torch.randint(0, 2, (2, 3)).to(kind)
    save_file(tensors, folder / "theirs.safetensors", metadata={"format": "pt"})


def equal(exported, source):
    models = [Phi3ForCausalLM.from_pretrained(path, dtype=torch.float32)
              for path in (exported, source)]
    ours, theirs = (model.state_dict() for model in models)
    assert ours.keys() == theirs.keys(), ours.keys() ^ theirs.keys()
    for name in theirs:
        assert torch.equal(ours[name], theirs[name]), name
    tokens = torch.arange(20)[None]
    assert torch.equal(models[0](tokens).logits, models[1](tokens).logits)


def safetensors(folder):
    ours, theirs = (folder / f"{name}.safetensors" for name in ("ours", "theirs"))
    assert load_file(ours).keys() == load_file(theirs).keys()
    assert ours.read_bytes() == theirs.read_bytes()


if __name__ == "__main__":
    commands = {"make": make, "equal": equal, "safetensors": safetensors}
    commands[sys.argv[1]](*map(pathlib.Path, sys.argv[2:]))
