"""`phalanx checkpoint list`, `verify` and `info`: of what they are meant for, and of what they are not."""

import json
import re
import shutil
import subprocess
import time

from support import BAD_INPUT, STOPPED, RunTest, main


class CheckpointCommands(RunTest):

    def refused(self, *arguments):
        done = subprocess.run([self.workspace.binary, 'checkpoint', *arguments], text=True,
                              cwd=self.workspace.path, env=self.workspace.environment,
                              capture_output=True, timeout=60, check=False)
        self.assertEqual(done.returncode, BAD_INPUT, done.stderr)
        self.assertEqual(done.stdout, '')
        return done.stderr

    def test_of_a_run(self):
        self.train(2, 'run', 'run.stop_after_steps=3', 'optimizer.state=bf16',
                   'checkpoint.interval=2 steps', code=STOPPED)
        listed = self.workspace.program('checkpoint', 'list', 'runs/run')
        self.assertEqual(self.workspace.program('checkpoint', 'list', 'runs/run/checkpoints'), listed)
        self.assertRegex(listed, r'step-000003  step 3  tokens 768  \d\.\d MB  saved on tp 1 x dp 2')
        path = 'runs/run/checkpoints/step-000003'
        self.assertIn('all hashes as expected', self.workspace.program('checkpoint', 'verify', path))
        info = json.loads(self.workspace.program('checkpoint', 'info', path, '--json'))
        self.assertEqual({key: info[key] for key in (
            'step', 'tokens', 'tensor_parallel_size', 'data_parallel_size', 'files',
            'optimizer_state', 'masters', 'moments', 'run')},
            {'step': 3, 'tokens': 768, 'tensor_parallel_size': 1, 'data_parallel_size': 2,
             'files': 4, 'optimizer_state': 'yes', 'masters': 'F32', 'moments': 'BF16',
             'run': 'runs/run'})
        self.assertEqual(info['model']['hidden_size'], 32)
        self.assertEqual(info['tensors']['token_embedding.weight'], {'shape': [512, 32]})
        saved = time.mktime(time.strptime(info['saved'], '%Y-%m-%dT%H:%M:%SZ')) - time.timezone
        self.assertLess(abs(time.time() - saved), 3600)
        text = self.workspace.program('checkpoint', 'info', path)
        for line in ('step 3', 'moments BF16', 'run runs/run', 'model.hidden_size 32',
                     'tensor token_embedding.weight 512 32', f'parameters {info["parameters"]}'):
            self.assertRegex(text, rf'(?m)^{re.escape(line)}$')
        older = self.workspace.path / 'older'
        shutil.copytree(self.workspace.path / path, older)
        (older / 'state.json').unlink()
        self.assertIn('state.json', self.refused('verify', 'older'))

    def test_of_what_they_are_not_meant_for(self):
        foreign = self.workspace.path / 'foreign'
        foreign.mkdir()
        for action in ('verify', 'info'):
            self.assertIn('foreign: expected a checkpoint, found a folder without manifest.json',
                          self.refused(action, 'foreign'))
        self.assertIn("foreign: expected a run's folder or its folder of checkpoints, found a folder "
                      'without manifest.json', self.refused('list', 'foreign'))
        (foreign / 'model.safetensors').touch()
        for action in ('verify', 'info', 'list'):
            self.assertIn('found a Hugging Face folder', self.refused(action, 'foreign'))
        self.train(1, 'other', 'run.stop_after_steps=1', code=STOPPED)
        path = 'runs/other/checkpoints'
        self.assertIn('the folder of a run: see phalanx checkpoint list',
                      self.refused('verify', 'runs/other'))
        self.assertIn('a folder of checkpoints: name one of them', self.refused('verify', path))
        self.assertIn('found one checkpoint: see phalanx checkpoint info',
                      self.refused('list', f'{path}/step-000001'))
        self.assertIn('expected a folder, found none', self.refused('list', 'nowhere'))
        shutil.rmtree(self.workspace.path / path / 'step-000001')
        for folder in ('runs/other', path):
            self.assertEqual(self.workspace.program('checkpoint', 'list', folder), '')


if __name__ == '__main__':
    main()
