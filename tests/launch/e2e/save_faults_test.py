"""Saves while a run trains: what they are, what a slow or failing disk does to them, and what a kill at
any moment leaves. Faults come from strace, which fails or delays chosen system calls of a rank."""

import os
import random
import shutil
import signal
import statistics
import subprocess
import time

from support import (BAD_INPUT, DONE, STEPS, STOPPED, RunTest, main, read_metrics, report_faults,
                     state_of, tensors_of)
from stop_test import LONG

EVERY = 'checkpoint.interval={} steps'.format
STRACE = shutil.which('strace')
LAST = 3  # step of the save in which runs are killed
ALL = os.environ.get('PHALANX_ALL_FAULTS', '') == '1'  # also those that take minutes
SEEDS = 100 if ALL else 3
KILLED_CALLS = ('mkdir', 'fallocate', 'pwrite64', 'fsync', 'rename') if ALL else ('fsync', 'rename')
FILES = ('rank-00000.safetensors', 'state.json', 'config.yaml', 'manifest.json')


def written_paths(relative, folder, steps):
    """What a save of one rank names, as the program does and as the kernel does. What all saves share
    counts where one is meant that ends the run."""
    for step in steps:
        names = [f'step-{step:06}.tmp', f'step-{step:06}']
        if step == LAST:
            names += ['LATEST', 'LATEST.tmp', '.']
        names += [f'step-{step:06}.tmp/{file}' for file in FILES]
        for name in names:
            yield os.path.normpath(f'{relative}/checkpoints/{name}')
            yield folder / 'checkpoints' / name


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
        kills = 0
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
                    kills += 1
                training.finish(60)
                end = self.train(2, name, *options)
                self.assertEqual(tensors_of(end.checkpoint(STEPS)),
                                 tensors_of(whole.checkpoint(STEPS)))
        report_faults(kills, 'ranks killed at a random step')

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
        report_faults(SEEDS, 'jobs ended by SIGTERM')

    def test_the_second_job_on_a_folder_is_refused(self):
        """A14, two ranks each."""
        training = self.workspace.start(2, 'two-jobs', *LONG)
        training.wait_for_steps(2)
        second = self.workspace.train(2, 'two-jobs', *LONG, '--resume', 'auto')
        self.assertEqual(second.code, BAD_INPUT, str(second))
        self.assertEqual(len(second.our_errors()), 1, str(second))
        self.assertIn('found another phalanx train at work in it (by its lock file, held by process '
                      f'{training.ranks()[0]} on ', second.our_errors()[0])
        training.signal(signal.SIGUSR1)
        self.assertEqual(training.finish(60).code, STOPPED)


