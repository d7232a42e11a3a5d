#!/usr/bin/env python3
"""Training speed on one GPU, phalanx against transformers, in one run.

  .deps/bin/python tests/bench/train_gpu.py [--tokens 4096 16384] [--layers 0] [--steps 10]
                                            [--peak TFLOPS] [--no-profile] [--no-peers]

Layers of phi-4-14B's shape, as many as fit (--layers 0) or as given, between its embedding and
head; one row of TOKENS a step. Peers are transformers' Phi3ForCausalLM, eager and compiled, with
the same number of layers, pure bf16 and fused torch.optim.AdamW, each in a process of its own.
phalanx runs in bf16, with its passes as CUDA graphs, with selective recomputation, and in fp8 by each of
its scalings. Prints tokens/s, the part of the peak that is used (MFU: 6 (N - embedding) + 12 L H h T / 2
FLOP a token, causal attention counted half, over --peak, which is that of dense bf16 in the data sheet),
the same over what cuBLAS reached in this run, peak memory beside the planned one, memory by category and
the time of each kernel of a step in bf16. A way that fails is a line that says so.
"""
import argparse
import json
import os
import subprocess
import sys
import time

PEAKS = {'H100': 989.4, 'H200': 989.4, 'A100': 312.0, 'B200': 2250.0}  # dense bf16 TFLOP/s
WAYS = (['bf16', 'graphs'], ['bf16', 'selective'], ['fp8'], ['fp8-rowwise'])


def peer(tokens, layers, steps, compiled):
    """Trains the peer in this process; prints a line of JSON."""
    import torch
    from transformers import Phi3Config, Phi3ForCausalLM
    config = Phi3Config(vocab_size=100352, hidden_size=5120, intermediate_size=17920,
                        num_hidden_layers=layers, num_attention_heads=40, num_key_value_heads=10,
                        max_position_embeddings=tokens, original_max_position_embeddings=tokens,
                        rope_theta=250000.0, pad_token_id=None, bos_token_id=0, eos_token_id=0,
                        attn_implementation='sdpa', use_cache=False)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device('cuda'):
        model = Phi3ForCausalLM(config).train()
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1,
                                  fused=True)
    run = torch.compile(model) if compiled else model
    ids = torch.randint(0, config.vocab_size, (1, tokens + 1), device='cuda')

    def step():
        logits = run(input_ids=ids[:, :-1]).logits
        torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), ids[:, 1:].flatten()
                                          ).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()

    for _ in range(3):
        step()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(steps):
        step()
    torch.cuda.synchronize()
    print(json.dumps({'tokens_per_second': tokens * steps / (time.perf_counter() - start),
                      'memory': {'peak': torch.cuda.max_memory_allocated()}}))


def run_peer(args, tokens, layers, compiled):
    command = [sys.executable, __file__, '--peer', 'compiled' if compiled else 'eager', '--tokens',
               str(tokens), '--layers', str(layers), '--steps', str(args.steps)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False,
                          env=os.environ | {'PYTORCH_ALLOC_CONF': 'expandable_segments:True'})
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def run_phalanx(args, words, tokens, layers, profile=False):
    """`words`: precision and ways of train_gpu. None if it failed, whose message stands above."""
    precision, *ways = words
    done = subprocess.run([args.program, precision, str(tokens), str(layers), str(args.steps), *ways,
                           *['profile'] * profile], stdout=subprocess.PIPE, text=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else None


def peak_of(args, device):
    if args.peak:
        return args.peak
    for name, peak in PEAKS.items():
        if name in device:
            return peak
    sys.exit(f'{device}: no peak is known; say it with --peak TFLOPS')


def report(name, result, ours, peak):
    if result is None:
        print(f'  {name:24}failed (see above); out of memory, most likely')
        return
    flops = result['tokens_per_second'] * ours['flops_per_token']
    planned = result['memory'].get('planned')
    print(f'  {name:24}{result["tokens_per_second"]:9.0f}{flops / peak / 1e10:7.1f} %'
          f'{100 * flops / ours["gemm_flops_per_second"]:7.1f} %'
          f'{result["tokens_per_second"] / ours["tokens_per_second"]:8.2f}'
          f'{result["memory"]["peak"] / 2**30:9.1f}'
          + (f'{planned / 2**30:9.1f}' if planned else ''))


def print_profile(kernels):
    print(f'  {"ms":>8} {"share":>6} {"calls":>6}  kernel of a step in bf16')
    for kernel in kernels:
        print(f'  {kernel["milliseconds"]:8.2f} {100 * kernel["share"]:5.1f}% {kernel["calls"]:6}  '
              f'{kernel["name"][:90]}')


def compare(args, tokens):
    """True if phalanx trained in bf16."""
    ours = run_phalanx(args, ['bf16'], tokens, args.layers, profile=not args.no_profile)
    if ours is None:
        print(f'{tokens} tokens a step: phalanx failed in bf16 (see above)')
        return False
    layers, peak = ours['layers'], peak_of(args, ours['device'])
    print(f'{ours["device"]}, {tokens} tokens a step, {layers} layers; cuBLAS bf16 '
          f'{ours["gemm_flops_per_second"] / 1e12:.0f} of {peak:.0f} TFLOP/s')
    print(f'  {"":24}tokens/s      MFU of cuBLAS  to ours  peak GiB  planned')
    report('phalanx bf16', ours, ours, peak)
    for words in WAYS:
        report('phalanx ' + ' '.join(words), run_phalanx(args, words, tokens, layers), ours, peak)
    if not args.no_peers:
        for compiled in (False, True):
            name = f'transformers {"compiled" if compiled else "eager"}'
            report(name, run_peer(args, tokens, layers, compiled), ours, peak)
    print('  memory of phalanx bf16: ' + ', '.join(f'{name} {size / 2**30:.1f} GiB'
                                                   for name, size in ours['memory'].items()))
    if ours['profile']:
        print_profile(ours['profile'])
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--tokens', type=int, nargs='+', default=[4096, 16384])
    parser.add_argument('--layers', type=int, default=0, help='0: as many as fit')
    parser.add_argument('--steps', type=int, default=10)
    parser.add_argument('--peak', type=float, help='TFLOP/s of dense bf16')
    parser.add_argument('--no-profile', action='store_true', help='no times of kernels')
    parser.add_argument('--no-peers', action='store_true')
    parser.add_argument('--peer', choices=('eager', 'compiled'), help=argparse.SUPPRESS)
    parser.add_argument('--program', default='build/tests/bench/train_gpu')
    args = parser.parse_args()
    if args.peer:
        return peer(args.tokens[0], args.layers, args.steps, args.peer == 'compiled')
    if not os.path.exists(args.program):
        sys.exit(f'{args.program}: not built; cmake --build build --target train_gpu (a build with '
                 'CUDA)')
    return 0 if all([compare(args, tokens) for tokens in args.tokens]) else 1


if __name__ == '__main__':
    sys.exit(main())
