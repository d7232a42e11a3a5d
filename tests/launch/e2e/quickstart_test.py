"""configs/quickstart.yaml itself, on its own text, on a mesh of 2 x 2: the scripts of the quickstart
make text, tokenizer and shards, then four ranks take three steps, stop, and go on for one."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

from support import SKIPPED, STOPPED

ROOT = pathlib.Path(__file__).resolve().parents[3]
SOURCES = {'books': 'organic', 'code': 'organic', 'problems': 'synthetic'}


class Quickstart(unittest.TestCase):

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='phalanx-quickstart-'))
        self.addCleanup(shutil.rmtree, self.folder)
        (self.folder / 'configs').symlink_to(ROOT / 'configs')
        self.environment = os.environ | {'OMPI_ALLOW_RUN_AS_ROOT': '1', 'OMP_NUM_THREADS': '1',
                                         'OMPI_ALLOW_RUN_AS_ROOT_CONFIRM': '1'}

    def call(self, *command, code=0):
        done = subprocess.run(command, cwd=self.folder, env=self.environment, text=True,
                              capture_output=True, timeout=200, check=False)
        self.assertEqual(done.returncode, code, f'{command}\n{done.stdout}\n{done.stderr}')
        return done.stdout

    def make_data(self):
        binary, text = os.environ['PHALANX_BINARY'], 'quickstart/text'
        for name in SOURCES:
            self.call(sys.executable, '-B', ROOT / f'launch/corpora/{name}.py', f'{text}/{name}')
        self.call(binary, 'tokenizer', 'train', '--input', text, '--vocab-size', '8192',
                  '--output', 'quickstart/tokenizer')
        for name, kind in SOURCES.items():
            self.call(binary, 'data', 'pack', '--input', f'{text}/{name}', '--tokenizer',
                      'quickstart/tokenizer', '--output', f'quickstart/data/{name}', '--kind',
                      kind, '--validation-fraction', '0.05')

    def train(self, *arguments):
        return self.call(os.environ['PHALANX_MPIEXEC'], '-np', '4', '--oversubscribe', '--bind-to',
                         'none', os.environ['PHALANX_BINARY'], 'train', 'configs/quickstart.yaml',
                         'parallel.tensor_parallel_size=2', 'evaluation.max_rows=4', *arguments,
                         code=STOPPED)

    def test_two_by_two(self):
        self.make_data()
        first = self.train('run.stop_after_steps=3')
        self.assertIn('stopped after step 3 of', first)
        second = self.train('run.stop_after_steps=4', '--resume', 'auto')
        self.assertIn('stopped after step 4 of', second)
        for source in SOURCES:
            self.assertRegex(second, rf'(?m)^{source} .* \d+\.\d+')


if __name__ == '__main__':
    packages = pathlib.Path(sys.prefix).glob('lib/python3*/site-packages/reasoning_gym')
    if not list(packages):
        print('skipped: the text wheels are not here (launch/setup.sh --quickstart)')
        sys.exit(SKIPPED)
    unittest.main()
