"""Makes Hugging Face folders of tiny phi-3 models with transformers, and judges ours.

make FOLDER            whole/, sharded/, bf16/, tied/, beside each NAME.expected.safetensors with
                       the logical tensors in fp32; scaled/ has a rotary embedding of an unknown type
equal EXPORTED SOURCE  transformers loads both with equal weights and outputs
safetensors FOLDER     ours.safetensors reads like theirs.safetensors and has the same bytes
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
    variants = {"whole": {}, "sharded": {"max_shard_size": "20KB"}, "bf16": {}, "tied": {}}
    for name, options in variants.items():
        config = Phi3Config(**SIZES, tie_word_embeddings=name == "tied")
        model = Phi3ForCausalLM(config)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter)
        if name == "bf16":
            model = model.to(torch.bfloat16)
        model.save_pretrained(folder / name, **options)
        save_file(logical(model), folder / f"{name}.expected.safetensors")
    assert len(list((folder / "sharded").glob("*.safetensors"))) > 2
    scaled = json.loads((folder / "whole" / "config.json").read_text())
    scaled["rope_parameters"]["rope_type"] = "yarn"
    (folder / "scaled").mkdir()
    (folder / "scaled" / "config.json").write_text(json.dumps(scaled))
    tensors = {"w": torch.randn(3, 5), "b": torch.randn(4).bfloat16(),
               "h": torch.randn(2, 2).half(), "i": torch.arange(7), "empty": torch.zeros(0, 3),
               "a": torch.randn(2)}
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
    ours, theirs = (load_file(folder / f"{name}.safetensors") for name in ("ours", "theirs"))
    assert ours.keys() == theirs.keys()
    for name in theirs:
        assert ours[name].dtype == theirs[name].dtype, name
        assert torch.equal(ours[name], theirs[name]), name
    ours, theirs = (folder / f"{name}.safetensors" for name in ("ours", "theirs"))
    assert ours.read_bytes() == theirs.read_bytes()


if __name__ == "__main__":
    commands = {"make": make, "equal": equal, "safetensors": safetensors}
    commands[sys.argv[1]](*map(pathlib.Path, sys.argv[2:]))
