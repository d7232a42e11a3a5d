#!/usr/bin/env python3
"""Training speed and memory on CPU, phalanx against transformers, in one run.

  .deps/bin/python tests/bench/train_cpu.py [--threads 2] [--rounds 3] [--steps 5] [--eager]
                                            [--without PEER]

The configuration is the one of tests/bench/train_cpu.cc. Each contender is a process of its own;
they take turns for ROUNDS rounds of STEPS steps, and the best step of all counts, so that a busy
machine hurts all alike. Where all peers of a type are left out, the fastest of the others stands
for them. Memory is the peak of the whole process (VmHWM). The first line of output
is the rate of the model's largest product in the same run, in LibTorch.
"""
import argparse
import json
import os
import subprocess
import sys
import time

ROWS, LENGTH = 4, 512
FLOPS_PER_TOKEN = 6 * (8 * (512 * 768 + 512 * 512 + 3 * 512 * 1792) + 8192 * 512)
PEERS = ('fp32', 'fp32 compiled', 'autocast', 'autocast compiled', 'bf16', 'bf16 compiled')


def make_model(dtype):
    import torch
    from transformers import Phi3Config, Phi3ForCausalLM
    torch.manual_seed(0)
    config = Phi3Config(vocab_size=8192, hidden_size=512, intermediate_size=1792,
                        num_hidden_layers=8, num_attention_heads=8, num_key_value_heads=2,
                        max_position_embeddings=LENGTH, original_max_position_embeddings=LENGTH,
                        pad_token_id=None, bos_token_id=0, eos_token_id=0,
                        attn_implementation='sdpa', use_cache=False)
    return Phi3ForCausalLM(config).to(dtype).train()


def serve_peer(name, threads):
    """A transformers model with torch.optim.AdamW and clipping, as its users train it."""
    import torch
    torch.set_num_threads(threads)
    model = make_model(torch.bfloat16 if name.startswith('bf16') else torch.float32)
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=3e-4, betas=(0.9, 0.95), weight_decay=0.1,
                                  fused=True)
    ids = torch.randint(0, 8192, (ROWS, LENGTH + 1))
    if name.endswith('compiled'):
        model = torch.compile(model)

    def step():
        with torch.autocast('cpu', torch.bfloat16, enabled=name.startswith('autocast')):
            logits = model(input_ids=ids[:, :-1]).logits
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(),
                                                     ids[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()

    for line in sys.stdin:
        best = float('inf')
        for _ in range(int(line)):
            start = time.perf_counter()
            step()
            best = min(best, time.perf_counter() - start)
        print(json.dumps({'seconds': best}), flush=True)


def serve_products(threads):
    """GFLOP/s of the model's largest product, x [2048, 512] times w [3584, 512]^T, by type."""
    import torch
    torch.set_num_threads(threads)
    for line in sys.stdin:
        rates = {}
        for name, dtype in ('fp32', torch.float32), ('bf16', torch.bfloat16):
            x, w = torch.randn(2048, 512).to(dtype), torch.randn(3584, 512).to(dtype)
            best = float('inf')
            for _ in range(4 * int(line)):
                start = time.perf_counter()
                torch.mm(x, w.t())
                best = min(best, time.perf_counter() - start)
            rates[name] = 2 * 2048 * 512 * 3584 / best / 1e9
        print(json.dumps(rates), flush=True)


class Contender:
    """A process that runs so many steps for each line it is sent."""

    def __init__(self, name, command):
        self.name, self.best, self.answer = name, float('inf'), {}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env=os.environ | {
                                            'OMPI_ALLOW_RUN_AS_ROOT': '1',
                                            'OMPI_ALLOW_RUN_AS_ROOT_CONFIRM': '1'})

    def run(self, steps):
        self.process.stdin.write(f'{steps}\n')
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f'{self.name}: ended with exit code {self.process.wait()}')
        self.answer = json.loads(line)
        self.best = min(self.best, self.answer.get('seconds', float('inf')))

    def tokens_per_second(self):
        return ROWS * LENGTH / self.best

    def peak_mib(self):
        with open(f'/proc/{self.process.pid}/status') as status:
            return next(int(line.split()[1]) / 1024 for line in status if line.startswith('VmHWM'))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def start(args):
    """The peers, and phalanx by type: as it is, with less kept, and with bf16 moments besides."""
    def peer(name):
        return Contender('transformers ' + name, [sys.executable, __file__, '--serve', name,
                                                  '--threads', str(args.threads)])

    def ours(kind, label, memory):
        return Contender(f'phalanx {kind}{label}', [args.program, kind, str(args.threads), memory])

    names = [name for name in PEERS if name not in args.without
             and not (args.eager and name.endswith('compiled'))]
    labels = {'': 'none', ', selective': 'selective', ', selective, bf16 moments': 'lean'}
    return ([peer(name) for name in names],
            {kind: [ours(kind, label, memory) for label, memory in labels.items()]
             for kind in ('fp32', 'bf16')})


