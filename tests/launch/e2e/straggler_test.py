"""A rank that works slower than the others is named, in a note and in metrics.jsonl; where none is
slow, none is named."""

import json
import os
import signal
import threading
import time

from support import STOPPED, RunTest, main

LONG = ('stages[0].phases[0].tokens=60M', 'data.sources.code.max_epochs=1000',
        'data.sources.prose.max_epochs=1000',
        # Steps of some 50 ms: a stop falls into a rank's own work, not into its waiting.
        'stages[0].global_batch_size=128', 'stages[0].micro_batch_size=8')
INTERVAL = 'watchdog.straggler_interval={}s'.format
EVEN = 50  # comparisons


class Slowed:
    """A process that is stopped for most of each 40 ms."""

    def __init__(self, pid):
        self.pid, self.end = pid, threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.end.is_set():
            os.kill(self.pid, signal.SIGSTOP)
            time.sleep(0.03)
            os.kill(self.pid, signal.SIGCONT)
            time.sleep(0.01)

    def stop(self):
        self.end.set()
        self.thread.join()


class Stragglers(RunTest):

    @staticmethod
    def reports(training):
        # The last line may be torn while the run is under way.
        whole = (training.folder / 'metrics.jsonl').read_text().split('\n')[:-1]
        return [line['work'] for line in map(json.loads, whole) if 'work' in line]

    def test_a_slow_rank_is_named(self):
        training = self.workspace.start(2, 'slow', *LONG, INTERVAL(1))
        training.wait_for_steps(5)
        clean = len(self.reports(training))
        slowed = Slowed(training.ranks()[1])
        self.addCleanup(slowed.stop)
        training.wait_for(lambda: len(self.reports(training)) >= clean + 4, 'four comparisons')
        slowed.stop()
        training.signal(signal.SIGUSR1)
        result = training.finish(60)
        self.assertEqual(result.code, STOPPED, str(result))
        work = self.reports(training)
        # The comparison under way when it began to be slow does not count; the next two do.
        found = work[clean + 2]
        self.assertEqual([one['rank'] for one in found['stragglers']], [1], str(work))
        self.assertLess(found['stragglers'][0]['score'], 0.7)
        self.assertEqual(found['slowest_rank'], 1)
        notes = [line for line in result.err.splitlines() if line.startswith('straggler: ')]
        self.assertEqual(len(notes), 1, str(result))
        self.assertRegex(notes[0], r'^straggler: rank 1 on \S+ takes \d+\.\d times as long')

    def test_an_even_run_names_nobody(self):
        # A mean over two seconds, so that other programs on the machine weigh on both ranks.
        training = self.workspace.start(2, 'even', *LONG, INTERVAL(2))
        training.wait_for(lambda: (training.folder / 'metrics.jsonl').exists() and
                          len(self.reports(training)) >= EVEN, f'{EVEN} comparisons', 400)
        training.signal(signal.SIGUSR1)
        result = training.finish(60)
        self.assertEqual(result.code, STOPPED, str(result))
        work = self.reports(training)
        self.assertGreaterEqual(len(work), EVEN)
        self.assertNotIn('straggler: ', result.err)
        self.assertEqual([one for report in work for one in report['stragglers']], [])
        scores = [report['median_seconds'] / report['slowest_seconds'] for report in work]
        print(f'{len(work)} comparisons, the lowest score {min(scores):.2f}', flush=True)


if __name__ == '__main__':
    main()
