"""Encodes real text and code with phalanx and with tiktoken, from the rank files of cl100k_base and
o200k_base; and with Hugging Face `tokenizers` from the tokenizer.json that `phalanx tokenizer
convert` makes of them, phi-4's among them.

    python tiktoken_parity.py PHALANX_BINARY [MEGABYTES]

The rank files come with the package llama-index-core. Exit code 77 where it or tiktoken is missing.
"""
import gzip
import importlib.util
import json
import os
import pathlib
import random
import sys
import tempfile

from tokenizers import Tokenizer

from parity_common import (ATOMS, compare, encode, hostile, long_runs, phalanx, scalar_blocks,
                           scalars, standard_library)

# The names under which tiktoken keeps the files: hashes of where they come from.
CACHED = {"cl100k_base": "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
          "o200k_base": "fb374d419588a4632f3f557e76b4b70aebbca790"}
# Manuals in many languages, headers, Perl, Python.
MIXED = [("/usr/share/man", ".gz"), ("/usr/include", ".h"), ("/usr/share/doc", ".txt"),
         ("/usr/share/perl", ".pm"), ("/usr/lib/python3", ".py"), (sys.prefix, ".py"),
         (sys.prefix, ".h")]


def cache_folder():
    spec = importlib.util.find_spec("llama_index")
    for parent in spec.submodule_search_locations if spec else []:
        folder = pathlib.Path(parent) / "core" / "_static" / "tiktoken_cache"
        if folder.is_dir():
            return folder
    return None


def mixed_text(megabytes):
    """Up to that much of every source in turn, until there is enough."""
    texts, total, limit = [], 0, megabytes * 1e6
    for i, (root, suffix) in enumerate(MIXED):
        end = total + (limit - total) / (len(MIXED) - i)
        for path in sorted(pathlib.Path(root).rglob("*" + suffix)):
            try:
                data = path.read_bytes()
                text = (gzip.decompress(data) if suffix == ".gz" else data).decode()
            except (OSError, UnicodeDecodeError, EOFError):
                continue
            texts.append(text[:500_000])
            total += len(texts[-1].encode())
            if total > end:
                break
    print(f"{total / 1e6:.1f} MB of mixed text and code")
    return texts


def against_tiktoken(name, binary, ranks, encoding, texts):
    ours = encode(binary, ranks, texts)
    for text, our in zip(texts, ours, strict=True):
        their = encoding.encode_ordinary(text)
        if our != their:
            at = next((i for i, (a, b) in enumerate(zip(our, their)) if a != b),
                      min(len(our), len(their)))
            sys.exit(f"{name}: token {at}: phalanx {our[at:at + 4]}, tiktoken {their[at:at + 4]}, "
                     f"after {encoding.decode(their[:at])[-30:]!r} in {text[:80]!r}")
    print(f"{name}: {len(texts)} texts, {sum(map(len, ours))} tokens equal")


def specials_in_text(name, binary, ranks, encoding):
    generator = random.Random(11)
    atoms = list(encoding.special_tokens_set) + ATOMS
    texts = ["".join(generator.choices(atoms, k=15)) for _ in range(2000)]
    lines = phalanx(binary, ["encode", "--tokenizer", ranks, "--jsonl", "--specials"],
                    [json.dumps(text) for text in texts])
    for text, line in zip(texts, lines, strict=True):
        their = encoding.encode(text, allowed_special="all")
        if json.loads(line) != their:
            sys.exit(f"{name}: specials: phalanx {line}, tiktoken {their} in {text!r}")
    print(f"{name}: specials: {len(texts)} texts equal")


def check_ranks(name, binary, folder, texts, whole):
    import tiktoken
    encoding = tiktoken.get_encoding(name)
    ranks = str(folder / f"{name}.tiktoken")
    os.symlink(cache_folder() / CACHED[name], ranks)
    against_tiktoken(f"{name}: text", binary, ranks, encoding, texts)
    against_tiktoken(f"{name}: hostile", binary, ranks, encoding, hostile()[:10_000 if whole else 2000] + long_runs())
    against_tiktoken(f"{name}: scalars between letters", binary, ranks, encoding,
                     ["".join(f"a{c}B\n" for c in block) for block in scalar_blocks(whole)])
    if whole:
        against_tiktoken(f"{name}: every scalar", binary, ranks, encoding, scalars())
    specials_in_text(name, binary, ranks, encoding)
    return ranks


def check_json(name, binary, ranks, folder, texts, specials):
    output = folder / f"{name}-{specials}"
    phalanx(binary, ["convert", "--tokenizer", ranks, "--specials", specials, "--output",
                     str(output)])
    path = str(output / "tokenizer.json")
    reference = Tokenizer.from_file(path)
    reference.encode_special_tokens = True
    compare(f"{name}, {specials}: text through tokenizer.json", binary, path, reference, texts)
    if specials == "phi4" and reference.get_vocab_size(with_added_tokens=True) != 100352:
        sys.exit("phi4: tokenizers reads another vocabulary size than 100352")


def main():
    if cache_folder() is None or importlib.util.find_spec("tiktoken") is None:
        print("skipped: no tiktoken or llama-index-core, which brings its rank files")
        sys.exit(77)
    os.environ["TIKTOKEN_CACHE_DIR"] = str(cache_folder())
    binary, megabytes = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 0
    texts = mixed_text(megabytes) if megabytes else standard_library(1_500_000)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for encoding in CACHED:
            ranks = check_ranks(encoding, binary, folder, texts, bool(megabytes))
            check_json(encoding, binary, ranks, folder, texts if megabytes else texts[::8], "file")
            if encoding == "cl100k_base":
                check_json(encoding, binary, ranks, folder, texts[::1 if megabytes else 8], "phi4")


if __name__ == "__main__":
    main()
