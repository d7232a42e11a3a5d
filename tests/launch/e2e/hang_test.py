"""Ranks that hang: the watchdog ends the job with 76 and names the one that the others wait for. A
launcher that is killed leaves nobody behind. What only takes its time is let alone."""

import os
import pathlib
import random
import signal
import subprocess
import tempfile
import time
import unittest

from support import DONE, STOPPED, RunTest, main, own_mpi_folder, report_faults

HANG = 76
LIMIT = 3.0  # seconds of a step without progress
MARGIN = 5.0
LONG = ('stages[0].phases[0].tokens=1M', 'data.sources.code.max_epochs=100',
        'data.sources.prose.max_epochs=100', f'watchdog.timeout={int(LIMIT * 1000)}ms')


def is_alive(pid):
    """A zombie has ended; its parent has only not asked."""
    try:
        stat = pathlib.Path(f'/proc/{pid}/stat').read_text()
    except OSError:
        return False
    return stat.rpartition(')')[2].split()[0] not in 'ZX'


def pages():
    return set(pathlib.Path('/dev/shm').glob('phalanx-flight-*'))


class Hang(RunTest):

    def start(self, name, ranks, *arguments):
        training = self.workspace.start(ranks, name, *LONG, *arguments)
        training.wait_for_steps(5)
        self.addCleanup(self.end, training, training.ranks())
        return training

    @staticmethod
    def end(training, ranks):
        for pid in (training.process.pid, *ranks):
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)

    def assert_gone(self, pids, seconds):
        end = time.monotonic() + seconds
        while any(map(is_alive, pids)):
            self.assertLess(time.monotonic(), end, f'still there: {[p for p in pids if is_alive(p)]}')
            time.sleep(0.05)

    def stop_one(self, name, ranks, stopped, *arguments):
        """SIGSTOP of one rank; the result and the seconds until all were gone."""
        training = self.start(name, ranks, *arguments)
        pids = training.ranks()
        os.kill(pids[stopped], signal.SIGSTOP)
        begin = time.monotonic()
        result = training.finish(60)
        self.assert_gone(pids, 1)
        seconds = time.monotonic() - begin
        print(f'{name}: all gone {seconds:.2f} s after the stop, limit {LIMIT} s', flush=True)
        self.assertEqual(result.code, HANG, str(result))
        self.assertLess(seconds, LIMIT + MARGIN)
        messages = [line for line in result.our_errors() if 'hang' in line]
        self.assertEqual(len(messages), 1, str(result))
        speaker = 1 if stopped == 0 else 0
        self.assertIn(f'phalanx: hang: rank {speaker} ', messages[0])
        self.assertIn(f'missing: rank {stopped} (', messages[0])
        self.assertIn('stopped', messages[0])
        hangs = training.folder / 'hangs'
        self.assertEqual({path.name for path in hangs.glob('rank-*.txt')},
                         {f'rank-{rank:05}.txt' for rank in range(ranks) if rank != stopped})
        for path in hangs.glob('rank-*.txt'):
            text = path.read_text()
            self.assertIn('phalanx::Trainer::run()', text)
            self.assertRegex(text, r' s +waits  \w+ #\d+ of (control|dp|tp), \d+ bytes')
        report_faults(1, 'ranks stopped')
        return training, result

    def test_a_stopped_rank_of_two(self):
        self.stop_one('two', 2, 1)
        again = self.train(2, 'two', *LONG, 'run.stop_after_steps=2', '--resume', 'auto',
                           code=STOPPED)
        self.assertEqual(again.our_errors(), [])

    def test_a_stopped_rank_of_four(self):
        self.stop_one('four', 4, 2, 'parallel.tensor_parallel_size=2')

    def test_the_first_rank_stopped(self):
        self.stop_one('first', 2, 0)

    def test_a_killed_launcher_leaves_no_orphans(self):
        training = self.start('orphans', 4)
        pids = training.ranks()
        training.process.kill()
        begin = time.monotonic()
        self.assert_gone(pids, 10)
        print(f'orphans: gone after {time.monotonic() - begin:.2f} s', flush=True)
        training.process.communicate()
        # Their pages are removed by the next start.
        self.train(1, 'orphans', *LONG, 'run.stop_after_steps=1', code=STOPPED)
        self.assertEqual([page for page in pages() if int(page.name.split('-')[2]) in pids], [])

    def test_a_job_that_was_stopped_as_a_whole_goes_on(self):
        training = self.start('paused', 2, 'checkpoint.interval=5 steps')
        pids = [training.process.pid, *training.ranks()]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(LIMIT + 2)
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)
        seen = len((training.folder / 'metrics.jsonl').read_text().splitlines())
        training.wait_for_steps(seen + 20)
        training.process.send_signal(signal.SIGUSR1)
        self.assertEqual(training.finish(60).code, STOPPED)

    def test_a_clean_end_leaves_no_page(self):
        before = pages()
        self.assertEqual(self.train(2, 'clean').code, DONE)
        self.assertEqual(pages() - before, set())


class LeftOut(unittest.TestCase):
    """A rank that leaves out a collective, by a program of the tests."""

    def left_out(self, seeds):
        for seed in seeds:
            numbers = random.Random(seed)
            ranks = numbers.choice((2, 3, 4))
            wrong, skipped = numbers.randrange(ranks), numbers.randrange(5, 55)
            with tempfile.TemporaryDirectory() as folder:
                program = [os.environ['PHALANX_SKIP_COLLECTIVE'], str(seed), str(wrong),
                           str(skipped), folder]
                done = subprocess.run(
                    [os.environ['PHALANX_MPIEXEC'], '-n', str(ranks), '--oversubscribe',
                     '--bind-to', 'none', *program], capture_output=True, text=True, timeout=60,
                    check=False, env=os.environ | {
                        'OMPI_ALLOW_RUN_AS_ROOT': '1', 'OMPI_ALLOW_RUN_AS_ROOT_CONFIRM': '1',
                        'OMP_NUM_THREADS': '1'} | own_mpi_folder(pathlib.Path(folder)))
            self.assertEqual(done.returncode, HANG, f'seed {seed}: {done.stderr}')
            lines = [line for line in done.stderr.splitlines() if 'phalanx: ' in line]
            self.assertEqual(len(lines), 1, done.stderr)
            self.assertRegex(lines[0], rf'; rank {wrong} left out \w+ #{skipped} of group',
                             f'seed {seed}, {ranks} ranks\n{done.stderr}')
        print(f'{len(seeds)} of {len(seeds)} named right', flush=True)
        report_faults(len(seeds), 'collectives left out')

    def test_the_rank_and_the_collective_are_named(self):
        self.left_out(range(3))

    def test_the_rank_and_the_collective_are_named_twenty_times(self):
        self.left_out(range(100, 120))


if __name__ == '__main__':
    main()
