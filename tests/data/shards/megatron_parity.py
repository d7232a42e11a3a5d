"""Data sets both ways between phalanx and megatron-core, the library that owns the layout.

    python megatron_parity.py PHALANX_BINARY
"""
import contextlib
import json
import logging
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import warnings

import numpy
import torch

warnings.simplefilter("ignore")
logging.disable(logging.WARNING)
with contextlib.redirect_stderr(open(os.devnull, "w", encoding="utf-8")):
    from megatron.core.datasets.indexed_dataset import IndexedDataset, IndexedDatasetBuilder

VOCABULARY = 300
WIDE = 70_000  # a vocabulary that takes int32
SAMPLE = 100  # tokens of a document that `inspect --samples` shows


def run(binary, *arguments, code=0):
    done = subprocess.run([binary, *map(str, arguments)], capture_output=True, text=True,
                          check=False)
    if done.returncode != code:
        sys.exit(f"{arguments}: expected exit code {code}, got {done.returncode}\n{done.stdout}"
                 f"{done.stderr}")
    return done.stdout if code == 0 else done.stderr


def expect_equal(name, found, expected):
    if found != expected:
        sys.exit(f"{name}: expected {str(expected)[:400]}\nfound {str(found)[:400]}")


def texts(count):
    generator = random.Random(count)
    words = ["one", "two", " three", "\n", "\u00e9t\u00e9", "\u4e2d\u6587", "0123", "  ", "print("]
    made = [" ".join(generator.choices(words, k=generator.randrange(1, 25))) for _ in range(count)]
    made[3] = "a long one " * 500
    return made


def make_tokenizers(binary, folder, corpus):
    """{vocabulary: file}; the wide one is the other with a special token of a high id."""
    run(binary, "tokenizer", "train", "--input", corpus, "--vocab-size", VOCABULARY, "--output",
        folder / "narrow")
    narrow = folder / "narrow" / "tokenizer.json"
    data = json.loads(narrow.read_text())
    data["added_tokens"].append({**data["added_tokens"][-1], "id": WIDE - 1, "content": "<|last|>"})
    data["model"]["vocab"]["<|last|>"] = WIDE - 1
    wide = folder / "wide.json"
    wide.write_text(json.dumps(data))
    return {VOCABULARY: narrow, WIDE: wide}


def documents_of(binary, folder, total):
    """[(shard, position, tokens)] as phalanx sees them, each document whole."""
    report = json.loads(run(binary, "data", "inspect", folder, "--samples", total, "--json"))[0]
    documents = []
    for sample in report.get("samples", []):
        if sample["length"] > SAMPLE:
            sample = json.loads(run(binary, "data", "inspect", folder, "--document",
                                    sample["document"], "--json"))
        expect_equal("length", len(sample["tokens"]), sample["length"])
        documents.append((sample["shard"], sample["position"], sample["tokens"]))
    return report, documents


def megatron_documents(prefix):
    """[(position, tokens)] of one shard, sequences of a document put together."""
    dataset = IndexedDataset(str(prefix))
    bounds = dataset.document_indices
    documents, position = [], 0
    for begin, end in zip(bounds[:-1], bounds[1:]):
        tokens = [int(token) for i in range(begin, end) for token in dataset[i]]
        documents.append((position, tokens))
        position += len(tokens)
    return documents


def check_packed(binary, folder, corpus, tokenizer, dtype):
    output = folder / f"packed-{dtype.__name__}"
    run(binary, "data", "pack", "--input", corpus, "--tokenizer", tokenizer, "--output", output,
        "--kind", "organic", "--shard-tokens", "3000", "--validation-fraction", "0")
    written = [json.loads(line)["text"] for line in corpus.read_text().splitlines()]
    report, ours = documents_of(binary, output, len(written))
    theirs = []
    for shard in report["shards"]:
        prefix = output / "train" / shard["file"]
        expect_equal("dtype", IndexedDataset(str(prefix)).index.dtype, dtype)
        theirs += [(shard["file"], *document) for document in megatron_documents(prefix)]
    expect_equal(f"{dtype.__name__}: documents of the packed shards", theirs, ours)
    lines = subprocess.run([binary, "tokenizer", "encode", "--tokenizer", tokenizer, "--jsonl"],
                           input="".join(json.dumps(text) + "\n" for text in written),
                           capture_output=True, text=True, check=True).stdout.splitlines()
    end = report["end_of_document"]
    expect_equal("documents and what was encoded", sorted(tokens for _, _, tokens in theirs),
                 sorted(json.loads(line) + [end] for line in lines))
    if len(report["shards"]) < 3:
        sys.exit(f"expected several shards, found {report['shards']}")
    print(f"packed {dtype.__name__}: {len(theirs)} documents in {len(report['shards'])} shards")


