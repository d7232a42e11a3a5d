"""launch/quickstart.sh from a fresh copy of the tree, twice, with a short curriculum: everything is
made, a run is stopped, resumed and reported; the second call makes nothing again. Takes a whole
build. How long the second call takes before it trains is printed, not judged."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
LEFT_OUT = shutil.ignore_patterns('.git', '.deps', 'build*', 'runs', 'quickstart', '__pycache__')
SHORT = ('stages[0].phases[0].tokens=330K', 'stages[0].phases[1].tokens=20K',
         'stages[0].phases[1].ramp_tokens=10K', 'evaluation.max_rows=4')


class QuickstartScript(unittest.TestCase):

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='phalanx-script-')) / 'phalanx'
        self.addCleanup(shutil.rmtree, self.folder.parent)
        shutil.copytree(ROOT, self.folder, ignore=LEFT_OUT)

    def quickstart(self):
        """Output, and the seconds until the first step is shown."""
        start, first, lines = time.monotonic(), None, []
        with subprocess.Popen(['./launch/quickstart.sh', *SHORT], cwd=self.folder, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            for line in process.stdout:
                lines.append(line)
                if first is None and line.startswith('step '):
                    first = time.monotonic() - start
        self.assertEqual(process.returncode, 0, ''.join(lines[-60:]))
        return ''.join(lines), first

    def test_twice(self):
        outside = set(os.listdir(self.folder.parent))
        first, _ = self.quickstart()
        self.assertIn('stopped after step 150 of', first)
        self.assertRegex(first, r'finished after step (\d+) of \1')
        second, seconds = self.quickstart()
        print(f'second call: {seconds:.1f} s before the first step')
        for made_once in ('==> text of', '==> tokenizer of', '==> token shards of'):
            self.assertIn(made_once, first)
            self.assertNotIn(made_once, second)
        self.assertRegex(second, r'finished after step (\d+) of \1')
        self.assertEqual(set(os.listdir(self.folder.parent)), outside)


if __name__ == '__main__':
    unittest.main()
