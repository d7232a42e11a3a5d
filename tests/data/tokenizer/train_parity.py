"""Trains on the same text with phalanx and with HF `tokenizers`; the merges must be equal.

    python train_parity.py PHALANX_BINARY
"""
import json
import pathlib
import sys
import tempfile

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from parity_common import PATTERN, SPECIALS, phalanx, standard_library

# Small enough to tie everywhere; "aa" + "a" and "a" + "aa" make one token in two ways.
REPETITIVE = ["a" * n + " " + "-" * (n + 3) + "=" * n for n in range(1, 90)]
REPETITIVE += ["ab" * 30, "abab aba baba"]


def reference_merges(texts, vocab_size):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERN), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=SPECIALS, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]


def phalanx_merges(binary, texts, vocab_size, folder):
    corpus = pathlib.Path(folder) / "corpus.jsonl"
    corpus.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    phalanx(binary, ["train", "--input", str(corpus), "--vocab-size", str(vocab_size),
                     "--output", folder])
    model = json.loads((pathlib.Path(folder) / "tokenizer.json").read_text())["model"]
    return [tuple(merge.split(" ")) for merge in model["merges"]]


def check(name, binary, texts, vocab_size):
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
        ours = phalanx_merges(binary, texts, vocab_size, folder)
        reverse = phalanx_merges(binary, texts[::-1], vocab_size, other)
    theirs = reference_merges(texts, vocab_size)
    for i, (our, their) in enumerate(zip(ours, theirs)):
        if our != their:
            sys.exit(f"{name}: merge {i}: phalanx {our}, tokenizers {their}")
    if len(ours) != len(theirs):
        sys.exit(f"{name}: phalanx made {len(ours)} merges, tokenizers {len(theirs)}")
    if ours != reverse:
        sys.exit(f"{name}: the merges depend on the order of the documents")
    print(f"{name}: {len(ours)} merges equal")


def main():
    binary = sys.argv[1]
    check("standard library", binary, standard_library(6_000_000), 8192)
    check("repetitive", binary, REPETITIVE, 400)
    check("few words", binary, ["the cat sat on the mat, the cat ate"], 271)


if __name__ == "__main__":
    main()
