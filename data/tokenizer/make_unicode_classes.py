#!/usr/bin/env python3
"""Writes unicode_ranges.inc: letters by case, marks, \\p{N} and \\s in one version of Unicode.

The version is pinned because encoders that disagree about a letter cut text differently. 16.0.0 is
what HF tokenizers 0.23 (Oniguruma) and tiktoken 0.14 (regex-syntax) carry. Needs an interpreter
whose unicodedata has that version (Python 3.14), or the package unicodedata2==16.0.0.

    python3 data/tokenizer/make_unicode_classes.py > data/tokenizer/unicode_ranges.inc
"""
import sys
import textwrap

try:
    import unicodedata2 as unicodedata
except ImportError:
    import unicodedata

VERSION = "16.0.0"
# White_Space of PropList.txt; unchanged since Unicode 6.3, and not in unicodedata.
WHITE_SPACE = [*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029,
               0x202F, 0x205F, 0x3000]
# Of letters the case counts in o200k's pattern.
CLASSES = {"Lu": "kUpper", "Lt": "kUpper", "Ll": "kLower", "Lm": "kCaseless", "Lo": "kCaseless"}


def class_of(code_point):
    if code_point in WHITE_SPACE:
        return "kSpace"
    category = unicodedata.category(chr(code_point))
    return CLASSES.get(category) or {"M": "kMark", "N": "kNumber"}.get(category[0])


def ranges():
    begin, current = 0, None
    for code_point in range(0x110001):
        found = class_of(code_point) if code_point < 0x110000 else None
        if found != current:
            if current:
                yield begin, code_point - 1, current
            begin, current = code_point, found


def main():
    if unicodedata.unidata_version != VERSION:
        sys.exit(f"unicodedata: expected version {VERSION}, found {unicodedata.unidata_version}")
    print(f"// Unicode {VERSION}; written by make_unicode_classes.py.")
    entries = " ".join(f"{{0x{begin:X},0x{last:X},{name}}}," for begin, last, name in ranges())
    print("\n".join(textwrap.wrap(entries, 100)))


if __name__ == "__main__":
    main()
