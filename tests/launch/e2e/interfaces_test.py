"""What scripts rely on: the metrics' fields, the plan's line, and an installed tree."""

import json
import math
import os
import subprocess
import tempfile

from support import STEPS, STOPPED, RunTest, main, read_metrics

FIELDS = ('step', 'tokens', 'loss', 'grad_norm', 'learning_rate', 'tokens_per_second')


class Interfaces(RunTest):

    def test_metrics(self):
        run = self.train(2, 'metrics')
        lines = run.metrics()
        self.assertEqual([line['step'] for line in lines], list(range(1, STEPS + 1)))
        self.assertEqual([line['tokens'] for line in lines],
                         [256 * step for step in range(1, STEPS + 1)])
        for line in lines:
            for field in FIELDS:
                self.assertTrue(math.isfinite(line[field]), f'{field} of {line}')
            self.assertGreater(line['tokens_per_second'], 0)
            self.assertAlmostEqual(line['data_wait_share'], line['data_wait_seconds'] / (
                line['data_wait_seconds'] + line['step_seconds']))
            self.assertEqual(sum(source['tokens'] for source in line['sources'].values()), 256)
            self.assertEqual(sum(source['total_tokens'] for source in line['sources'].values()),
                             line['tokens'])
        self.assertLess(lines[-1]['loss'], lines[0]['loss'] - 0.1)
        self.assertEqual(max(line['learning_rate'] for line in lines), 3e-3)
        self.assertRegex(run.out, r'\nspeed .*; data wait \d+\.\d %\n')
        self.assert_all_digits(run.folder / 'metrics.jsonl')

    def test_what_computes_is_said_once(self):
        """By one of the ranks, after the plan and before the first step, and at a change of it."""
        run = self.train(2, 'kernels', 'run.stop_after_steps=1', 'model.sliding_window=8',
                         code=STOPPED)
        lines = run.err.splitlines()
        said = [line for line in lines if line.startswith(('cpu products', 'attention'))]
        self.assertRegex('\n'.join(said), r'\Acpu products: .+\nattention: .+\Z')
        self.assertGreater(lines.index(said[0]), lines.index(next(
            line for line in lines if line.startswith('plan: '))))

    def assert_all_digits(self, path):
        """Numbers are written with the digits that give the same bits, no fewer and no more."""
        texts = []
        for line in path.read_text().splitlines():
            json.loads(line, parse_float=texts.append)
        self.assertEqual([text for text in texts if float(repr(float(text))) != float(text)], [])
        self.assertGreater(sum(len(text) >= 15 for text in texts), len(texts) / 2)

    def test_stopped_and_done_have_their_exit_codes(self):
        stopped = self.train(1, 'codes', 'run.stop_after_steps=2', code=STOPPED)
        self.assertIn('--resume auto', stopped.out)
        done = self.train(1, 'codes', '--resume', 'auto')
        again = self.train(1, 'codes', '--resume', 'auto')  # nothing is left to do
        self.assertEqual(again.metrics(), done.metrics())
        self.assertRegex(done.out, r'\nspeed +\S+ tokens/s on 1 rank, ')
        self.assertRegex(again.out, r'\nspeed +none: nothing was left to train\n')

    def test_the_printed_line_resumes(self):
        stopped = self.train(2, 'line', 'run.stop_after_steps=2', code=STOPPED)
        command = next(line.split(None, 1)[1] for line in stopped.out.splitlines()
                       if line.startswith('resume '))
        done = subprocess.run(command, shell=True, cwd=self.workspace.path, check=False,
                              env=self.workspace.environment, capture_output=True, text=True,
                              timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(self.workspace.train(1, 'line', '--resume', 'auto').metrics()), STEPS)

    def test_alone_as_under_mpirun(self):
        self.workspace.program('train', 'run.yaml', 'run.name=alone')
        run = self.train(1, 'launched')
        for one, other in zip(read_metrics(self.workspace.run_folder('alone')), run.metrics(),
                              strict=True):
            self.assertEqual([one['loss'], one['grad_norm']], [other['loss'], other['grad_norm']])

    def test_parameters_of_phi4(self):
        self.assertIn('parameters 14659507200',
                      self.workspace.program('plan', '--model', 'phi4-14b').splitlines())


class Install(RunTest):

    def test_an_installed_tree_runs_from_any_path(self):
        with tempfile.TemporaryDirectory(prefix='phalanx e2e ') as prefix:
            subprocess.run([os.environ['PHALANX_CMAKE'], '--install', os.environ['PHALANX_BUILD'],
                            '--prefix', prefix], check=True, stdout=subprocess.DEVNULL)
            self.workspace.binary = f'{prefix}/bin/phalanx'
            self.assertTrue(self.workspace.program('--version').startswith('phalanx '))
            self.assertIn('parameters 14659507200',
                          self.workspace.program('plan', '--model', 'phi4-14b').splitlines())
            self.train(2, 'installed', 'run.stop_after_steps=2', code=STOPPED)


if __name__ == '__main__':
    main()