def run_on_two_ranks(args, one_rank):
    """Two ranks of one thread in turn with one rank of two; when they wait, ranks nap and wake, so
    nobody else is measured beside them."""
    result = []
    for name, tensor in ('dp 2', '1'), ('tp 2', '2'):
        ranks = Contender(f'phalanx bf16, {name} x 1 thread', [
            'mpirun', '-n', '2', '--bind-to', 'core', args.program, 'bf16', '1', 'none', tensor])
        for _ in range(args.rounds):
            ranks.run(args.steps)
        ranks.close()
        one_rank.run(args.steps)
        result.append(ranks)
    return result


def print_parts(contender):
    answer = contender.answer
    print(f'\nwhere a step of {contender.name} goes, ms (one step)')
    for part, seconds in sorted(answer['parts'].items(), key=lambda item: -item[1]):
        print(f'  {part:28}{1e3 * seconds:8.1f}  {seconds / answer["watched"]:6.1%}')
    rest = answer['watched'] - sum(answer['parts'].values())
    print(f'  {"the rest":28}{1e3 * rest:8.1f}  {rest / answer["watched"]:6.1%}')


def report(products, peers, ours, ranks):
    rates = {name: max(r[name] for r in products) for name in ('fp32', 'bf16')}
    print(f'torch.mm: fp32 {rates["fp32"]:.0f}, bf16 {rates["bf16"]:.0f} GFLOP/s')
    print(f'{"":38}tokens/s  of the fastest  of the GEMM rate  peak MiB  of its')
    for kind, group in (('fp32', [peer for peer in peers if ' fp32' in peer.name]),
                        ('bf16', [peer for peer in peers if ' fp32' not in peer.name])):
        fastest = max(group or peers, key=Contender.tokens_per_second)
        for each in group + ours[kind]:
            speed = each.tokens_per_second()
            print(f'{each.name:38}{speed:8.0f}{speed / fastest.tokens_per_second():16.2f}'
                  f'{speed * FLOPS_PER_TOKEN / 1e9 / rates[kind]:18.0%}{each.peak_mib():10.0f}'
                  f'{each.peak_mib() / fastest.peak_mib():8.2f}')
    one_rank = ours['bf16'][0]
    for each in ranks:
        print(f'{each.name:38}{each.tokens_per_second():8.0f}'
              f'{each.tokens_per_second() / one_rank.tokens_per_second():16.2f} of one rank')
    for each in [ours['fp32'][0], one_rank, *ranks]:
        print_parts(each)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--steps', type=int, default=5)
    parser.add_argument('--eager', action='store_true', help='without torch.compile (slow to start)')
    parser.add_argument('--without', action='append', default=[], choices=PEERS, metavar='PEER',
                        help='leave a peer out, ' + ', '.join(PEERS) + '; may be repeated (without '
                        'AVX512-BF16 a step in pure bf16 takes LibTorch a minute)')
    parser.add_argument('--program', default='build/tests/bench/train_cpu')
    parser.add_argument('--serve', help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        return serve_products(args.threads) if args.serve == 'products' else serve_peer(
            args.serve, args.threads)
    if not os.path.exists(args.program):
        sys.exit(f'{args.program}: not built; cmake --build build --target train_cpu')
    peers, ours = start(args)
    products = Contender('torch.mm', [sys.executable, __file__, '--serve', 'products',
                                      '--threads', str(args.threads)])
    everybody = [products, *peers, *ours['fp32'], *ours['bf16']]
    rates = []
    for _ in range(args.rounds):
        for contender in everybody:
            contender.run(args.steps)
        rates.append(products.answer)
    ranks = run_on_two_ranks(args, ours['bf16'][0])
    report(rates, peers, ours, ranks)
    for contender in everybody:
        contender.close()


if __name__ == '__main__':
    main()
