"""Saves while a run trains: what they are, what a slow or failing disk does to them, and what a kill at
any moment leaves. Faults come from strace, which fails or delays chosen system calls of a rank."""

import json
import os
import random
import shutil
import signal
import subprocess
import time

from support import (BAD_INPUT, DONE, STEPS, STOPPED, RunTest, main, state_of, tensors_of)
from stop_test import LONG

EVERY = 'checkpoint.interval={} steps'.format
SEEDS = int(os.environ.get('PHALANX_KILL_SEEDS', '3'))
STRACE = shutil.which('strace')


class Saves(RunTest):
    """What asynchronous saving promises where nothing fails."""

    def test_bits_are_those_of_a_run_that_waits_for_its_saves(self):
        runs = [self.train(2, f'bits-{name}', EVERY(7), 'checkpoint.keep_last=9',
                           f'checkpoint.asynchronous={name}') for name in ('true', 'false')]
        steps = [sorted(path.name for path in (run.folder / 'checkpoints').glob('step-*'))
                 for run in runs]
        self.assertEqual(steps[1], [f'step-{step:06}' for step in (7, 12, 14, STEPS)])
        self.assertLessEqual(set(steps[0]), set(steps[1]))
        self.assertLessEqual({'step-000012', f'step-{STEPS:06}'}, set(steps[0]))
        for name in steps[0]:
            found, expected = (run.folder / 'checkpoints' / name for run in runs)
            self.assertEqual(tensors_of(found), tensors_of(expected))
            self.assertEqual(state_of(found), state_of(expected))
        waiting = runs[1].metrics()
        self.assertFalse(any(line['saving'] or line['saves_skipped'] for line in waiting))

    def test_a_kill_at_a_random_step_costs_only_steps(self):
        """A3: whatever rank is killed whenever, the run reaches its end with the bits of one that
        was not."""
        whole = self.train(2, 'kill-whole')
        options = (EVERY(3), '--resume', 'auto')
        for seed in range(SEEDS):
            with self.subTest(seed=seed):
                chance = random.Random(seed)
                name = f'kill-{seed}'
                training = self.workspace.start(2, name, *options)
                training.wait_for_steps(chance.randrange(1, STEPS - 2))
                time.sleep(chance.uniform(0, 0.02))
                ranks = training.ranks()
                if ranks:
                    os.kill(chance.choice(ranks), signal.SIGKILL)
                training.finish(60)
                end = self.train(2, name, *options)
                self.assertEqual(tensors_of(end.checkpoint(STEPS)),
                                 tensors_of(whole.checkpoint(STEPS)))

    def test_term_never_leaves_a_broken_checkpoint(self):
        """C3: SIGTERM to mpirun saves nothing; all checkpoints that are there are whole."""
        for seed in range(SEEDS):
            name = f'term-{seed}'
            training = self.workspace.start(2, name, *LONG, EVERY(2))
            training.wait_for_steps(3 + 5 * seed)
            training.signal(signal.SIGTERM)
            training.finish(60)
            listed = self.workspace.program('checkpoint', 'list', f'runs/{name}')
            self.assertNotIn('invalid', listed)
            for path in (training.folder / 'checkpoints').glob('step-??????'):
                self.workspace.program('checkpoint', 'verify', str(path))

    def test_the_second_job_on_a_folder_is_refused(self):
        """A14, two ranks each."""
        training = self.workspace.start(2, 'two-jobs', *LONG)
        training.wait_for_steps(2)
        second = self.workspace.train(2, 'two-jobs', *LONG, '--resume', 'auto')
        self.assertEqual(second.code, BAD_INPUT, str(second))
        self.assertEqual(len(second.our_errors()), 1, str(second))
        self.assertIn('found another phalanx train at work in it', second.our_errors()[0])
        training.signal(signal.SIGUSR1)
        self.assertEqual(training.finish(60).code, STOPPED)


