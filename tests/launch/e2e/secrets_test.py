"""Secrets that stand in the environment, as tokens of registries and clouds do, are written nowhere:
not into logs, configurations, metrics, traces, checkpoints or exports, nor printed."""

import subprocess

from support import BAD_INPUT, DONE, STOPPED, RunTest, main

CANARY = 'canary-5up3r-53cr3t-d0-n0t-wr1t3'
NAMES = ('HF_TOKEN', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN',
         'WANDB_API_KEY', 'PHALANX_PASSWORD', 'SSH_AUTH_SOCK')


def leaks(folder, printed, secret=CANARY):
    """Files below `folder`, and texts by name, that hold the secret."""
    files = [path for path in sorted(folder.rglob('*')) if path.is_file()]
    return ([str(path.relative_to(folder)) for path in files
             if secret.encode() in path.read_bytes()]
            + [name for name, text in printed.items() if secret in text])


class Secrets(RunTest):

    def setUp(self):
        self.environment = self.workspace.environment | {
            name: f'{CANARY}-{name}' for name in NAMES}
        self.printed = {}

    def phalanx(self, *arguments, code=DONE, text=''):
        done = subprocess.run([self.workspace.binary, *arguments], cwd=self.workspace.path,
                              env=self.environment, input=text, capture_output=True, text=True,
                              timeout=120, check=False)
        self.assertEqual(done.returncode, code, f'{arguments}\n{done.stdout}\n{done.stderr}')
        self.printed[' '.join(arguments)] = done.stdout + done.stderr

    def test_they_are_written_nowhere(self):
        folder = self.workspace.path
        (folder / 'seen').write_text(f'a line with {CANARY}-HF_TOKEN in it')
        self.assertEqual(leaks(folder, {'out': CANARY}), ['seen', 'out'])  # they would be found
        (folder / 'seen').unlink()
        checkpoint = 'runs/secrets/checkpoints/step-000003'
        self.phalanx('tokenizer', 'train', '--input', 'text', '--vocab-size', '300', '--output',
                     'again')
        self.phalanx('data', 'pack', '--input', 'text/sums', '--tokenizer', 'again', '--output',
                     'packed', '--kind', 'synthetic')
        self.phalanx('data', 'inspect', 'packed', '--json')
        for command in ('config', 'plan'):
            self.phalanx(command, 'run.yaml')
        self.phalanx('train', 'run.yaml', 'run.name=secrets', 'run.stop_after_steps=3',
                     '--profile', '2', code=STOPPED)
        self.phalanx('train', 'run.yaml', 'run.name=secrets', 'run.stop_after_steps=4', '--resume',
                     'auto', code=STOPPED)
        self.phalanx('checkpoint', 'info', checkpoint)
        self.phalanx('export', checkpoint, 'exported')
        self.phalanx('import', 'exported', 'imported')
        self.phalanx('score', 'imported', '--jsonl', text='[1, 2, 3]\n')
        self.phalanx('train', 'run.yaml', 'model.preset=none', code=BAD_INPUT)
        self.phalanx('score', 'nowhere', '--jsonl', code=BAD_INPUT)
        self.assertTrue((folder / 'runs' / 'secrets' / 'profile').is_dir())
        self.assertEqual(leaks(folder, self.printed), [])


if __name__ == '__main__':
    main()
