"""`phalanx score MODEL --jsonl` against log_softmax of transformers, for each family."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import torch

from hf_models import FAMILIES, VOCABULARY, make_folder, make_model
from support import BAD_INPUT, main

# With LongRoPE, 16 tokens are the last that take the short factors and 17 the first that do not.
LENGTHS = (2, 5, 16, 17, 40, 64)


def expected_values(model, ids):
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0, :-1].double()
    values = logits.log_softmax(-1)
    return [values[i, token].item() for i, token in enumerate(ids[1:])]


class Score(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='phalanx-score-')
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name)
        self.environment = os.environ | {'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}

    def command(self, *arguments):
        return [os.environ['PHALANX_BINARY'], *arguments]

    def phalanx(self, *arguments, text=''):
        return subprocess.run(self.command(*arguments), cwd=self.path, env=self.environment,
                              input=text, capture_output=True, text=True, timeout=120, check=False)

    def score(self, model, rows, *options):
        done = self.phalanx('score', model, '--jsonl', *options,
                            text=''.join(json.dumps(row) + '\n' for row in rows))
        self.assertEqual(done.returncode, 0, done.stderr)
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([len(answer) for answer in answers], [len(row) for row in rows])
        for answer in answers:
            self.assertIsNone(answer[0])
        return [answer[1:] for answer in answers]

    def test_every_family_and_both_kinds_of_folder(self):
        for seed, family in enumerate(FAMILIES):
            with self.subTest(family):
                make_folder(self.path / family, family, tokenizer=False)
                model = make_model(family)
                torch.manual_seed(seed)
                rows = [torch.randint(VOCABULARY, (length,)).tolist() for length in LENGTHS]
                expected = [expected_values(model, row) for row in rows]
                found = self.score(family, rows)
                for mine, theirs in zip(found, expected, strict=True):
                    for a, b in zip(mine, theirs, strict=True):
                        self.assertLess(abs(a - b), 1e-5)
                done = self.phalanx('import', family, f'{family}-imported')
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(self.score(f'{family}-imported', rows), found)

    def test_bf16_is_near(self):
        """As near as bf16 of transformers is to fp32, and not fp32."""
        make_folder(self.path / 'model', 'phi4', tokenizer=False)
        model = make_model('phi4')
        torch.manual_seed(3)
        row = torch.randint(VOCABULARY, (64,)).tolist()
        exact = torch.tensor(expected_values(model, row))
        theirs = torch.tensor(expected_values(model.bfloat16(), row))
        ours = torch.tensor(self.score('model', [row], '--dtype', 'bf16')[0])
        distance = (ours - exact).norm().item()
        self.assertLess(distance, 1.5 * (theirs - exact).norm().item())
        self.assertGreater(distance, 1e-3)

    def test_short_rows(self):
        make_folder(self.path / 'model', 'phi4', tokenizer=False)
        done = self.phalanx('score', 'model', '--jsonl', text='[]\n[3]\n')
        self.assertEqual((done.returncode, done.stdout), (0, '[]\n[null]\n'))

    def test_each_line_is_answered_at_once(self):
        make_folder(self.path / 'model', 'phi4', tokenizer=False)
        with subprocess.Popen(self.command('score', 'model', '--jsonl'), cwd=self.path,
                              env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True) as asked:
            for row in ([1, 2], [3, 4, 5]):
                asked.stdin.write(json.dumps(row) + '\n')
                asked.stdin.flush()
                self.assertEqual(len(json.loads(asked.stdout.readline())), len(row))
            asked.stdin.close()
            self.assertEqual(asked.wait(60), 0)

    def test_errors_name_the_line(self):
        make_folder(self.path / 'model', 'phi4', tokenizer=False)
        long_row = json.dumps([1] * 65)
        for line, message in (
                ('[1, 2', 'not valid JSON'),
                ('{"ids": 1}', 'expected an array of ids, found {"ids":1}'),
                ('[1, 2.5]', 'token 1: expected an id from 0 to 511, found 2.5'),
                ('[1, -2]', 'token 1: expected an id from 0 to 511, found -2'),
                ('["2"]', 'token 0: expected an id from 0 to 511, found "2"'),
                ('[3000000000]', 'token 0: expected an id from 0 to 511, found 3000000000'),
                ('[1, 2, 512]', 'token 2: expected an id from 0 to 511, found 512'),
                (long_row, "expected at most the 64 tokens of the model's max_position_embeddings, "
                           'found 65')):
            done = self.phalanx('score', 'model', '--jsonl', text=f'[1, 2]\n{line}\n')
            self.assertEqual(done.returncode, BAD_INPUT, done.stderr)
            self.assertEqual(len(done.stdout.splitlines()), 1)  # the first line was answered
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertIn(f'standard input: line 2: {message}', done.stderr)

    def test_an_output_that_is_lost_is_said_once(self):
        make_folder(self.path / 'model', 'phi4', tokenizer=False)
        with open('/dev/full', 'w') as full:
            done = subprocess.run(self.command('score', 'model', '--jsonl'), cwd=self.path,
                                  env=self.environment, input='[1, 2]\n', stdout=full,
                                  stderr=subprocess.PIPE, text=True, timeout=120, check=False)
        self.assertEqual((done.returncode, done.stderr), (
            BAD_INPUT, 'phalanx: error: cannot write standard output: No space left on device\n'))

    def test_a_model_that_is_none(self):
        done = self.phalanx('score', 'nowhere', '--jsonl', text='[1]\n')
        self.assertEqual(done.returncode, BAD_INPUT)
        self.assertIn('nowhere: expected a Hugging Face folder or a checkpoint, found none',
                      done.stderr)


if __name__ == '__main__':
    main()
