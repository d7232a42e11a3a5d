"""Encodes the same texts with phalanx and with Hugging Face `tokenizers` from one tokenizer.json.

    python encode_parity.py PHALANX_BINARY
"""
import json
import pathlib
import random
import sys
import tempfile

from tokenizers import Tokenizer

from parity_common import SPECIALS, decode, encode, phalanx, standard_library

NUM_HOSTILE = 10_000
ATOMS = [" ", "  ", "\t", "\n", "\r\n", "\r", "\u00a0", "\u2028", "\u3000", "'", "''", "'s", "'S",
         "'re", "'VE", "'ll", "'lL", "'\u017f", "\u017f", "\u212a", "a", "B", "the", " of",
         "\u00e9", "e\u0301", "\u0301", "\u4e2d", "\u0928\u093f", "1", "12", "1234567", "\u0663",
         "\u00bd", "\u2167", ".", "...", "_", "(", "/*", "^", "=", "\U0001f600", "\u200d",
         "\ufeff", "\x00", "\x1c", "\x85", "<|", "|>", "\u180e", "\u200b"]


def scalars():
    return [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def hostile():
    generator = random.Random(20240601)
    return ["".join(generator.choices(ATOMS, k=generator.randrange(1, 40)))
            for _ in range(NUM_HOSTILE)]


def long_runs():
    return [c * n for c in ("a", " ", "^", "7", "\n", "'", "\u00e9", "\t")
            for n in (1, 2, 3, 47, 48, 49, 50, 1000)]


def compare(name, binary, path, reference, texts):
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
    if decode(binary, path, ours) != texts:
        sys.exit(f"{name}: decoding did not give the texts back")
    print(f"{name}: {len(texts)} texts, {sum(map(len, ours))} tokens equal")


def compare_specials(binary, path, reference):
    """Specials in text: `tokenizers` always recognises them, phalanx when asked."""
    generator = random.Random(7)
    texts = ["".join(generator.choices(SPECIALS + ATOMS, k=20)) for _ in range(2000)]
    lines = phalanx(binary, ["encode", "--tokenizer", path, "--jsonl", "--specials"],
                    [json.dumps(text) for text in texts])
    for text, line in zip(texts, lines):
        their = reference.encode(text, add_special_tokens=False).ids
        if json.loads(line) != their:
            sys.exit(f"specials: phalanx {line}, tokenizers {their} in {text!r}")
    print(f"specials: {len(texts)} texts equal")


def with_changes(path, ignore_merges, strip):
    """A tokenizer.json as `tokenizers` writes it, with the options that change ids."""
    data = json.loads(pathlib.Path(path).read_text())
    data["model"]["ignore_merges"] = ignore_merges
    for added in data["added_tokens"][1:3]:
        added["lstrip"] = added["rstrip"] = strip
    changed = pathlib.Path(path).with_name("changed.json")
    Tokenizer.from_str(json.dumps(data)).save(str(changed))
    return str(changed)


def check_all(binary, path, library):
    reference = Tokenizer.from_file(path)
    reference.encode_special_tokens = True  # as ordinary text, which is what phalanx does
    compare("standard library", binary, path, reference, library)
    compare("hostile", binary, path, reference, hostile())
    compare("long runs", binary, path, reference, long_runs())
    compare("every scalar", binary, path, reference, scalars())
    # Lines are cut apart, so that a block of lines is as good as a text for each.
    compare("scalars between letters", binary, path, reference,
            ["".join(f"a{c}b\n" for c in scalars()[i:i + 4096])
             for i in range(0, len(scalars()), 4096)])
    compare("scalars together", binary, path, reference,
            ["".join(scalars()[i:i + 4096]) for i in range(0, len(scalars()), 4096)])
    compare("specials as text", binary, path, reference,
            ["".join(SPECIALS) + " <|endoftext|>\n"])


def main():
    binary = sys.argv[1]
    library = standard_library(10_000_000)
    with tempfile.TemporaryDirectory() as folder:
        corpus = pathlib.Path(folder) / "corpus.jsonl"
        corpus.write_text("".join(json.dumps({"text": text}) + "\n" for text in library[::4]))
        phalanx(binary, ["train", "--input", str(corpus), "--vocab-size", "8192",
                         "--output", folder])
        path = str(pathlib.Path(folder) / "tokenizer.json")
        check_all(binary, path, library)
        compare_specials(binary, path, Tokenizer.from_file(path))
        changed = with_changes(path, ignore_merges=True, strip=True)
        compare_specials(binary, changed, Tokenizer.from_file(changed))
        if Tokenizer.from_file(path).get_vocab_size(with_added_tokens=True) != 8192:
            sys.exit("tokenizers reads another vocabulary size than 8192")


if __name__ == "__main__":
    main()
