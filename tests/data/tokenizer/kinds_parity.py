"""Encodes the same texts with phalanx and with Hugging Face `tokenizers`, for each kind of
tokenizer.json: GPT-2, Llama-3, Qwen-2, Phi-4 and GPT-4o, by small vocabularies that `tokenizers`
trains, with pre-tokenizer, normalizer, added tokens and options as in the original.

    python kinds_parity.py PHALANX_BINARY [--whole] [KIND...]

--whole: every scalar value, alone, between letters and beside marks, instead of a part of them.
"""
import json
import pathlib
import random
import sys
import tempfile

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
from tokenizers import pre_tokenizers, trainers

from parity_common import ATOMS, compare, hostile, long_runs, phalanx, scalar_blocks, scalars, standard_library

CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
CL100K = (CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + SPACES)
PHI4 = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|"
        r"\s*[\r\n]|\s+(?!\S)|\s+")
QWEN2 = CL100K.replace(r"\p{N}{1,3}", r"\p{N}")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
         + CONTRACTION + "?|"
         r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
         + CONTRACTION + r"?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|" + SPACES)
MORE_ATOMS = ["\u0041\u030a", "\u212b", "\u0344", "\u1100\u1161\u11a8", "\uac00\u11a8", "\u0958",
              "\u0323", "\u0307", "\u1e9b\u0323", "\u09c7\u09be", "\U00011099\U000110ba", "\u01c5",
              "\u02b0", "\u4e2dAB", "\u0301AB", "camelCase", "HTML", "//\n/", "/", "\u0345"]


def split(pattern, removed=False):
    cut = (pre_tokenizers.Split(Regex(pattern), "removed", invert=True) if removed
           else pre_tokenizers.Split(Regex(pattern), "isolated"))
    return pre_tokenizers.Sequence(
        [cut, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def added(names, **options):
    return [AddedToken(name, **{"normalized": False, "special": True, **options})
            for name in names]


KINDS = {
    "gpt2": dict(pre=pre_tokenizers.ByteLevel(add_prefix_space=False),
                 added=added(["<|endoftext|>"], normalized=True)),
    "gpt2-prefix": dict(pre=pre_tokenizers.ByteLevel(add_prefix_space=True),
                        added=added(["<|endoftext|>"], normalized=True)),
    "llama3": dict(pre=split(CL100K), ignore_merges=True,
                   added=added(["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"])),
    "qwen2": dict(pre=split(QWEN2), normalizer=normalizers.NFC(),
                  added=added(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
                  + added(["<tool_call>", "</tool_call>"], special=False)
                  + added(["e\u0301e"], special=False, normalized=True)),
    "phi4": dict(pre=split(CL100K, removed=True),
                 added=added(["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|dummy_1|>",
                              "<|dummy_10|>"], lstrip=True, rstrip=True)),
    "phi4-wording": dict(pre=split(PHI4, removed=True),
                         added=added(["<|endoftext|>", "<|im_start|>"], lstrip=True)),
    "gpt4o": dict(pre=split(O200K), added=added(["<|endoftext|>", "<|endofprompt|>"])),
}


def make(kind, texts, path):
    """A tokenizer.json of one kind; returns the reference that reads it."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=kind.get("ignore_merges", False)))
    tokenizer.pre_tokenizer = kind["pre"]
    tokenizer.decoder = decoders.ByteLevel()
    if "normalizer" in kind:
        tokenizer.normalizer = kind["normalizer"]
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=3000, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.add_tokens(kind["added"])
    if kind.get("ignore_merges"):
        drop_merges(tokenizer, path)
    else:
        tokenizer.save(str(path))
    return Tokenizer.from_file(str(path))


def drop_merges(tokenizer, path):
    """Without some merges, tokens are found only because whole pieces go first."""
    data = json.loads(tokenizer.to_str())
    data["model"]["merges"] = [merge for i, merge in enumerate(data["model"]["merges"]) if i % 7]
    path.write_text(json.dumps(data))


def with_added(kind, count, rounds):
    generator = random.Random(7)
    names = [token.content for token in kind["added"]]
    return ["".join(generator.choices(names + ATOMS + MORE_ATOMS, k=count)) for _ in range(rounds)]


def check(name, kind, binary, folder, library, whole):
    path = folder / f"{name}.json"
    reference = make(kind, library[::6], path)
    normal = "normalizer" in kind or name == "gpt2-prefix"
    reference.encode_special_tokens = True
    generator = random.Random(5)
    marks = ["".join(generator.choices(ATOMS + MORE_ATOMS, k=generator.randrange(1, 30)))
             for _ in range(4000)]
    blocks = scalar_blocks(whole)
    groups = {
        "library": library[::1 if whole else 3], "long runs": long_runs(),
        "hostile": hostile()[:10_000 if whole else 1000] + marks[:4000 if whole else 1000],
        "every scalar": scalars() if whole else scalars()[::997],
        "scalars between letters": ["".join(f"a{c}b\n" for c in block) for block in blocks],
        "scalars before capitals": ["".join(f"{c}AB\u0301\n" for c in block) for block in blocks],
        "scalars after marks": ["".join(f"e\u0301\u0323{c} " for c in block) for block in blocks],
        "added tokens as text": with_added(kind, 12, 1000)}
    for group, texts in groups.items():
        compare(f"{name}: {group}", binary, str(path), reference, texts, decodes=not normal)
    reference.encode_special_tokens = False
    texts = with_added(kind, 16, 2000)
    lines = phalanx(binary, ["encode", "--tokenizer", str(path), "--jsonl", "--specials"],
                    [json.dumps(text) for text in texts])
    for text, line in zip(texts, lines, strict=True):
        their = reference.encode(text, add_special_tokens=False).ids
        if json.loads(line) != their:
            sys.exit(f"{name}: phalanx {line}, tokenizers {their} in {text!r}")
    print(f"{name}: added tokens: {len(texts)} texts equal")
    check_convert(name, binary, path, folder)


def check_convert(name, binary, path, folder):
    """What phalanx writes is read by `tokenizers` as the same tokenizer."""
    output = folder / f"{path.stem}-again"
    phalanx(binary, ["convert", "--tokenizer", str(path), "--output", str(output)])
    first, second = (Tokenizer.from_file(str(file)) for file in (path, output / "tokenizer.json"))
    for text in hostile()[:300]:
        if first.encode(text).ids != second.encode(text).ids:
            sys.exit(f"{name}: another tokenizer after convert: {text!r}")


def main():
    binary, whole = sys.argv[1], "--whole" in sys.argv
    names = [name for name in sys.argv[2:] if name != "--whole"] or list(KINDS)
    library = standard_library(2_000_000)
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            check(name, KINDS[name], binary, pathlib.Path(folder), library, whole)


if __name__ == "__main__":
    main()
