"""What saving costs the training: a model of some 40M parameters is trained on CPU with a save every
few steps, and steps during which a checkpoint was being written are compared with the others of the
same run.

    PHALANX_BINARY=build/phalanx .deps/bin/python tests/bench/save_stall.py [STEPS] [INTERVAL]
"""

import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tests' / 'launch' / 'e2e'))
from support import STOPPED, Workspace, read_metrics  # noqa: E402

MODEL = {
    'model.hidden_size': 512, 'model.intermediate_size': 1792, 'model.num_hidden_layers': 6,
    'model.num_attention_heads': 8, 'model.num_key_value_heads': 2, 'model.head_dim': 64,
    'model.vocab_size': 16384, 'stages[0].global_batch_size': 32, 'stages[0].micro_batch_size': 16,
    'stages[0].phases[0].tokens': '1M', 'data.sources.code.max_epochs': 100,
    'data.sources.prose.max_epochs': 100, 'stages[0].learning_rate.warmup_steps': 1}


def main():
    steps, interval = (int(word) for word in (sys.argv[1:] + ['60', '15'][len(sys.argv) - 1:]))
    os.environ['PHALANX_BINARY'] = str(pathlib.Path(os.environ['PHALANX_BINARY']).resolve())
    workspace = Workspace()
    options = MODEL | {'run.name': 'stall', 'run.stop_after_steps': steps,
                       'checkpoint.interval': f'{interval} steps'}
    command = [workspace.binary, 'train', 'run.yaml', *(f'{k}={v}' for k, v in options.items())]
    environment = workspace.environment | {'OMP_NUM_THREADS': str(len(os.sched_getaffinity(0)))}
    done = subprocess.run(command, cwd=workspace.path, env=environment, check=False)
    if done.returncode != STOPPED:
        sys.exit(f'exit code {done.returncode}')
    folder = workspace.run_folder('stall')
    lines = read_metrics(folder)[2:]
    writing = [line['step_seconds'] for line in lines if line['saving']]
    alone = [line['step_seconds'] for line in lines if not line['saving']]
    stalls = [after['save_stall_seconds'] - line['save_stall_seconds']
              for line, after in zip(lines, lines[1:]) if after['saving'] and not line['saving']]
    newest = max((folder / 'checkpoints').glob('step-*'))
    size = sum(file.stat().st_size for file in newest.iterdir())
    begin = time.monotonic()
    workspace.program('checkpoint', 'verify', str(newest))
    seconds = time.monotonic() - begin
    print(f'{size / 1e6:.0f} MB a checkpoint; {len(writing)} steps while one was written, '
          f'{len(alone)} others, {lines[-1]["saves_skipped"]} saves skipped')
    for name, times in (('writing', writing), ('others', alone)):
        print(f'{name:8} median {statistics.median(times):.4f} s, mean {statistics.mean(times):.4f} s')
    print(f'median ratio {statistics.median(writing) / statistics.median(alone):.3f}')
    print(f'stall of a save: {1000 * statistics.median(stalls):.0f} ms at the median, '
          f'{1000 * max(stalls):.0f} ms at most')
    print(f'verify: {size / 1e6 / seconds:.0f} MB/s, the start of the program included')
    workspace.close()


if __name__ == '__main__':
    main()
