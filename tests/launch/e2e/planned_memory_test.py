"""`phalanx plan` against what the process of a training run takes: the most memory it had resident,
at configurations where tensors are most of it."""

import json
import subprocess
import sys

from support import BAD_INPUT, STOPPED, RunTest, main

TOLERANCE = 0.10
MIB = 1 << 20

# Starts a command, waits for it and prints how it ended and the most that one process of it held.
MEASURE = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
sys.stderr.write(done.stderr)
"""

SETTINGS = {
    'model.hidden_size': 512, 'model.intermediate_size': 1792, 'model.num_hidden_layers': 6,
    'model.num_attention_heads': 8, 'model.num_key_value_heads': 2, 'model.head_dim': 64,
    'model.vocab_size': 16384, 'stages[0].micro_batch_size': 2, 'run.stop_after_steps': 2,
    'checkpoint.interval': '1 steps'}  # the copy that is saved is there before the second step
# A micro-batch of 2,048 tokens.
MANY_TOKENS = {'model.vocab_size': 4096, 'stages[0].global_batch_size': 64,
               'stages[0].micro_batch_size': 64, 'stages[0].learning_rate.warmup_steps': 1}


class PlannedMemory(RunTest):

    def check(self, name, settings=None, ranks=1):
        overrides = [f'{key}={value}' for key, value in (SETTINGS | (settings or {})).items()]
        planned = json.loads(self.workspace.program(
            'plan', 'run.yaml', *overrides, '--ranks', str(ranks), '--json'))['memory']
        command = [self.workspace.binary, 'train']
        if ranks > 1:
            command = self.workspace.command(ranks)
        environment = self.workspace.environment | {'OMP_NUM_THREADS': '2' if ranks == 1 else '1'}
        done = subprocess.run(
            [sys.executable, '-c', MEASURE, *command, 'run.yaml', f'run.name={name}', *overrides],
            cwd=self.workspace.path, env=environment, capture_output=True, text=True, timeout=240,
            check=True)
        code, taken = map(int, done.stdout.split())
        self.assertEqual(code, STOPPED, done.stderr)
        print(f'{name}: planned {planned["total"] / MIB:.0f} MiB, taken {taken / MIB:.0f} MiB, '
              f'{100 * (planned["total"] / taken - 1):+.1f} %', flush=True)
        self.assertLessEqual(abs(planned['total'] / taken - 1), TOLERANCE)

    def test_fp32(self):
        self.check('fp32')

    def test_bf16(self):
        self.check('bf16', {'precision': 'bf16'})

    def test_activations(self):
        self.check('activations', MANY_TOKENS)

    def test_selective(self):
        self.check('selective', MANY_TOKENS | {'recompute': 'selective'})

    def test_full(self):
        self.check('full', MANY_TOKENS | {'recompute': 'full'})

    def test_tensor_parallel(self):
        self.check('tensor', {'parallel.tensor_parallel_size': 2}, ranks=2)

    def test_data_parallel(self):
        self.check('data', ranks=2)


HUGE = ['model.hidden_size=65536', 'model.intermediate_size=262144', 'model.head_dim=8192',
        'model.num_hidden_layers=400']


class TooLittle(RunTest):

    def test_a_model_that_cannot_be_is_refused_once_and_leaves_nothing(self):
        result = self.train(2, 'huge', *HUGE, code=BAD_INPUT)
        self.assertEqual(len(result.our_errors()), 1, str(result))
        message = result.our_errors()[0]
        for words in ('memory: expected at most the', 'needs ', 'weights ', 'optimizer ',
                      'no mesh of 2 rank(s) would fit', '--ignore-memory-plan'):
            self.assertIn(words, message)
        self.assertFalse(result.folder.exists())

    def test_what_fits_says_so_before_the_first_step(self):
        result = self.train(1, 'small', 'run.stop_after_steps=1', code=STOPPED)
        lines = [line for line in result.err.splitlines() if line.startswith('memory of a rank: ')]
        self.assertEqual(len(lines), 1, str(result))
        self.assertRegex(lines[0], r'by plan, .* GiB free$')

    def test_a_dry_run_needs_no_memory(self):
        self.train(1, 'dry', '--dry-run', *HUGE)


if __name__ == '__main__':
    main()
