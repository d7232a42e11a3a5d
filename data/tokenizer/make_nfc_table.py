#!/usr/bin/env python3
"""Writes nfc_table.inc: canonical decompositions and combining classes as HF tokenizers has them.

Its normalizer carries Unicode 9.0.0, older than what its expressions carry, and characters that
came later pass it unchanged. So the data are those of 16.0.0 (package unicodedata2==16.0.0; data of
a character never change) for characters that `tokenizers` 0.23 is seen to know. Hangul syllables
follow a rule and are not listed.

    python3 data/tokenizer/make_nfc_table.py > data/tokenizer/nfc_table.inc
"""
import sys
import textwrap

import unicodedata2 as unicodedata
from tokenizers import normalizers

VERSION = "16.0.0"
NFD = normalizers.NFD()
HANGUL = range(0xAC00, 0xD7A4)


def known(text):
    return NFD.normalize_str(text) == unicodedata.normalize("NFD", text)


def decompositions():
    for code_point in range(0x110000):
        char = chr(code_point)
        parts = unicodedata.decomposition(char).split()
        if not parts or parts[0].startswith("<") or code_point in HANGUL or not known(char):
            continue
        codes = [int(part, 16) for part in parts]
        back = unicodedata.normalize("NFC", "".join(map(chr, codes))) == char
        yield f"{{0x{code_point:X},0x{codes[0]:X},0x{(codes + [0])[1]:X},{int(back)}}},"


def combining_class(code_point):
    """0 also where the library does not reorder the mark among others."""
    if code_point == 0x110000 or 0xD800 <= code_point < 0xE000:
        return 0
    char = chr(code_point)
    if not unicodedata.combining(char):
        return 0
    probes = [f"a{char}\u0334", f"a\u0345{char}", f"a\u0300{char}", f"a{char}\u0323"]
    return unicodedata.combining(char) if all(map(known, probes)) else 0


def class_ranges():
    begin, current = 0, 0
    for code_point in range(0x110001):
        found = combining_class(code_point)
        if found != current:
            if current:
                yield f"{{0x{begin:X},0x{code_point - 1:X},{current}}},"
            begin, current = code_point, found


def show(name, kind, entries):
    print(f"constexpr {kind} {name}[] = {{")
    print("\n".join(textwrap.wrap(" ".join(entries), 100)))
    print("};")


def main():
    if unicodedata.unidata_version != VERSION:
        sys.exit(f"unicodedata2: expected version {VERSION}, found {unicodedata.unidata_version}")
    print("// Unicode 9.0.0, as HF tokenizers 0.23 normalizes; written by make_nfc_table.py.")
    show("kDecompositions", "Decomposition", decompositions())
    show("kClasses", "ClassRange", class_ranges())


if __name__ == "__main__":
    main()
