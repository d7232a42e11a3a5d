"""The table of train_gpu.py, from a program that answers as train_gpu does on a machine with a GPU."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

BENCH = pathlib.Path(__file__).with_name('train_gpu.py')
ANSWER = {'device': 'NVIDIA H100 80GB HBM3', 'layers': 10, 'tokens': 4096, 'tokens_per_second': 8000.0,
          'flops_per_token': 5e10, 'gemm_flops_per_second': 8e14,
          'memory': {'peak': 2 * 2**30, 'planned': 3 * 2**30},
          'profile': [{'milliseconds': 1.5, 'share': 0.25, 'calls': 4, 'name': 'flash_fwd'}]}
PROGRAM = """#!{python}
import json, sys
precision, tokens, layers, steps, *ways = sys.argv[1:]
if precision == {fails!r}:
    sys.exit('out of memory')
answer = json.loads({answer!r})
if precision == 'fp8':
    answer['tokens_per_second'] *= 1.5
if 'profile' not in ways:
    answer['profile'] = None
print(json.dumps(answer))
"""


class Table(unittest.TestCase):

    def bench(self, fails):
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder) / 'train_gpu'
            program.write_text(PROGRAM.format(python=sys.executable, fails=fails,
                                              answer=json.dumps(ANSWER)))
            program.chmod(0o755)
            return subprocess.run([sys.executable, '-B', BENCH, '--program', program, '--no-peers',
                                   '--tokens', '4096'], capture_output=True, text=True, check=False)

    def test_ways_and_what_a_step_takes(self):
        done = self.bench('nothing')
        self.assertEqual(done.returncode, 0, done.stderr)
        # 8000 x 5e10 FLOP/s of 989.4e12 and of 8e14.
        self.assertRegex(done.stdout, r'\n  phalanx bf16 +8000 +40\.4 % +50\.0 % +1\.00 +2\.0 +3\.0\n')
        self.assertRegex(done.stdout, r'\n  phalanx fp8 +12000 +60\.6 % +75\.0 % +1\.50')
        for way in ('bf16 graphs', 'bf16 selective', 'fp8-rowwise'):
            self.assertIn(f'\n  phalanx {way}', done.stdout)
        self.assertRegex(done.stdout, r'\n +1\.50 +25\.0% +4  flash_fwd\n')

    def test_a_way_that_fails_is_a_line_and_the_rest_goes_on(self):
        done = self.bench('fp8')
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r'\n  phalanx fp8 +failed')
        self.assertIn('\n  phalanx fp8-rowwise', done.stdout)
        self.assertEqual(self.bench('bf16').returncode, 1)


if __name__ == '__main__':
    unittest.main()
