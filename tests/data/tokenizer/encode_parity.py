"""Encodes the same texts with phalanx and with Hugging Face `tokenizers` from one tokenizer.json.

    python encode_parity.py PHALANX_BINARY
"""
import json
import pathlib
import random
import sys
import tempfile

from tokenizers import Tokenizer

from parity_common import (ATOMS, SPECIALS, compare, hostile, long_runs, phalanx, scalars,
                           standard_library)

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
