"""`phalanx plan` against what the process of a training run takes: the most memory it had resident,
at configurations where tensors are most of it.

What a process has resident without a tensor (libraries, pools, its part of MPI) depends on the
processor and on how the kernel maps files. As configs/gpus.yaml asks of its readers, it is measured
where the plan is to hold: by a run of a model of 30 thousand parameters."""

import json
import pathlib
import re

from support import BAD_INPUT, STOPPED, RunTest, main

SOURCE = pathlib.Path(__file__).parents[3]
TOLERANCE = 0.10
MIB = 1 << 20

SETTINGS = {
    'model.hidden_size': 512, 'model.intermediate_size': 1792, 'model.num_hidden_layers': 6,
    'model.num_attention_heads': 8, 'model.num_key_value_heads': 2, 'model.head_dim': 64,
    'model.vocab_size': 16384, 'stages[0].micro_batch_size': 2, 'run.stop_after_steps': 3,
    'checkpoint.interval': '1 steps'}  # the copy that is saved is there before the second step
# A micro-batch of 2,048 tokens.
MANY_TOKENS = {'run.stop_after_steps': 2, 'model.vocab_size': 4096, 'stages[0].global_batch_size': 64,
               'stages[0].micro_batch_size': 64, 'stages[0].learning_rate.warmup_steps': 1}


def write_kind(path, runtime_bytes):
    """The shipped kind `cpu` as `here`, with another runtime."""
    shipped = (SOURCE / 'configs' / 'gpus.yaml').read_text()
    cpu = shipped[shipped.index('\n  cpu:') + 1:]
    lines = [f'    runtime_memory: {runtime_bytes}B' if 'runtime_memory:' in line else line
             for line in cpu.splitlines()]
    path.write_text('\n'.join(['gpus:', *lines]).replace('  cpu:', '  here:', 1) + '\n')


class PlannedMemory(RunTest):

    def plan(self, ranks, overrides, *options):
        return json.loads(self.workspace.program(
            'plan', 'run.yaml', *overrides, '--ranks', str(ranks), '--json', *options))['memory']

    def taken(self, name, ranks, overrides):
        """The most that a process of this run had resident in its steps: what the libraries touch
        as the process ends is not part of it."""
        run = self.train(ranks, name, f'parallel.threads_per_rank={2 if ranks == 1 else 1}',
                         *overrides, code=STOPPED)
        return run.metrics()[-1]['peak_memory_bytes']

    def measured_kind(self, name, ranks, settings):
        """Options of `plan`: the processor `here`, its runtime measured."""
        small = [f'{key}={value}' for key, value in settings.items()
                 if key in ('precision', 'parallel.tensor_parallel_size')]
        small.append('run.stop_after_steps=3')
        planned = self.plan(ranks, small)
        runtime = self.taken(f'{name}-runtime', ranks, small) - (
            planned['total'] - planned['runtime'])
        self.assertLess(runtime, 1 << 30, 'a process without tensors')
        table = self.workspace.path / f'{name}.yaml'
        write_kind(table, runtime)
        return ['--gpu-table', table.name, '--gpu', 'here'], runtime

    def check(self, name, settings=None, ranks=1):
        settings = SETTINGS | (settings or {})
        overrides = [f'{key}={value}' for key, value in settings.items()]
        kind, runtime = self.measured_kind(name, ranks, settings)
        planned = self.plan(ranks, overrides, *kind)
        taken = self.taken(name, ranks, overrides)
        print(f'{name}: planned {planned["total"] / MIB:.0f} MiB ({runtime / MIB:.0f} of them the '
              f'runtime), taken {taken / MIB:.0f} MiB, {100 * (planned["total"] / taken - 1):+.1f} %',
              flush=True)
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
                      'no mesh of 2 ranks would fit', '--ignore-memory-plan'):
            self.assertIn(words, message)
        self.assertFalse(result.folder.exists())

    def test_what_fits_says_so_before_the_first_step(self):
        result = self.train(1, 'small', 'run.stop_after_steps=1', code=STOPPED)
        lines = [line for line in result.err.splitlines() if line.startswith('memory of a rank: ')]
        self.assertEqual(len(lines), 1, str(result))
        self.assertRegex(lines[0], r'by plan, .* GiB free$')
        planned = json.loads(self.workspace.program('plan', 'run.yaml', '--ranks', '1', '--json'))
        memory = planned['memory']
        here = re.search(r'(\S+) MiB by plan, besides the (\S+) GiB of runtime', lines[0])
        self.assertAlmostEqual(float(here[1]), (memory['total'] - memory['runtime']) / MIB,
                               delta=0.005)
        self.assertAlmostEqual(float(here[2]), memory['runtime'] / 2 ** 30, delta=0.005)

    def test_a_dry_run_needs_no_memory_and_no_gpu_but_says_what_a_run_needs(self):
        huge = self.train(1, 'dry', '--dry-run', *HUGE)
        self.assertRegex(huge.err, r'\nwarning: memory: expected at most the .* needs ')
        cluster = self.train(1, 'dry', '--dry-run', 'parallel.device=cuda')
        self.assertRegex(cluster.err, r'\nmemory of a rank: .* MiB by plan, .*; no GPU here')
        self.assertFalse(cluster.folder.exists())


if __name__ == '__main__':
    main()
