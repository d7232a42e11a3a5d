"""Logits in bf16 against those of transformers in bf16: how far each is from transformers in fp32.

bf16_parity.py DUMP_MODEL

Random models of each family, with the sizes of hf_parity.py. Both sides round the same fp32 weights
to bf16; what differs is where activations are rounded. Two distances, over the root mean square of
the fp32 logits: the root mean square of the difference, in which ours may not be above theirs in
any family; and the largest difference of a model. One logit among thousands makes the latter: the
ratio of ours to theirs varies from model to model with a standard deviation of 0.12, so that the
mean over the models gets a factor of 1.25 before it is more than noise.
"""
import pathlib
import subprocess
import sys
import tempfile

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import Phi3ForCausalLM

from hf_parity import CASES, random_model

FAMILIES = {"phi-4": "forty_to_ten", "phi-3-mini": "phi3_mini_window",
            "phi-3-medium": "phi3_medium_window", "phi-4-mini": "phi4_mini_short",
            "phi-4-mini beyond its original context": "phi4_mini_long"}
SEEDS = 8
ROWS = 8
NOISE = 1.25


def distances(logits, truth):
    apart = logits.double() - truth.double()
    size = truth.double().square().mean().sqrt()
    return apart.square().mean().sqrt() / size, apart.abs().max() / size


def measure(dump_model, sizes, seed):
    """(root mean square, largest) distance of ours, then of theirs."""
    with tempfile.TemporaryDirectory(prefix="phalanx-parity-") as name:
        folder = pathlib.Path(name)
        model = random_model(seed, sizes)
        model.save_pretrained(folder)
        ids = torch.randint(model.config.vocab_size, (ROWS, 18))
        save_file({"ids": ids}, folder / "ids.st")
        subprocess.run([dump_model, folder, folder / "ids.st", folder / "out.st", "1", "0", "bf16"],
                       check=True)
        theirs = Phi3ForCausalLM.from_pretrained(folder, dtype=torch.bfloat16,
                                                 attn_implementation="eager")
        with torch.no_grad():
            truth = model(ids[:, :-1]).logits.flatten(0, 1)
            rounded = theirs(ids[:, :-1]).logits.flatten(0, 1)
        return (*distances(load_file(folder / "out.st")["logits"], truth),
                *distances(rounded, truth))


def main(dump_model):
    transformers.utils.logging.disable_progress_bar()
    sizes = {name: case for name, _, case in CASES}
    for family, case in FAMILIES.items():
        each = torch.tensor([measure(dump_model, sizes[case], seed) for seed in range(SEEDS)])
        ours, our_largest, theirs, their_largest = each.mean(0).tolist()
        print(f"{family}: root mean square {ours:.5f}, transformers {theirs:.5f}; "
              f"largest {our_largest:.4f}, transformers {their_largest:.4f}", flush=True)
        assert ours <= theirs, f"{family}: expected at most {theirs}, found {ours}"
        assert our_largest <= NOISE * their_largest, (
            f"{family}: largest: expected at most {NOISE} x {their_largest}, found {our_largest}")


if __name__ == "__main__":
    main(sys.argv[1])