class Faults(RunTest):
    """A disk that fails or is slow under a run. Only calls on files below checkpoints/ are meant."""

    def traced(self, name, *inject, options=(), limit=200):
        """A run of one rank without mpirun, with faults of strace in all its threads."""
        folder = self.workspace.run_folder(name)
        log = self.workspace.path / f'{name}.strace'
        inject = [word for rule in inject for word in ('-e', f'inject={rule}')]
        calls = sorted({rule.split(':')[0] for rule in inject if ':' in rule})
        calls = ','.join(call.removeprefix('inject=') for call in calls)
        command = [STRACE, '-f', '-y', '-o', log, '-e', f'trace={calls}', *inject,
                   self.workspace.binary, 'train', 'run.yaml', f'run.name={name}', *options]
        done = subprocess.run(command, cwd=self.workspace.path, env=self.workspace.environment,
                              capture_output=True, text=True, timeout=limit, check=False)
        return done, folder, log.read_text()

    def setUp(self):
        if STRACE is None:
            self.skipTest('strace is not installed (launch/setup.sh --tests installs it)')

    def newest_is_whole(self, folder):
        """The step of the newest checkpoint; all are whole."""
        names = sorted(path.name for path in (folder / 'checkpoints').glob('step-??????'))
        for name in names:
            self.workspace.program('checkpoint', 'verify', str(folder / 'checkpoints' / name))
        return names[-1] if names else None

    def test_a_slow_disk_delays_no_step_and_saves_are_skipped_and_counted(self):
        """A11: an fsync of a second, many steps long."""
        quick = self.train(1, 'quick', *LONG, 'run.stop_after_steps=150', code=STOPPED)
        done, folder, _ = self.traced(
            'slow', 'fsync:delay_enter=1000000',
            options=(*LONG, EVERY(5), 'run.stop_after_steps=150'))
        self.assertEqual(done.returncode, STOPPED, done.stderr)
        self.assertRegex(done.stderr, r'not saved, since the save before it is still being written')
        lines = [json.loads(line) for line in
                 (folder / 'metrics.jsonl').read_text().splitlines()]
        self.assertGreater(lines[-1]['saves_skipped'], 5)
        self.assertEqual(lines[-1]['saves_failed'], 0)
        longest = max(line['step_seconds'] for line in lines if line['saving'])
        self.assertLess(longest, 1.0)
        self.assertLess(lines[-1]['save_stall_seconds'], 1.0)
        self.assertIn('skipped, since the one before was still being written', done.stdout)
        self.assertEqual([line['loss'] for line in lines],
                         [line['loss'] for line in quick.metrics()])

    def test_errors_of_one_save_are_named_and_the_next_one_is_saved(self):
        """A7: each call fails once while the run goes on."""
        for call, error, said in (('fallocate', 'ENOSPC', 'No space left on device'),
                                  ('pwrite64', 'EIO', 'Input/output error'),
                                  ('mkdir', 'ENOSPC', 'No space left on device'),
                                  ('rename', 'EIO', 'Input/output error')):
            with self.subTest(call):
                name = f'once-{call}'
                # Of the calls before the first save, mkdir makes two folders of the run, rename
                # commits two files of it.
                first = {'mkdir': 3, 'rename': 3}.get(call, 1)
                done, folder, log = self.traced(name, f'{call}:error={error}:when={first}',
                                                options=('checkpoint.asynchronous=false', EVERY(6)))
                self.assertEqual(done.returncode, DONE, f'{done.stderr}\n{log}')
                notes = [line for line in done.stderr.splitlines() if 'not saved: ' in line]
                self.assertEqual(len(notes), 1, done.stderr)
                self.assertIn(said, notes[0])
                self.assertIn('step 6: ', notes[0])
                self.assertEqual(self.newest_is_whole(folder), f'step-{STEPS:06}')
                self.assertFalse((folder / 'checkpoints' / 'step-000006').exists())
                self.assertFalse(any((folder / 'checkpoints').glob('*.tmp')))

    def test_three_failures_in_a_row_end_the_run(self):
        done, folder, _ = self.traced('thrice', 'pwrite64:error=EIO:when=20+',
                                      options=(*LONG, 'checkpoint.asynchronous=false', EVERY(2)))
        self.assertEqual(done.returncode, BAD_INPUT, done.stderr)
        errors = [line for line in done.stderr.splitlines() if line.startswith('phalanx: ')]
        self.assertEqual(len(errors), 1, done.stderr)
        self.assertRegex(errors[0], r'3 saves in a row failed, the last one, of step \d+, with: write ')
        self.assertIsNotNone(self.newest_is_whole(folder))

    def test_a_last_save_that_fails_is_an_error(self):
        done, folder, _ = self.traced('last', 'pwrite64:error=ENOSPC',
                                      options=('run.stop_after_steps=3',))
        self.assertEqual(done.returncode, BAD_INPUT, done.stderr)
        self.assertIn('No space left on device', done.stderr)
        self.assertIsNone(self.newest_is_whole(folder))

    def test_a_kill_at_each_call_of_a_save(self):
        """A4: the newest valid checkpoint is the old or the new one, whatever call is the last."""
        self.train(1, 'base', 'run.stop_after_steps=2', code=STOPPED)
        base = self.workspace.run_folder('base')
        counted = 0
        for call in os.environ.get('PHALANX_KILL_CALLS', 'pwrite64 rename fsync').split():
            for number in range(1, 40):
                name = f'at-{call}-{number}'
                folder = self.workspace.run_folder(name)
                shutil.copytree(base, folder)
                done, folder, log = self.traced(
                    name, f'{call}:signal=SIGKILL:when={number}',
                    options=('run.stop_after_steps=3', '--resume', 'auto'))
                newest = self.newest_is_whole(folder)
                self.assertIn(newest, ('step-000002', 'step-000003'), log)
                shutil.rmtree(folder)
                if done.returncode == STOPPED:
                    self.assertEqual(newest, 'step-000003')
                    break
                counted += 1
        self.assertGreater(counted, 5)


if __name__ == '__main__':
    main()
