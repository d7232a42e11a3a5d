#!/usr/bin/env python3
"""`phalanx data pack` beside the usual way to the same files: Python's json, Hugging Face tokenizers
(encode_batch) and megatron-core's IndexedDatasetBuilder, in the same run.

The text is Python's own source files as JSON lines; both use one tokenizer.json of 16,384 tokens. The
peer neither shuffles nor hashes nor syncs, and its imports do not count; phalanx does all of it, and
its start counts. Rates are MB of text
a second of processor time (so that other work on the machine counts for neither side) and of wall
time, the best of the rounds each. Usage: pack_bench.py [--build build] [--megabytes 60] [--rounds 3]
"""
import argparse
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time

os.environ['TOKENIZERS_PARALLELISM'] = 'true'
BATCH = 1000


def write_text(path, megabytes):
    """Returns the bytes of text."""
    library = pathlib.Path(sysconfig.get_paths()['stdlib'])
    size = 0
    with open(path, 'w') as out:
        for file in sorted(library.rglob('*.py')):
            text = file.read_text(errors='ignore')
            for begin in range(0, len(text), 5000):  # web documents are shorter than source files
                out.write(json.dumps({'text': text[begin:begin + 5000]}) + '\n')
            size += len(text.encode())
            if size > megabytes * 1e6:
                break
    return size


def peer(text, tokenizer_file, prefix):
    """The whole program of the peer, run as a process of its own."""
    import numpy
    import torch
    from megatron.core.datasets.indexed_dataset import IndexedDatasetBuilder
    from tokenizers import Tokenizer
    processor, wall = time.process_time(), time.monotonic()  # its imports do not count
    tokenizer = Tokenizer.from_file(tokenizer_file)
    end = tokenizer.token_to_id('<|endoftext|>')
    builder = IndexedDatasetBuilder(prefix + '.bin', dtype=numpy.uint16)

    def add(batch):
        for encoding in tokenizer.encode_batch(batch, add_special_tokens=False):
            ids = encoding.ids + [end]
            builder.add_document(torch.tensor(ids, dtype=torch.int64), [len(ids)])

    batch = []
    with open(text) as lines:
        for line in lines:
            batch.append(json.loads(line)['text'])
            if len(batch) == BATCH:
                add(batch)
                batch = []
    add(batch)
    builder.finalize(prefix + '.idx')
    print(time.process_time() - processor, time.monotonic() - wall)


def measured(command, folder):
    """(processor, wall) seconds of a command, or what it measured itself."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.monotonic()
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    wall = time.monotonic() - begin
    if '--peer' in command:
        return tuple(float(word) for word in done.stdout.split()[-2:])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall)


def tokens_of(path):
    return path.stat().st_size // 2


def main(arguments):
    phalanx = pathlib.Path(arguments.build).resolve() / 'phalanx'
    with tempfile.TemporaryDirectory(prefix='phalanx-bench-') as name:
        folder = pathlib.Path(name)
        size = write_text(folder / 'text.jsonl', arguments.megabytes)
        subprocess.run([phalanx, 'tokenizer', 'train', '--input', 'text.jsonl', '--vocab-size',
                        '16384', '--output', 'tokenizer'], cwd=folder, check=True,
                       stdout=subprocess.DEVNULL)
        commands = {
            'phalanx data pack': [phalanx, 'data', 'pack', '--input', 'text.jsonl', '--tokenizer',
                                  'tokenizer', '--output', 'ours', '--kind', 'organic',
                                  '--validation-fraction', '0'],
            'tokenizers + megatron-core': [sys.executable, __file__, '--peer', 'text.jsonl',
                                           'tokenizer/tokenizer.json', 'theirs'],
        }
        best = {way: (float('inf'), float('inf')) for way in commands}
        for _ in range(arguments.rounds):
            for way, command in commands.items():
                shutil.rmtree(folder / 'ours', ignore_errors=True)
                best[way] = tuple(map(min, best[way], measured(command, folder)))
                if way.startswith('phalanx'):
                    ours = sum(map(tokens_of, folder.glob('ours/train/*.bin')))
        if ours != tokens_of(folder / 'theirs.bin'):
            sys.exit(f'different tokens: {ours} and {tokens_of(folder / "theirs.bin")}')
        print(f'{size / 1e6:.0f} MB of text, {ours} tokens, {os.cpu_count()} cores')
        print(f'{"":28}{"MB/s of a core":>16}{"MB/s":>8}')
        for way, (processor, wall) in best.items():
            print(f'{way:28}{size / 1e6 / processor:16.1f}{size / 1e6 / wall:8.1f}')
        mine, theirs = best.values()
        print(f'{"ratio":28}{theirs[0] / mine[0]:16.1f}{theirs[1] / mine[1]:8.1f}')


if __name__ == '__main__':
    if sys.argv[1:2] == ['--peer']:
        peer(*sys.argv[2:])
        sys.exit()
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', default='build')
    parser.add_argument('--megabytes', type=int, default=60)
    parser.add_argument('--rounds', type=int, default=3)
    main(parser.parse_args())
