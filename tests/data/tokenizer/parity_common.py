"""What the parity checks share: real text, and runs of the phalanx binary."""
import json
import os
import pathlib
import random
import subprocess
import sys

# Reference encoders otherwise warn or spread over threads; neither changes a result.
os.environ["TOKENIZERS_PARALLELISM"] = "false"

PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
           r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im_sep|>", "<|pad|>"]


NUM_HOSTILE = 10_000
ATOMS = [" ", "  ", "\t", "\n", "\r\n", "\r", "\u00a0", "\u2028", "\u3000", "'", "''", "'s", "'S",
         "'re", "'VE", "'ll", "'lL", "'\u017f", "\u017f", "\u212a", "a", "B", "the", " of",
         "\u00e9", "e\u0301", "\u0301", "\u4e2d", "\u0928\u093f", "1", "12", "1234567", "\u0663",
         "\u00bd", "\u2167", ".", "...", "_", "(", "/*", "^", "=", "\U0001f600", "\u200d",
         "\ufeff", "\x00", "\x1c", "\x85", "<|", "|>", "\u180e", "\u200b"]


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


def scalars():
    return [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def scalar_blocks(whole):
    """All scalar values, or the blocks that have most kinds of letters and some of the rest."""
    chosen = scalars() if whole else scalars()[:0x3400] + scalars()[0x3400::61]
    return [chosen[i:i + 4096] for i in range(0, len(chosen), 4096)]


def hostile():
    generator = random.Random(20240601)
    return ["".join(generator.choices(ATOMS, k=generator.randrange(1, 40)))
            for _ in range(NUM_HOSTILE)]


def long_runs():
    return [c * n for c in ("a", " ", "^", "7", "\n", "'", "\u00e9", "\t")
            for n in (1, 2, 3, 47, 48, 49, 50, 1000)]


def compare(name, binary, path, reference, texts, decodes=True):
    """Ids of both, and the texts back; `decodes`: unless the tokenizer changes texts."""
    ours = encode(binary, path, texts)
    theirs = [list(e.ids) for e in reference.encode_batch_fast(texts, add_special_tokens=False)]
    if len(ours) != len(texts):
        sys.exit(f"{name}: {len(texts)} texts, {len(ours)} answers")
    for text, our, their in zip(texts, ours, theirs):
        if our != their:
            at = next((i for i, (a, b) in enumerate(zip(our, their)) if a != b),
                      min(len(our), len(their)))
            before = reference.decode(their[:at], skip_special_tokens=False)
            sys.exit(f"{name}: token {at}: phalanx {our[at:at + 4]}, "
                     f"tokenizers {their[at:at + 4]}; "
                     f"after {before[-30:]!r} in {text[:80]!r}")
    if decodes and decode(binary, path, ours) != texts:
        sys.exit(f"{name}: decoding did not give the texts back")
    print(f"{name}: {len(texts)} texts, {sum(map(len, ours))} tokens equal")