class Faults(RunTest):
    """A disk that fails or is slow under a run."""

    def setUp(self):
        if STRACE is None:
            self.skipTest('strace is not installed (launch/setup.sh --tests installs it)')

    def traced(self, name, *rules, steps=(), options=(), limit=200):
        """A run of one rank without mpirun, with faults of strace, which counts the calls of each
        thread by itself. With `steps`, only in calls on what is written for these checkpoints."""
        folder = self.workspace.run_folder(name)
        words = [word for path in written_paths(f'runs/{name}', folder, steps)
                 for word in ('-P', str(path))]
        calls = ','.join(sorted({rule.split(':')[0] for rule in rules}))
        words += ['-e', f'trace={calls}']
        words += [word for rule in rules for word in ('-e', f'inject={rule}')]
        command = [STRACE, '-f', '-qq', '-o', '/dev/null', *words,
                   self.workspace.binary, 'train', 'run.yaml', f'run.name={name}', *options]
        done = subprocess.run(command, cwd=self.workspace.path, env=self.workspace.environment,
                              capture_output=True, text=True, timeout=limit, check=False)
        return done, folder

    def newest_is_whole(self, folder):
        """The step of the newest checkpoint; all are whole."""
        names = sorted(path.name for path in (folder / 'checkpoints').glob('step-??????'))
        for name in names:
            self.workspace.program('checkpoint', 'verify', str(folder / 'checkpoints' / name))
        return names[-1] if names else None

    def test_a_slow_disk_stops_no_step_and_saves_are_skipped_and_counted(self):
        """A11: a save takes some three seconds, a hundred steps."""
        options = (*LONG, 'run.stop_after_steps=150')
        quick = self.train(1, 'quick', *options, code=STOPPED)
        done, folder = self.traced('slow', 'fsync:delay_enter=300000', options=(*options, EVERY(5)))
        self.assertEqual(done.returncode, STOPPED, done.stderr)
        self.assertIn('not saved, since the save before it is still being written', done.stderr)
        self.assertIn('skipped, since the one before was still being written', done.stdout)
        lines = read_metrics(folder)
        self.assertGreater(lines[-1]['saves_skipped'], 5)
        self.assertEqual(lines[-1]['saves_failed'], 0)
        self.assertLess(lines[-1]['save_stall_seconds'], 1.0)
        self.assertEqual([line['loss'] for line in lines],
                         [line['loss'] for line in quick.metrics()])
        # Saves of some two seconds, with steps between them.
        done, folder = self.traced('at-times', 'fsync:delay_enter=200000',
                                   options=(*LONG, 'run.stop_after_steps=600', EVERY(150)))
        self.assertEqual(done.returncode, STOPPED, done.stderr)
        self.assert_no_step_waits(read_metrics(folder))

    def assert_no_step_waits(self, lines):
        """Of one run, so that a machine that is busy slows both kinds of steps. One that waited for a
        single fsync would take some ten times as long. That a save costs at most 5 % is for a quiet
        machine to say: tests/bench/save_stall.py."""
        times = {True: [], False: []}
        for before, line in zip(lines, lines[1:]):
            times[line['saving']].append((line['step_seconds'],
                                          line['unix_seconds'] - before['unix_seconds']))
        # A training that waits between two steps has three at most during a save.
        self.assertGreater(len(times[True]), 20)
        saving, others = ([statistics.median(column) for column in zip(*times[kind])]
                          for kind in (True, False))
        for what, during, usual in zip(('step_seconds', 'from line to line'), saving, others):
            print(f'{what}: {during / usual:.2f} times as long during {len(times[True])} steps of saves',
                  flush=True)
            self.assertLess(during / usual, 5, what)

    def test_errors_of_one_save_are_named_and_the_next_one_is_saved(self):
        """A7: a call of the save of step 6 fails, all others work."""
        for call, error, said in (('fallocate', 'ENOSPC', 'No space left on device'),
                                  ('pwrite64', 'EIO', 'Input/output error'),
                                  ('mkdir', 'ENOSPC', 'No space left on device'),
                                  ('close', 'EIO', 'Input/output error'),
                                  ('rename', 'EIO', 'Input/output error')):
            with self.subTest(call):
                done, folder = self.traced(f'once-{call}', f'{call}:error={error}:when=1', steps=[6],
                                           options=(EVERY(6),))
                self.assertEqual(done.returncode, DONE, done.stderr)
                notes = [line for line in done.stderr.splitlines() if 'save failed: ' in line]
                self.assertEqual(len(notes), 1, done.stderr)
                self.assertIn(said, notes[0])
                self.assertIn('step 6: ', notes[0])
                self.assertEqual(self.newest_is_whole(folder), f'step-{STEPS:06}')
                self.assertFalse((folder / 'checkpoints' / 'step-000006').exists())
                self.assertFalse(any((folder / 'checkpoints').glob('*.tmp')))
        report_faults(5, 'errors of a disk')

    def test_a_failed_fsync_is_made_good_by_a_new_file(self):
        """A8: strace fails the first fsync of the folder's file once, in one thread."""
        done, _ = self.traced('fsync', 'fsync:error=EIO:when=1', steps=[6],
                              options=(EVERY(6), 'checkpoint.keep_last=9'))
        self.assertEqual(done.returncode, DONE, done.stderr)
        self.assertNotIn('save failed: ', done.stderr)
        verified = self.workspace.program('checkpoint', 'verify', 'runs/fsync/checkpoints/step-000006')
        self.assertIn('all hashes as expected', verified)

    def test_a_write_that_only_claims_to_be_done_is_found(self):
        """A9: the first write of the save says 1,000 bytes and does nothing."""
        done, folder = self.traced('lie', 'pwrite64:retval=1000:when=1', steps=[6],
                                   options=(EVERY(6),))
        self.assertEqual(done.returncode, DONE, done.stderr)
        self.assertRegex(done.stderr, 'step 6: save failed: read back: file .*rank-00000.safetensors')
        self.assertFalse((folder / 'checkpoints' / 'step-000006').exists())

    def test_three_failures_in_a_row_end_the_run(self):
        done, folder = self.traced('thrice', 'pwrite64:error=EIO', steps=[4, 6, 8],
                                   options=('checkpoint.asynchronous=false', EVERY(2)))
        self.assertEqual(done.returncode, BAD_INPUT, done.stderr)
        errors = [line for line in done.stderr.splitlines() if line.startswith('phalanx: ')]
        self.assertEqual(len(errors), 1, done.stderr)
        self.assertRegex(errors[0], '3 saves in a row failed, the last one, of step 8, with: write ')
        self.assertEqual(self.newest_is_whole(folder), 'step-000002')

    def test_a_last_save_that_fails_is_an_error(self):
        done, folder = self.traced('last', 'pwrite64:error=ENOSPC',
                                   options=('run.stop_after_steps=3',))
        self.assertEqual(done.returncode, BAD_INPUT, done.stderr)
        self.assertIn('No space left on device', done.stderr)
        self.assertIsNone(self.newest_is_whole(folder))

    def test_a_kill_at_each_call_of_a_save(self):
        """A4: the newest valid checkpoint is the old or the new one, whatever call is the last."""
        self.train(1, 'base', 'run.stop_after_steps=2', code=STOPPED)
        base = self.workspace.run_folder('base')
        killed = 0
        for call in KILLED_CALLS:
            for number in range(1, 20):
                name = f'at-{call}-{number}'
                folder = self.workspace.run_folder(name)
                shutil.copytree(base, folder)
                done, _ = self.traced(name, f'{call}:signal=SIGKILL:when={number}', steps=[LAST],
                                      options=('run.stop_after_steps=3', '--resume', 'auto'))
                newest = self.newest_is_whole(folder)
                shutil.rmtree(folder)
                self.assertIn(newest, ('step-000002', 'step-000003'), done.stderr)
                if done.returncode == STOPPED:
                    self.assertEqual(newest, 'step-000003')
                    break
                killed += 1
        self.assertGreater(killed, 6)
        report_faults(killed, 'kills at a call of a save')


if __name__ == '__main__':
    main()
