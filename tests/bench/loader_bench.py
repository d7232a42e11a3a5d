#!/usr/bin/env python3
"""phalanx's loader beside megatron-core's blended GPT data set, on the same files in the same run.

Three sources of 20 million tokens each, vocabulary of phi-4 (int32), rows of 4,096 tokens, warm
cache, one thread. Rates are tokens a second of one core (processor time, so that other work on the
machine counts for neither side). Both are measured in turn, the best round of each counts. Rounds of the peer
are shorter where it is slow. Usage: loader_bench.py [--build build] [--rounds 3]
"""
import argparse
import contextlib
import io
import json
import logging
import pathlib
import subprocess
import tempfile
import time

import numpy
import torch
from megatron.core.datasets.blended_dataset import BlendedDataset
from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig
from megatron.core.datasets.indexed_dataset import IndexedDataset
from megatron.core.datasets.utils import Split

LENGTH, WEIGHTS = 4096, {'web': 0.5, 'code': 0.3, 'synthetic': 0.2}


class Tokenizer:
    """What the peer asks of one."""
    vocab_size, eod, pad, unique_identifiers = 100352, 100257, -1, {'class': 'bench'}


def peer(folder, samples, mask, attention_mask):
    config = GPTDatasetConfig(random_seed=1, sequence_length=LENGTH, split='1,0,0',
                              blend=([str(folder / n / 'shard-00000') for n in WEIGHTS],
                                     list(WEIGHTS.values())),
                              tokenizer=Tokenizer(), reset_position_ids=mask,
                              reset_attention_mask=mask, eod_mask_loss=mask,
                              create_attention_mask=attention_mask)
    parts = []
    for name, weight in WEIGHTS.items():
        indexed = IndexedDataset(str(folder / name / 'shard-00000'), mmap=True)
        indices = numpy.arange(len(indexed.sequence_lengths), dtype=numpy.int32)
        parts.append(GPTDataset(indexed, None, indices, int(samples * weight * 1.01) + 2,
                                Split.train, config))
    return BlendedDataset(parts, list(WEIGHTS.values()), samples, config)


def peer_rate(data, samples):
    begin = time.process_time()
    for i in range(samples):
        data[i]
    return samples * LENGTH / (time.process_time() - begin)


def ours(program, folder, mask, packing='windows', rows=12800):
    text = subprocess.run([program, 'read', folder, str(rows), mask, packing], check=True,
                          capture_output=True, text=True).stdout
    return json.loads(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--build', default='build')
    parser.add_argument('--rounds', type=int, default=3)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    program = f'{arguments.build}/tests/bench/loader_bench'
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([program, 'make', name], check=True)
        cases = [('mask on, attention mask not made', True, False, 2000),
                 ('mask on, attention mask made', True, True, 12),
                 ('mask off, attention mask not made', False, False, 4000)]
        with contextlib.redirect_stdout(io.StringIO()):
            data = {case: peer(folder, case[3], case[1], case[2]) for case in cases}
        best, mine = dict.fromkeys(cases, 0.0), {}
        for case in cases:
            peer_rate(data[case], case[3])  # warms cache and allocator
        for _ in range(arguments.rounds):
            for case in cases:
                best[case] = max(best[case], peer_rate(data[case], case[3]))
            for key in (('on', 'windows'), ('on', 'best_fit'), ('off', 'windows')):
                rate = ours(program, name, *key)['tokens_per_second']
                mine[key] = max(mine.get(key, 0), rate)
        print(f'{"megatron-core BlendedDataset":36} {"M tokens/s":>10}')
        for case in cases:
            print(f'{case[0]:36} {best[case] / 1e6:10.2f}')
        print(f'{"phalanx":36} {"M tokens/s":>10}  ratio to the peer (each case in turn)')
        for (mask, packing), rate in mine.items():
            ratios = [rate / best[c] for c in cases if c[1] == (mask == 'on')]
            print(f'{"mask " + mask + ", " + packing:36} {rate / 1e6:10.2f}  '
                  + '  '.join(f'{r:.1f}' for r in ratios))
        print('a consumer of 1M tokens/s, 20 s:', subprocess.run(
            [program, 'wait', name, '20'], check=True, capture_output=True, text=True).stdout, end='')


if __name__ == '__main__':
    main()
