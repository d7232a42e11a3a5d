"""What the two parity checks share: real text, and runs of the phalanx binary."""
import json
import os
import pathlib
import subprocess
import sys

# Reference encoders otherwise warn or spread over threads; neither changes a result.
os.environ["TOKENIZERS_PARALLELISM"] = "false"

PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
           r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im_sep|>", "<|pad|>"]


def standard_library(max_bytes, suffixes=(".py", ".txt")):
    """Texts of Python's standard library, sorted by path, up to max_bytes in all."""
    root = pathlib.Path(os.__file__).parent
    texts = []
    total = 0
    for path in sorted(root.rglob("*")):
        if path.suffix not in suffixes or "site-packages" in path.parts or not path.is_file():
            continue
        try:
            text = path.read_bytes().decode("utf-8")
        except UnicodeDecodeError:
            continue
        total += len(text)
        if total > max_bytes:
            break
        texts.append(text)
    if not texts:
        sys.exit(f"no text found under {root}")
    return texts


def phalanx(binary, arguments, lines=None):
    """Runs `phalanx tokenizer ...`; returns the lines of its standard output."""
    stdin = None if lines is None else "".join(line + "\n" for line in lines).encode()
    done = subprocess.run([binary, "tokenizer", *arguments], input=stdin, stdout=subprocess.PIPE,
                          check=True)
    return done.stdout.decode().split("\n")[:-1]


def encode(binary, tokenizer, texts):
    lines = phalanx(binary, ["encode", "--tokenizer", tokenizer, "--jsonl"],
                    [json.dumps(text) for text in texts])
    return [json.loads(line) for line in lines]


def decode(binary, tokenizer, all_ids):
    lines = phalanx(binary, ["decode", "--tokenizer", tokenizer, "--jsonl"],
                    [json.dumps(ids) for ids in all_ids])
    return [json.loads(line) for line in lines]