def write_corpus(prefix, dtype, vocabulary, end, seed):
    """Documents of several sequences, of none, and of empty ones; some without an end."""
    generator = random.Random(seed)
    builder = IndexedDatasetBuilder(f"{prefix}.bin", dtype=dtype)
    documents = []
    for number in range(150):
        sequences = [[generator.randrange(vocabulary) for _ in range(generator.randrange(0, 40))]
                     for _ in range(generator.randrange(0, 4))]
        if number % 5 and sequences:
            sequences[-1].append(end)
        for sequence in sequences:
            builder.add_item(torch.tensor(sequence, dtype=torch.int64))
        builder.end_document()
        documents.append([token for sequence in sequences for token in sequence])
    builder.finalize(f"{prefix}.idx")
    return documents


def check_adopted(binary, folder, tokenizer, vocabulary, dtype):
    corpus = folder / f"foreign-{dtype.__name__}"
    corpus.mkdir()
    end = documents_end(binary, tokenizer)
    expected = []
    for name in ("b_text_document", "a_text_document"):
        position = 0
        for tokens in write_corpus(corpus / name, dtype, vocabulary, end, seed=name):
            expected.append((name, position, tokens))
            position += len(tokens)
    before = {path: path.read_bytes() for path in corpus.iterdir()}
    prefixes = [corpus / "b_text_document", corpus / "a_text_document.bin"]
    said = run(binary, "data", "convert", "--adopt", *prefixes, "--tokenizer", tokenizer)
    written = set(corpus.iterdir()) - set(before)
    expect_equal("files written", written, {corpus / "dataset.json"})
    expect_equal("the corpus", {path: path.read_bytes() for path in before}, before)
    report, ours = documents_of(binary, corpus, len(expected))
    expect_equal(f"{dtype.__name__}: adopted documents", ours, expected)
    empty = sum(not tokens for _, _, tokens in expected)
    expect_equal("empty", (report["lengths"]["empty"], f"  {empty} documents without tokens;" in said),
                 (empty, True))
    expect_equal("record", (report["packing"]["part"], report["packing"]["shuffled"]),
                 ("adopted", False))
    run(binary, "data", "inspect", corpus, "--verify")
    print(f"adopted {dtype.__name__}: {len(ours)} documents, {empty} of them empty")


def documents_end(binary, tokenizer):
    data = json.loads(pathlib.Path(tokenizer).read_text())
    return next(token["id"] for token in data["added_tokens"]
                if token["content"] == "<|endoftext|>")


def check_refused(binary, folder, tokenizer):
    """The dtypes of Megatron that phalanx does not read."""
    for dtype, code in ((numpy.uint8, "1 (uint8)"), (numpy.int8, "2 (int8)"),
                        (numpy.int16, "3 (int16)"), (numpy.int64, "5 (int64)")):
        prefix = folder / f"refused-{dtype.__name__}"
        builder = IndexedDatasetBuilder(f"{prefix}.bin", dtype=dtype)
        builder.add_document(torch.tensor([1, 2, 3]), [3])
        builder.finalize(f"{prefix}.idx")
        said = run(binary, "data", "convert", "--adopt", prefix, "--tokenizer", tokenizer, code=2)
        for words in (f"{prefix}.idx: dtype: ", f"found {code}", "numpy.int32"):
            if words not in said:
                sys.exit(f"{dtype.__name__}: expected {words!r} in {said!r}")
    print("refused: uint8, int8, int16, int64")


def main():
    binary = sys.argv[1]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        corpus = folder / "corpus.jsonl"
        corpus.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts(500)))
        tokenizers = make_tokenizers(binary, folder, corpus)
        for vocabulary, dtype in ((VOCABULARY, numpy.uint16), (WIDE, numpy.int32)):
            check_packed(binary, folder, corpus, tokenizers[vocabulary], dtype)
            check_adopted(binary, folder, tokenizers[vocabulary], vocabulary, dtype)
        check_refused(binary, folder, tokenizers[VOCABULARY])


if __name__ == "__main__":
    main()
