"""`phalanx supervise`: a run that is killed, or hangs, or is stopped, ends with the bits of one that
nothing happened to; one that only fails again is given up with the reason."""

import json
import os
import random
import signal
import subprocess
import sys
import time

from numbers_test import SPIKES
from support import (BAD_INPUT, DONE, STOPPED, RunTest, main, read_metrics, report_faults, tensors_of,
                     whole_lines)

HANG, NON_FINITE = 76, 77
LIMIT = 3
# A rank may be stopped in a save or at the end as well, which have limits of their own.
SAVES = ('checkpoint.interval=3 steps', 'checkpoint.keep_last=2')
# For runs in which a rank is stopped: else a disk that is busy for so long would end them.
LIMITS = (f'watchdog.timeout={LIMIT}s', f'watchdog.save_timeout={LIMIT}s',
          f'watchdog.evaluation_timeout={LIMIT}s', 'watchdog.start_timeout=30s')
# Exit codes with which the command below ends, one a start.
FAILING = 'import pathlib, sys; n = pathlib.Path(sys.argv[1]); i = int(n.read_text()) if n.exists() ' \
          'else 0; n.write_text(str(i + 1)); sys.exit(int(sys.argv[2].split(",")[i]))'


class Supervised:
    """A supervisor under way."""

    def __init__(self, test, name, command, *options):
        self.folder = test.workspace.run_folder(name)
        self.process = subprocess.Popen(
            [test.workspace.binary, 'supervise', *options, '--', *command],
            cwd=test.workspace.path, env=test.workspace.environment, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        test.addCleanup(self.process.kill)

    def finish(self, limit=200):
        out, err = self.process.communicate(timeout=limit)
        self.text = out + err
        return self.process.returncode

    def ranks(self):
        """Process ids of the ranks of the attempt under way."""
        return [rank for mpirun in children(self.process.pid) for rank in children(mpirun)]

    def ledger(self):
        path = self.folder / 'supervisor.jsonl'
        return [json.loads(line) for line in path.read_text().splitlines()]

    def wait_for_lines(self, count, limit=60):
        """Of metrics.jsonl; false if the run ends before."""
        end = time.monotonic() + limit
        while whole_lines(self.folder / 'metrics.jsonl') < count:
            if self.process.poll() is not None:
                return False
            assert time.monotonic() < end, f'waited in vain for {count} lines'
            time.sleep(0.005)
        return True


def children(pid):
    try:
        with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def last_lines(folder):
    """Of each step the line that counts, without what differs between attempts."""
    lines = {line['step']: line for line in read_metrics(folder)}
    return {step: [line[field] for field in ('loss', 'grad_norm', 'learning_rate', 'sources')]
            for step, line in lines.items()}


class Supervise(RunTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.clean = cls.workspace.train(2, 'clean', *SAVES)
        assert cls.clean.code == DONE, str(cls.clean)

    def command(self, name, *arguments, ranks=2):
        return self.workspace.command(ranks, 'run.yaml', f'run.name={name}', *SAVES, *arguments,
                                      '--resume', 'auto')

    def assert_as_clean(self, supervised):
        self.assertEqual(last_lines(supervised.folder), last_lines(self.clean.folder))
        self.assertEqual(tensors_of(supervised.folder / 'checkpoints' / 'step-000020'),
                         tensors_of(self.clean.checkpoint(20)))

    def disturbed(self, name, seed, number):
        """One signal to a random rank after a random step, and the run goes on to its end."""
        numbers = random.Random(seed)
        limits = LIMITS if number == signal.SIGSTOP else ()
        supervised = Supervised(self, name, self.command(name, *limits))
        if supervised.wait_for_lines(numbers.randrange(1, 18)):
            time.sleep(numbers.random() * 0.02)
            ranks = supervised.ranks()
            if ranks:
                os.kill(numbers.choice(ranks), number)
        self.assertEqual(supervised.finish(), DONE, supervised.text)
        self.assert_as_clean(supervised)
        return supervised

    def kill_runs(self, seeds):
        restarts = 0
        for seed in seeds:
            supervised = self.disturbed(f'kill{seed}', seed, signal.SIGKILL)
            lines = supervised.ledger()
            restarts += len(lines) - 1
            for line in lines[:-1]:
                print(f'seed {seed}: exit {line["exit_code"]}, ended '
                      f'{line.get("detect_seconds", -1):.2f} s after the last step', flush=True)
            print(f'seed {seed}: {lines[-1]["start_seconds"]:.2f} s from restart to first step',
                  flush=True)
        print(f'{len(seeds)} runs, {restarts} restarts, all with the bits of the undisturbed run')
        report_faults(restarts, 'ranks killed at a random moment')
        self.assertGreater(restarts, 0)

    def test_killed_runs_end_with_the_same_bits(self):
        self.kill_runs(range(3))

    def test_a_hundred_killed_runs(self):
        self.kill_runs(range(100, 100 + int(os.environ.get('PHALANX_KILLS', '100'))))

    def test_a_hang_is_restarted_and_its_notes_gathered(self):
        supervised = self.disturbed('hang', 5, signal.SIGSTOP)
        lines = supervised.ledger()
        self.assertEqual([line['exit_code'] for line in lines], [HANG, DONE], supervised.text)
        report = (supervised.folder / 'hangs' / 'attempt-1' / 'report.txt').read_text()
        self.assertRegex(report, r'missing: rank \d \(\S+, stopped\)')
        self.assertGreaterEqual(lines[0]['steps_lost'], 0)
        self.assertRegex(supervised.text, r'attempt 1 ended .* exit code 76 \(a rank hung\).*'
                         r'; restarting')
        self.assertRegex(supervised.text, r'2 attempts in .*, 20 steps done, \d+ repeated; '
                         r'\d+\.\d % of the time')

    def test_the_account_is_that_of_the_metrics(self):
        supervised = self.disturbed('account', 9, signal.SIGKILL)
        lines = {}
        for line in read_metrics(supervised.folder):
            lines[line['step']] = line['step_seconds'] + line['data_wait_seconds']
        seconds = sum(line['seconds'] for line in supervised.ledger())
        found = float(supervised.text.rpartition(' % of the time')[0].rpartition(' ')[2])
        self.assertLessEqual(abs(found - 100 * sum(lines.values()) / seconds), 0.5 + 0.1 * found)

    def test_steps_that_a_roll_back_passed_over_do_not_count(self):
        spikes = [word for word in SPIKES if not word.startswith('checkpoint.')]
        command = self.command('back', *spikes, 'numbers.spikes.policy=roll_back',
                               'numbers.spikes.max_roll_backs=1', 'checkpoint.asynchronous=false')
        supervised = Supervised(self, 'back', command)
        self.assertEqual(supervised.finish(), NON_FINITE, supervised.text)
        lines = read_metrics(supervised.folder)
        (spike, back), = [(line['step'], line['rolled_back_to']) for line in lines
                          if 'rolled_back_to' in line]
        lost, last = spike - back, lines[-1]['step']
        self.assertIn(f' {last - lost} steps done, 0 repeated, {lost} passed over by roll-backs; ',
                      supervised.text)
        line, = supervised.ledger()
        self.assertEqual(line['steps_passed_over'], lost)
        useful = sum(line['step_seconds'] + line['data_wait_seconds'] for line in lines
                     if not back < line['step'] <= spike)
        found = float(supervised.text.rpartition(' % of the time')[0].rpartition(' ')[2])
        self.assertLessEqual(abs(found - 100 * useful / line['seconds']), 0.5 + 0.1 * found)

    def failing(self, name, codes, *options):
        script = [sys.executable, '-c', FAILING, str(self.workspace.path / f'{name}.count'), codes]
        supervised = Supervised(self, name, script, '--run', f'runs/{name}', *options)
        return supervised, supervised.finish()

    def test_failures_without_progress_end_with_the_reason(self):
        supervised, code = self.failing('stuck', '139,139,76,0')
        self.assertEqual(code, HANG)
        self.assertIn('no restart: 3 failures in a row without a new checkpoint', supervised.text)
        self.assertEqual([line['exit_code'] for line in supervised.ledger()], [139, 139, 76])

    def test_what_would_end_the_same_way_is_not_repeated(self):
        for code, reason in ((2, 'end the same way'), (77, 'end the same way'),
                             (78, 'end the same way'), (75, 'a stop is obeyed')):
            supervised, found = self.failing(f'once{code}', f'{code},0')
            self.assertEqual(found, code)
            self.assertIn(reason, supervised.text)
            self.assertEqual(len(supervised.ledger()), 1)

    def test_a_stop_can_be_restarted(self):
        supervised, code = self.failing('again', '75,75,0', '--restart-stopped')
        self.assertEqual(code, DONE, supervised.text)
        self.assertEqual([line['exit_code'] for line in supervised.ledger()], [75, 75, 0])

    def test_usr1_saves_and_is_the_end(self):
        supervised = Supervised(self, 'usr1', self.command('usr1'))
        self.assertTrue(supervised.wait_for_lines(4))
        supervised.process.send_signal(signal.SIGUSR1)
        code = supervised.finish()
        self.assertIn(code, (STOPPED, DONE), supervised.text)
        self.assertEqual(len(supervised.ledger()), 1)

    def test_a_killed_supervisor_ends_the_job(self):
        supervised = Supervised(self, 'alone', self.command('alone', 'stages[0].phases[0].tokens=1M'
                                                            , 'data.sources.code.max_epochs=99',
                                                            'data.sources.prose.max_epochs=99'))
        self.assertTrue(supervised.wait_for_lines(3))
        ranks = supervised.ranks()
        supervised.process.kill()
        end = time.monotonic() + 10
        while any(os.path.exists(f'/proc/{pid}') for pid in ranks):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)

    def test_commands_that_cannot_be_supervised(self):
        binary = self.workspace.binary
        for command, message in (
                ([binary, 'train', 'run.yaml'], 'expected --resume auto in the command'),
                # The configuration is found behind options that take a value.
                ([binary, 'train', '--launcher', 'alone', 'none.yaml', '--resume', 'auto'],
                 'none.yaml'),
                (['true'], 'expected --run FOLDER')):
            done = subprocess.run([binary, 'supervise', '--', *command], cwd=self.workspace.path,
                                  env=self.workspace.environment, capture_output=True, text=True,
                                  check=False)
            self.assertEqual(done.returncode, BAD_INPUT, done.stderr)
            self.assertIn(message, done.stderr)


if __name__ == '__main__':
    main()
