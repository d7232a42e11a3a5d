"""`phalanx export` of a run's checkpoint: weights, stage and tokenizer, judged by transformers."""

import json
import shutil
import subprocess

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from resume_test import LONGER_ROWS
from support import BAD_INPUT, CONFIG, STEPS, STOPPED, RunTest, main, relative

IN_SECOND_STAGE = STEPS + 1


class ExportRun(RunTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        stages = CONFIG.replace('optimizer:', LONGER_ROWS + 'optimizer:')
        (cls.workspace.path / 'stages.yaml').write_text(stages)
        for stop in (IN_SECOND_STAGE, IN_SECOND_STAGE + 1):
            cls.trained = cls.workspace.train(
                2, 'run', 'parallel.tensor_parallel_size=2', 'checkpoint.keep_last=9',
                f'run.stop_after_steps={stop}', '--resume', 'auto', config='stages.yaml')
            assert cls.trained.code == STOPPED, str(cls.trained)

    def export(self, step, name, *options):
        checkpoint = str(self.trained.checkpoint(step).relative_to(self.workspace.path))
        self.workspace.program('export', checkpoint, name, *options)
        return self.workspace.path / name

    def test_loss_of_the_next_step_is_that_of_transformers(self):
        """tokens, weights of a tensor-parallel run, base of the rotary embedding: all of it."""
        folder = self.export(IN_SECOND_STAGE, 'fp32', '--dtype', 'fp32')
        model = AutoModelForCausalLM.from_pretrained(folder, dtype='auto').eval()
        self.assertEqual(model.dtype, torch.float32)
        batch = json.loads(self.workspace.program('data', 'batch', 'runs/run', '--json', '--step',
                                                  str(IN_SECOND_STAGE + 1)))
        ids = torch.tensor([row['tokens'] for row in batch['rows']])
        with torch.no_grad():
            logits = model(ids[:, :-1]).logits.flatten(0, 1)
        loss = torch.nn.functional.cross_entropy(logits, ids[:, 1:].flatten()).item()
        line = self.trained.metrics()[IN_SECOND_STAGE]
        self.assertEqual(line['step'], IN_SECOND_STAGE + 1)
        self.assertLess(relative(loss, line['loss']), 1e-5)

    def test_types(self):
        full = load_file(self.export(IN_SECOND_STAGE, 'full', '--dtype', 'fp32')
                         / 'model.safetensors')
        for name, dtype, *option in (('default', torch.bfloat16),
                                     ('half', torch.float16, '--dtype', 'fp16')):
            rounded = load_file(self.export(IN_SECOND_STAGE, name, *option) / 'model.safetensors')
            self.assertEqual(rounded.keys(), full.keys())
            for tensor, value in full.items():
                self.assertTrue(torch.equal(rounded[tensor], value.to(dtype)), tensor)

    def test_config_is_that_of_the_stage(self):
        for step, theta, length in ((STEPS, 10000, 32), (IN_SECOND_STAGE, 250000, 256)):
            config = json.loads((self.export(step, f'stage-{step}') / 'config.json').read_text())
            self.assertEqual((config['rope_theta'], config['max_position_embeddings']),
                             (theta, length))

    def test_tokenizer_is_the_run_s(self):
        folder = self.export(STEPS, 'tokenized')
        ours = self.workspace.path / 'tokenizer' / 'tokenizer.json'
        self.assertEqual((folder / 'tokenizer.json').read_bytes(), ours.read_bytes())
        tokenizer = AutoTokenizer.from_pretrained(folder)
        text = 'def add(a, b): return a + b'
        self.assertEqual(tokenizer(text)['input_ids'], self.encode(text))
        config = json.loads((folder / 'config.json').read_text())
        self.assertEqual(tokenizer.eos_token, '<|endoftext|>')
        self.assertEqual(config['eos_token_id'], tokenizer.eos_token_id)
        self.assertEqual(config['bos_token_id'], tokenizer.bos_token_id)

    def test_special_ids_are_those_that_the_tokenizer_was_published_with(self):
        """A conversation may end with another token than documents in training do."""
        published = self.workspace.path / 'published'
        shutil.copytree(self.workspace.path / 'tokenizer', published)
        generation = {'eos_token_id': [3, 0], 'do_sample': True}
        (published / 'generation_config.json').write_text(json.dumps(generation))
        ids = {'bos_token_id': 1, 'eos_token_id': [3, 0], 'pad_token_id': 2}
        (published / 'config.json').write_text(json.dumps({'model_type': 'other', **ids}))
        folder = self.export(STEPS, 'published-ids', '--tokenizer', 'published')
        config = json.loads((folder / 'config.json').read_text())
        self.assertEqual({key: config[key] for key in ids}, ids)
        self.assertEqual(json.loads((folder / 'generation_config.json').read_text()), generation)
        (published / 'config.json').write_text(json.dumps({'eos_token_id': 1 << 40}))
        checkpoint = str(self.trained.checkpoint(STEPS).relative_to(self.workspace.path))
        result = self.alone('export', checkpoint, 'too-large', '--tokenizer', 'published')
        self.assertEqual(result.returncode, BAD_INPUT)
        self.assertIn('published/config.json: key eos_token_id: expected null or ids from 0 to',
                      result.stderr)
        (published / 'config.json').unlink()
        folder = self.export(STEPS, 'no-ids', '--tokenizer', 'published')
        self.assertFalse((folder / 'generation_config.json').exists())

    def alone(self, *arguments, **options):
        """A command of ours on one rank, whatever comes of it."""
        return subprocess.run([self.workspace.binary, *arguments], cwd=self.workspace.path,
                              env=self.workspace.environment, capture_output=True, text=True,
                              timeout=120, check=False, **options)

    def encode(self, text):
        return json.loads(self.alone('tokenizer', 'encode', '--tokenizer', 'tokenizer', '--jsonl',
                                     input=json.dumps(text) + '\n').stdout)

    def test_tokenizer_with_more_ids_than_the_model(self):
        tokenizer = json.loads((self.workspace.path / 'tokenizer' / 'tokenizer.json').read_text())
        tokenizer['added_tokens'].append(dict(tokenizer['added_tokens'][0], id=4000,
                                              content='<|far|>'))
        (self.workspace.path / 'far').mkdir()
        (self.workspace.path / 'far' / 'tokenizer.json').write_text(json.dumps(tokenizer))
        checkpoint = str(self.trained.checkpoint(STEPS).relative_to(self.workspace.path))
        result = self.alone('export', checkpoint, 'refused', '--tokenizer', 'far')
        self.assertEqual(result.returncode, BAD_INPUT, result.stderr)
        self.assertIn("far/tokenizer.json: expected ids below the model's vocab_size 512, found "
                      'ids up to 4000', result.stderr)
        self.assertFalse((self.workspace.path / 'refused').exists())

    def test_tokenizer_that_is_gone(self):
        moved = self.workspace.path / 'moved'
        (self.workspace.path / 'tokenizer').rename(moved)
        self.addCleanup(moved.rename, self.workspace.path / 'tokenizer')
        checkpoint = str(self.trained.checkpoint(STEPS).relative_to(self.workspace.path))
        result = self.alone('export', checkpoint, 'lost')
        self.assertEqual(result.returncode, BAD_INPUT)
        self.assertIn('data.tokenizer: expected the tokenizer at tokenizer, found none: name it '
                      'with --tokenizer', result.stderr)
        self.workspace.program('export', checkpoint, 'found', '--tokenizer', 'moved')
        self.assertTrue((self.workspace.path / 'found' / 'tokenizer.json').exists())


if __name__ == '__main__':
    main()
