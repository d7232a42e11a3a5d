"""A store that gives nothing for long: a run that waits for it can be stopped, loses no step when
it gives up, and is started again by the supervisor; ranks that share a small cache do not starve
one another."""

import shutil
import signal
import subprocess
import time

from store_test import SOURCES, WINDOWS, StoreTest, losses, needed_bytes
from support import BAD_INPUT, DONE, STOPPED, UNAVAILABLE, main, report_faults

PATIENCE = 100  # seconds, longer than a test waits


class StoreOutage(StoreTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.local = {ranks: cls.workspace.train(ranks, f'local-{ranks}', *WINDOWS)
                     for ranks in (1, 2)}

    def small_cache(self, **options):
        """Overrides with the least cache that is accepted: shards are fetched all the time."""
        refused = self.alone('needs', *self.urls(*WINDOWS, 'data.store.cache_bytes=1B'),
                             code=BAD_INPUT)
        return self.urls(*WINDOWS, f'data.store.cache_bytes={needed_bytes(refused)}B', **options)

    def cut_off(self, run, steps=15):
        """After so many steps no shard comes any more: the connections stay open and silent."""
        run.wait_for_steps(steps)
        self.store.add('.bin', 'stall', after=1)
        self.store.add('.idx', 'stall', after=1)

    def wait_until_it_waits(self, run):
        """Until a transfer is silent and no step has been done for a second."""
        path, done, since = run.folder / 'metrics.jsonl', 0, time.monotonic()
        while self.store.num_met() == 0 or time.monotonic() - since < 1:
            count = path.read_bytes().count(b'\n')
            if count != done:
                done, since = count, time.monotonic()
            self.assertIsNone(run.process.poll())
            time.sleep(0.02)

    def assert_same(self, result, ranks):
        self.assertEqual(losses(result), losses(self.local[ranks]))

    def test_a_stop_is_heard_while_data_are_awaited(self):
        for ranks, number in ((1, signal.SIGINT), (2, signal.SIGUSR1)):
            with self.subTest(ranks=ranks):
                self.store.mend()
                shutil.rmtree(self.cache, ignore_errors=True)
                small = self.small_cache(patience=f'{PATIENCE}s')
                name = f'stopped-{ranks}'
                run = self.workspace.start(ranks, name, *small)
                self.cut_off(run)
                self.wait_until_it_waits(run)
                asked = time.monotonic()
                if ranks == 1:
                    self.signal_the_rank(run, number)
                else:
                    run.signal(number)
                stopped = run.finish()
                self.assertEqual(stopped.code, STOPPED, str(stopped))
                self.assertLess(time.monotonic() - asked, PATIENCE, str(stopped))
                step = stopped.metrics()[-1]['step']
                self.assertTrue(stopped.checkpoint(step).is_dir(), str(stopped))
                self.store.mend()
                self.assert_same(self.train(ranks, name, *small, '--resume', 'auto'), ranks)

    def signal_the_rank(self, run, number):
        """mpirun would end the rank at a SIGINT of its own."""
        for rank in run.ranks():
            subprocess.run(['kill', f'-{int(number)}', str(rank)], check=True)

    def test_a_run_that_gives_up_has_saved_and_is_restarted(self):
        small = self.small_cache(patience='4s')
        command = self.workspace.command(2, 'run.yaml', 'run.name=outage', *small, '--resume',
                                         'auto')
        supervisor = [self.workspace.binary, 'supervise', '--', *command]
        run = self.workspace.start(2, 'outage', *small)
        self.cut_off(run)
        lost = run.finish()
        self.assertEqual(lost.code, UNAVAILABLE, str(lost))
        self.one_error(lost, f'fetch {self.store.url}/data/', 'given up after', 'data.store.patience')
        step = lost.metrics()[-1]['step']
        self.assertTrue(lost.checkpoint(step).is_dir(), 'what was trained before is not lost')
        process = subprocess.Popen(supervisor, cwd=self.workspace.path, text=True,
                                   env=self.workspace.environment, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT)
        self.addCleanup(process.kill)
        ledger = lost.folder / 'supervisor.jsonl'
        end = time.monotonic() + 60
        while not (ledger.exists() and ledger.read_text().count('\n') >= 1):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)
        self.store.mend()
        text = process.communicate(timeout=120)[0]
        self.assertEqual(process.returncode, DONE, text)
        self.assertIn(f'exit code {UNAVAILABLE} (a service gave no answer, as a store)', text)
        self.assert_same(lost, ranks=2)  # reads the folder anew
        report_faults(2, 'outages of a store that outlasted the patience')

    def test_two_ranks_in_the_least_cache(self):
        # Shards come one after another, so that the ranks are apart as far as they can be.
        self.store.add('.bin', 'slow', rate=400_000)
        fetched = self.train(2, 'least', *self.small_cache(patience='15s'))
        self.assert_same(fetched, ranks=2)
        self.assert_whole()

    def test_a_store_that_falls_silent_is_asked_again(self):
        for name in SOURCES:  # whose first request is one of one byte, whether the file is there
            self.store.add(f'{name}/train/shard-00000.bin', 'stall', 2, after=100)
        local = self.alone('all-shards')
        fetched = self.alone('silent', *self.urls(patience='8s'))
        self.assertEqual(losses(fetched), losses(local))
        resumed = [path for path, headers in self.store.seen
                   if headers.get('range', '').startswith(('bytes=100-', 'bytes=200-'))]
        self.assertEqual(sorted(set(resumed)),
                         [f'/data/{name}/train/shard-00000.bin' for name in SOURCES])
        report_faults(len(SOURCES), 'transfers that fell silent')


if __name__ == '__main__':
    main()
