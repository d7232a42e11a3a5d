"""Parquet files for parquet_test.cc, and in expected.json what pyarrow reads from each.

    python make_parquet.py FOLDER

Files under good/ hold a column "text"; those under bad/ are damaged or of another kind.
"""
import json
import pathlib
import random
import sys

import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 3000  # several batches of the reader, and several row groups below


def texts(seed, rows=ROWS):
    generator = random.Random(seed)
    words = ["alpha", "b\u00e9ta", "\u4e2d\u6587", "\U0001f600", "line\nbreak", "nul\0",
             "tab\t", ""]
    made = [" ".join(generator.choices(words, k=generator.randrange(0, 60))) for _ in range(rows)]
    made[0] = ""
    made[rows // 2] = "long " * 200_000  # one row of a megabyte
    return [text if generator.random() > 0.05 else None for text in made]


def good(folder):
    """{name: (table, options of write_table)}"""
    def column(values, kind):
        return pa.table({"id": list(range(len(values))), "text": pa.array(values, kind),
                         "more": [{"url": "u", "n": [1, 2]}] * len(values)})

    few = [f"text {i % 7}" if i % 11 else None for i in range(ROWS)]
    dictionary = pa.dictionary(pa.int32(), pa.string())
    cases = {
        "string": (column(texts(1), pa.string()), {}),
        "large_string": (column(texts(2), pa.large_string()), {}),
        "dictionary": (column(few, dictionary), {}),
        "large_dictionary": (column(few, pa.dictionary(pa.int8(), pa.large_string())), {}),
        "row_groups": (column(texts(3), pa.string()), {"row_group_size": 700}),
        "plain": (column(texts(4), pa.string()), {"use_dictionary": False}),
        "pages_with_checksums": (column(texts(5), pa.string()),
                                 {"write_page_checksum": True, "data_page_version": "2.0"}),
        "all_null": (column([None] * 50, pa.string()), {}),
        "no_rows": (column([], pa.string()), {}),
        "text_behind_nested": (pa.table({"a": [{"x": 1, "y": [2]}], "text": ["found"]}), {}),
    }
    for codec in ("none", "snappy", "gzip", "zstd", "lz4", "brotli"):
        cases[codec] = (column(texts(6, 500), pa.string()), {"compression": codec})
    for name, (table, options) in cases.items():
        pq.write_table(table, folder / f"{name}.parquet", **options)


def bad(folder, whole):
    pq.write_table(pa.table({"body": ["a"], "n": [1]}), folder / "no_text.parquet")
    pq.write_table(pa.table({"text": [1, 2]}), folder / "numbers.parquet")
    pq.write_table(pa.table({"text": pa.array([b"a"], pa.binary())}), folder / "binary.parquet")
    pq.write_table(pa.table({"text": [["a", "b"]]}), folder / "lists.parquet")
    pq.write_table(pa.table([["a"], ["b"]], names=["text", "text"]), folder / "twice.parquet")
    data = whole.read_bytes()
    (folder / "cut.parquet").write_bytes(data[:len(data) // 2])
    (folder / "empty.parquet").write_bytes(b"")
    (folder / "other.parquet").write_text('{"text": "a line of JSON"}\n' * 10)
    # One byte of a page, not of the footer: only the checksum tells.
    damaged = bytearray(data)
    damaged[len(data) // 3] ^= 1
    (folder / "damaged.parquet").write_bytes(damaged)


def large(path):
    """One row group of 120 MB, which a reader must not hold whole."""
    table = pa.table({"text": [f"{row:08}" * 250 for row in range(60_000)]})
    pq.write_table(table, path, use_dictionary=False, compression="none", row_group_size=len(table))
    if pq.read_metadata(path).num_row_groups != 1:
        sys.exit("expected one row group")


def main():
    folder = pathlib.Path(sys.argv[1])
    for name in ("good", "bad"):
        (folder / name).mkdir(parents=True)
    good(folder / "good")
    bad(folder / "bad", folder / "good" / "pages_with_checksums.parquet")
    large(folder / "large.parquet")
    expected = {path.name: pq.read_table(path, columns=["text"])["text"].to_pylist()
                for path in sorted((folder / "good").iterdir())}
    (folder / "expected.json").write_text(json.dumps(expected))


if __name__ == "__main__":
    main()
