"""configs/quickstart.yaml itself, on its own text, made by the scripts of the quickstart: four ranks as
2 x 2 take three steps, stop, and go on for one; two ranks learn from the first forty steps."""

import math
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import unittest

from support import SKIPPED, STOPPED, own_mpi_folder, read_metrics

ROOT = pathlib.Path(__file__).resolve().parents[3]
SOURCES = {'books': 'organic', 'code': 'organic', 'problems': 'synthetic'}


class Quickstart(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix='phalanx-quickstart-'))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        (cls.folder / 'configs').symlink_to(ROOT / 'configs')
        cls.environment = os.environ | {'OMPI_ALLOW_RUN_AS_ROOT': '1', 'OMP_NUM_THREADS': '1',
                                        'OMPI_ALLOW_RUN_AS_ROOT_CONFIRM': '1'}
        cls.environment |= own_mpi_folder(cls.folder)
        cls.make_data()

    @classmethod
    def call(cls, *command, code=0):
        done = subprocess.run(command, cwd=cls.folder, env=cls.environment, text=True,
                              capture_output=True, timeout=400, check=False)
        if done.returncode != code:
            raise AssertionError(f'{done.returncode}, expected {code}: {command}\n{done.stdout}\n'
                                 f'{done.stderr}')
        return done.stdout

    @classmethod
    def make_data(cls):
        binary, text = os.environ['PHALANX_BINARY'], 'quickstart/text'
        for name in SOURCES:
            cls.call(sys.executable, '-B', ROOT / f'launch/corpora/{name}.py', f'{text}/{name}')
        cls.call(binary, 'tokenizer', 'train', '--input', text, '--vocab-size', '8192',
                 '--output', 'quickstart/tokenizer')
        for name, kind in SOURCES.items():
            cls.call(binary, 'data', 'pack', '--input', f'{text}/{name}', '--tokenizer',
                     'quickstart/tokenizer', '--output', f'quickstart/data/{name}', '--kind',
                     kind, '--validation-fraction', '0.05')

    def train(self, name, ranks, *arguments):
        return self.call(os.environ['PHALANX_MPIEXEC'], '-np', str(ranks), '--oversubscribe',
                         '--bind-to', 'none', os.environ['PHALANX_BINARY'], 'train',
                         'configs/quickstart.yaml', f'run.name={name}', 'evaluation.max_rows=4',
                         *arguments, code=STOPPED)

    def test_the_first_steps_learn(self):
        self.train('learn', 2, 'run.stop_after_steps=40')
        steps = read_metrics(self.folder / 'runs' / 'learn')
        self.assertEqual([step['step'] for step in steps], list(range(1, 41)))
        norms = [step['grad_norm'] for step in steps]
        self.assertTrue(all(map(math.isfinite, norms)), norms)
        losses = [step['loss'] for step in steps]
        self.assertGreater(losses[0], math.log(8192) - 0.5)
        self.assertLess(statistics.mean(losses[-5:]), losses[0] - 1.5, losses)

    def test_two_by_two(self):
        mesh = ('mesh', 4, 'parallel.tensor_parallel_size=2')
        first = self.train(*mesh, 'run.stop_after_steps=3')
        self.assertIn('stopped after step 3 of', first)
        second = self.train(*mesh, 'run.stop_after_steps=4', '--resume', 'auto')
        self.assertIn('stopped after step 4 of', second)
        for source in SOURCES:
            self.assertRegex(second, rf'(?m)^{source} .* \d+\.\d+')


if __name__ == '__main__':
    packages = pathlib.Path(sys.prefix).glob('lib/python3*/site-packages/reasoning_gym')
    if not list(packages):
        print('skipped: the text wheels are not here (launch/setup.sh --quickstart)')
        sys.exit(SKIPPED)
    unittest.main()
