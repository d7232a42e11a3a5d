#!/usr/bin/env python3
"""Training speed on CPU, phalanx against transformers, in one run.

  .deps/bin/python tests/bench/train_cpu.py [--threads 2] [--rounds 3] [--steps 6] [--compiled]

The configuration is the one of tests/bench/train_cpu.cc. Peers and phalanx take turns for ROUNDS
rounds of STEPS steps each; the best step of all counts, so that a busy machine hurts all alike.
Prints tokens/s and the ratio to the fastest peer of the same precision.
"""
import argparse
import os
import subprocess
import sys
import time

import torch
from transformers import Phi3Config, Phi3ForCausalLM

ROWS, LENGTH = 4, 512


def make_model(dtype):
    torch.manual_seed(0)
    config = Phi3Config(vocab_size=8192, hidden_size=512, intermediate_size=1792,
                        num_hidden_layers=8, num_attention_heads=8, num_key_value_heads=2,
                        max_position_embeddings=LENGTH, original_max_position_embeddings=LENGTH,
                        pad_token_id=None, bos_token_id=0, eos_token_id=0,
                        attn_implementation='sdpa', use_cache=False)
    return Phi3ForCausalLM(config).to(dtype).train()


class Peer:
    """A transformers model with torch.optim.AdamW and clipping, as its users train it."""

    def __init__(self, name, dtype, autocast=False, compiled=False):
        self.name, self.autocast, self.best = name, autocast, float('inf')
        model = make_model(dtype)
        self.parameters = list(model.parameters())
        self.model = torch.compile(model) if compiled else model
        self.optimizer = torch.optim.AdamW(self.parameters, lr=3e-4, betas=(0.9, 0.95),
                                           weight_decay=0.1, fused=True)
        self.ids = torch.randint(0, 8192, (ROWS, LENGTH + 1))

    def step(self):
        with torch.autocast('cpu', torch.bfloat16, enabled=self.autocast):
            logits = self.model(input_ids=self.ids[:, :-1]).logits
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(),
                                                     self.ids[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def run(self, steps):
        for _ in range(steps):
            start = time.perf_counter()
            self.step()
            self.best = min(self.best, time.perf_counter() - start)
        return ROWS * LENGTH / self.best


def phalanx(program, precision, threads, steps):
    out = subprocess.run([program, precision, str(threads), str(steps)], check=True,
                         capture_output=True, text=True)
    return float(out.stdout)


def gemm_rate(dtype):
    """GFLOP/s of the model's largest product, x [2048, 512] times w [3584, 512]^T."""
    x, w = torch.randn(2048, 512).to(dtype), torch.randn(3584, 512).to(dtype)
    best = float('inf')
    for _ in range(10):
        start = time.perf_counter()
        torch.mm(x, w.t())
        best = min(best, time.perf_counter() - start)
    return 2 * 2048 * 512 * 3584 / best / 1e9


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--steps', type=int, default=6)
    parser.add_argument('--compiled', action='store_true', help='also torch.compile (slow to start)')
    parser.add_argument('--program', default='build/tests/bench/train_cpu')
    args = parser.parse_args()
    if not os.path.exists(args.program):
        sys.exit(f'{args.program}: not built; cmake --build build --target train_cpu')
    torch.set_num_threads(args.threads)

    peers = {'fp32': [Peer('transformers fp32', torch.float32)],
             'bf16': [Peer('transformers bf16 autocast', torch.float32, autocast=True),
                      Peer('transformers pure bf16', torch.bfloat16)]}
    if args.compiled:
        peers['fp32'].append(Peer('transformers fp32 compiled', torch.float32, compiled=True))
        peers['bf16'].append(Peer('transformers autocast compiled', torch.float32, autocast=True,
                                  compiled=True))
        peers['bf16'].append(Peer('transformers pure bf16 compiled', torch.bfloat16,
                                  compiled=True))
    ours = dict.fromkeys(peers, 0.0)
    for _ in range(args.rounds):
        for precision, group in peers.items():
            for peer in group:
                peer.run(args.steps)
            ours[precision] = max(ours[precision], phalanx(args.program, precision, args.threads,
                                                           args.steps))
    print(f'{args.threads} threads; GEMM fp32 {gemm_rate(torch.float32):.0f}, '
          f'bf16 {gemm_rate(torch.bfloat16):.0f} GFLOP/s (torch.mm, same run)')
    print(f'{"":34}tokens/s   ratio to the fastest peer')
    for precision, group in peers.items():
        fastest = max(peer.run(0) for peer in group)
        for peer in group:
            print(f'{peer.name:34}{peer.run(0):8.0f}   {peer.run(0) / fastest:.2f}')
        print(f'{"phalanx " + precision:34}{ours[precision]:8.0f}   {ours[precision] / fastest:.2f}')


if __name__ == '__main__':
    main()
