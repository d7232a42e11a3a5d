"""Signals to mpirun and the file `stop` in the run's folder: saved, stopped with 75, resumable. A
rank that is killed: ended, resumable."""

import os
import re
import signal
import socket
import subprocess
import time

from support import BAD_INPUT, DONE, STOPPED, RunTest, Training, main

# Some thousand steps: enough for a signal to meet the run at work.
LONG = ('stages[0].phases[0].tokens=1M', 'data.sources.code.max_epochs=100',
        'data.sources.prose.max_epochs=100')


# Steps of some seconds.
SLOW = (*LONG, 'model.hidden_size=512', 'model.intermediate_size=1792', 'model.head_dim=64',
        'model.num_attention_heads=8', 'model.vocab_size=16384', 'stages[0].global_batch_size=64')


class Stop(RunTest):

    def assert_stopped_and_resumable(self, result, name, ranks):
        self.assertEqual(result.code, STOPPED, str(result))
        self.assertEqual(result.our_errors(), [])
        step = result.metrics()[-1]['step']
        self.assertIn(f'step-{step:06}', result.out)
        path = str(result.checkpoint(step).relative_to(self.workspace.path))
        self.workspace.program('checkpoint', 'verify', path)
        again = self.train(ranks, name, *LONG, f'run.stop_after_steps={step + 2}', '--resume',
                           'auto', code=STOPPED)
        self.assertIn(f'\nresume: {path}\n', '\n' + again.err)
        again = again.metrics()
        self.assertEqual([line['step'] for line in again], list(range(1, step + 3)))
        self.assertEqual([line['attempt'] for line in again[step - 1:]], [0, 1, 1])

    def start(self, name, ranks):
        training = self.workspace.start(ranks, name, *LONG)
        training.wait_for_steps(3)
        return training

    def test_usr1_saves_and_stops(self):
        training = self.start('usr1', 2)
        training.process.send_signal(signal.SIGUSR1)
        self.assert_stopped_and_resumable(training.finish(60), 'usr1', 2)

    def test_a_file_stops(self):
        training = self.start('file', 4)
        (training.folder / 'stop').touch()
        result = training.finish(60)
        (training.folder / 'stop').unlink()
        self.assert_stopped_and_resumable(result, 'file', 4)

    def test_usr2_saves_and_goes_on(self):
        training = self.start('usr2', 2)
        checkpoints = training.folder / 'checkpoints'
        training.process.send_signal(signal.SIGUSR2)
        training.wait_for(lambda: any(checkpoints.glob('step-??????')), 'a checkpoint')
        saved = max(checkpoints.glob('step-??????')).name
        training.wait_for_steps(int(saved.removeprefix('step-')) + 3)
        training.process.send_signal(signal.SIGUSR1)
        result = training.finish(60)
        self.assertTrue((checkpoints / saved).is_dir())
        self.assert_stopped_and_resumable(result, 'usr2', 2)

    def alone(self, name, *options):
        """A rank without mpirun, as a person starts it on a terminal."""
        command = [self.workspace.binary, 'train', 'run.yaml', f'run.name={name}', *options]
        return Training(self.workspace, command, self.workspace.run_folder(name))

    def test_ctrl_c_saves_and_stops(self):
        training = self.alone('interrupted', *LONG)
        training.wait_for_steps(3)
        training.signal(signal.SIGINT)
        result = training.finish(60)
        self.assertIn('SIGINT: saving and stopping after this step', result.err)
        self.assert_stopped_and_resumable(result, 'interrupted', 1)

    def test_a_second_ctrl_c_ends_at_once(self):
        training = self.alone('twice-interrupted', *SLOW)
        training.wait_for_steps(1)
        training.signal(signal.SIGINT)
        time.sleep(0.5)
        training.signal(signal.SIGINT)
        self.assertEqual(training.finish(60).code, -signal.SIGINT)
        self.assertEqual(list(training.folder.glob('checkpoints/step-*')), [])

    def test_a_reader_that_leaves_does_not_end_the_training(self):
        training = subprocess.Popen(
            [self.workspace.binary, 'train', 'run.yaml', 'run.name=unread', '--json', *LONG,
             'run.stop_after_steps=300'], cwd=self.workspace.path, env=self.workspace.environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertIn(b'"step":1', training.stdout.readline())
        training.stdout.close()
        errors = training.stderr.read().decode()
        self.assertEqual(training.wait(60), STOPPED, errors)
        training.stderr.close()
        self.assertIn('phalanx: error: cannot write standard output: Broken pipe', errors)
        checkpoints = self.workspace.run_folder('unread') / 'checkpoints'
        self.assertEqual([path.name for path in checkpoints.glob('step-*')], ['step-000300'])

    def test_where_a_run_goes_on_is_said(self):
        stop = 'run.stop_after_steps={}'.format
        first = self.train(1, 'branch', stop(2), '--resume', 'auto', code=STOPPED)
        self.assertIn('resume: no checkpoint in runs/branch/checkpoints: a new run\n', first.err)
        self.train(1, 'branch', stop(4), '--resume', 'auto', code=STOPPED)
        other = self.train(1, 'branch', stop(3), '--resume',
                           'runs/branch/checkpoints/step-000002', code=STOPPED)
        self.assertIn('note: step-000004 belongs to a branch that is left: the next save renames it '
                      'abandoned-NUMBER\n', other.err)
        self.assertTrue((other.folder / 'checkpoints' / 'abandoned-000004').is_dir())

    def test_a_second_launch_of_a_run_at_work_is_refused(self):
        training = self.start('twice', 1)
        holder = re.escape(f'held by process {training.ranks()[0]} on {socket.gethostname()} since ')
        for resume in ('none', 'auto'):
            second = self.workspace.train(1, 'twice', *LONG, '--resume', resume)
            self.assertEqual(second.code, BAD_INPUT, str(second))
            self.assertEqual(len(second.our_errors()), 1, str(second))
            self.assertRegex(second.our_errors()[0], (
                '^phalanx: error: run.name: expected runs/twice to be free, found another phalanx '
                rf'train at work in it \(by its lock file, {holder}[-0-9]+ [:0-9]+ UTC(, Slurm job '
                r'\S+)?\): wait for it to end, or choose another run.name$'))
        training.process.send_signal(signal.SIGUSR1)
        self.assert_stopped_and_resumable(training.finish(60), 'twice', 1)

    def test_a_file_system_without_locks_is_said_once(self):
        usual = self.workspace.environment
        self.workspace.environment = usual | {'LD_PRELOAD': os.environ['PHALANX_NO_LOCKS']}
        self.addCleanup(setattr, self.workspace, 'environment', usual)
        run = self.train(2, 'unlocked', 'run.stop_after_steps=1', code=STOPPED)
        self.assertEqual([line for line in run.err.splitlines() if line.startswith('warning')],
                         ['warning: the file system of runs/unlocked has no locks: see to it that '
                          'no second phalanx train works there'])

    def test_a_killed_rank_ends_the_run_and_resume_repeats_its_steps(self):
        options = (*LONG, 'checkpoint.interval=5 steps', 'checkpoint.asynchronous=false')
        training = self.workspace.start(2, 'killed', *options)
        training.wait_for_steps(12)
        os.kill(training.ranks()[1], signal.SIGKILL)
        result = training.finish(60)
        self.assertNotIn(result.code, (DONE, BAD_INPUT, STOPPED), str(result))
        before = {line['step']: line for line in result.metrics()}
        stop = f'run.stop_after_steps={max(before) + 1}'
        again = self.train(2, 'killed', *options, stop, '--resume', 'auto', code=STOPPED)
        after = [line for line in again.metrics() if line['attempt'] == 1]
        self.assertEqual((after[0]['step'] - 1) % 5, 0)
        self.assertGreater(after[0]['step'], max(before) - 10)
        for line in after[:-1]:  # the last is new
            for field in ('loss', 'grad_norm', 'learning_rate', 'sources'):
                self.assertEqual(line[field], before[line['step']][field])


if __name__ == '__main__':
    main()
