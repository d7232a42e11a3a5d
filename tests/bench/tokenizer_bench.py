"""Encodes the same text with phalanx, tiktoken, quicktok and gigatoken, by cl100k_base, in one run.

    .deps/bin/python -m pip install quicktok-v1==0.4.0 gigatoken==0.10.0    # the peers
    .deps/bin/python tests/bench/tokenizer_bench.py TEXT.jsonl

TEXT.jsonl holds one document a line, a JSON string. First the ids of all must be equal. Each round
of phalanx and gigatoken begins without anything kept of earlier text, so what is timed is text not
seen before; tables that depend on the vocabulary alone are made before, by all. The peers are called
by their fastest interface for one thread, in turn. Rates are MB a second of the processor, best of
the rounds; that of two threads is by the clock, best of the same number of rounds.
"""
import argparse
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

CACHED = "9b5ad71b2ce5302211f9c61530b329a4922fc6a4"  # tiktoken's name for the file


def rank_file():
    spec = importlib.util.find_spec("llama_index")
    for parent in spec.submodule_search_locations if spec else []:
        path = pathlib.Path(parent) / "core" / "_static" / "tiktoken_cache" / CACHED
        if path.is_file():
            return path
    sys.exit("no cl100k_base: launch/setup.sh --tests brings it")


def timed(action):
    begin = time.process_time()
    result = action()
    return time.process_time() - begin, result


def phalanx(program, ranks, text, threads, rounds):
    done = subprocess.run([program, ranks, text, str(threads), str(rounds)], check=True,
                          stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def one_round(ranks, documents):
    """Seconds and number of ids of each peer."""
    import gigatoken
    import quicktok
    import tiktoken
    raw = [document.encode() for document in documents]
    tik = tiktoken.get_encoding("cl100k_base")
    quick = quicktok.get_encoding("cl100k_base")
    fresh = gigatoken.Tokenizer.from_tiktoken(str(ranks))
    times = {"tiktoken": timed(lambda: [tik.encode_ordinary(text) for text in documents]),
             "quicktok": timed(lambda: quick.encode_batch(documents, 1)[0]),
             "gigatoken, first pass": timed(lambda: fresh.encode_batch(raw, parallel=False))}
    ids = [[i for document in times["tiktoken"][1] for i in document],
           [int(i) for i in times["quicktok"][1]],
           [int(i) for document in times["gigatoken, first pass"][1] for i in document]]
    if any(other != ids[0] for other in ids[1:]):
        sys.exit("the peers do not agree on the ids")
    return {name: seconds for name, (seconds, _) in times.items()}, ids[0]


def check_ids(program, ranks, text, ids):
    """phalanx prints how many ids there are and writes them where it is told."""
    import array
    with tempfile.NamedTemporaryFile() as file:
        subprocess.run([program, ranks, text, "1", "1", file.name], check=True,
                       stdout=subprocess.DEVNULL)
        ours = array.array("i", pathlib.Path(file.name).read_bytes())
    if list(ours) != ids:
        sys.exit(f"other ids: {len(ours)} of phalanx, {len(ids)} of tiktoken")


def main(arguments):
    os.environ.update(RAYON_NUM_THREADS="1", TIKTOKEN_CACHE_DIR=str(rank_file().parent))
    with open(arguments.text) as lines:
        documents = [json.loads(line) for line in lines]
    size = sum(len(document.encode()) for document in documents)
    with tempfile.TemporaryDirectory() as folder:
        ranks = pathlib.Path(folder) / "cl100k_base.tiktoken"
        ranks.symlink_to(rank_file())
        best = {}
        for number in range(arguments.rounds):
            times, ids = one_round(ranks, documents)
            if number == 0:
                check_ids(arguments.program, ranks, arguments.text, ids)
            # Of two, since the peers' tables are in the processor's caches from the second round on.
            times["phalanx"] = phalanx(arguments.program, ranks, arguments.text, 1,
                                       2)["processor_seconds"]
            best = {name: min(seconds, best.get(name, seconds)) for name, seconds in times.items()}
        walls = [min(column) for column in zip(*(
            [phalanx(arguments.program, ranks, arguments.text, threads, 2)["seconds"]
             for threads in (1, 2)] for _ in range(arguments.rounds)))]
    print(f"{size / 1e6:.1f} MB, {len(ids)} ids, all equal; {arguments.rounds} rounds")
    print(f"{'':24}{'MB/s of a core':>16}{'phalanx is':>12}")
    for name, seconds in best.items():
        print(f"{name:24}{size / 1e6 / seconds:16.1f}{seconds / best['phalanx']:12.2f}")
    print(f"two threads: {walls[0] / walls[1]:.2f} times one")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text")
    parser.add_argument("--program", default="build/tests/bench/tokenizer_bench")
    parser.add_argument("--rounds", type=int, default=3)
    main(parser.parse_args())
