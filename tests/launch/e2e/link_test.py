"""Two hosts, made of network namespaces, whose link goes down: for a moment the run waits and goes on
with the same bits; for good, the watchdogs of both hosts end it and nobody stays. A link that is slow
costs time only. Needs root."""

import pathlib
import shutil
import statistics
import subprocess
import time

from hosts import BRIDGE, HOSTS, Network, sh, skip_without_hosts
from support import DONE, RunTest, main, read_metrics, report_faults, tensors_of

LIMIT = 8
GONE = 10  # seconds after the limit until the ranks are gone, and then until nothing of the job is left
HANG = 76
KILLED = -9
RUN = ('stages[0].phases[0].tokens=60K', 'data.sources.code.max_epochs=9',
       'data.sources.prose.max_epochs=9', 'checkpoint.keep_last=1')
# A slow link: the 230 KB that a rank sends in a step take some 90 ms.
RATE = ('tbf', 'rate', '20mbit', 'burst', '16kb', 'latency', '2s')
LEAST_WAIT = 0.07
# With some 50 ms of own work in a step, which are compared often.
STEADY = ('stages[0].phases[0].tokens=640K', 'data.sources.code.max_epochs=99',
          'data.sources.prose.max_epochs=99', 'checkpoint.keep_last=1',
          'stages[0].global_batch_size=128', 'stages[0].micro_batch_size=8',
          'watchdog.straggler_interval=2s')


class Link(RunTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.network = Network()
        cls.addClassCleanup(cls.network.close)
        cls.rsh = cls.workspace.path / 'rsh'
        cls.network.write_rsh(cls.rsh)

    def setUp(self):
        self.network.join()

    def command(self, name, *arguments, hosts=tuple(HOSTS), run=RUN):
        return self.network.mpirun(self.rsh, hosts, 2, self.workspace.binary, 'train', 'run.yaml',
                                   f'run.name={name}', f'watchdog.timeout={LIMIT}s', *run,
                                   *arguments)

    def start(self, command):
        # Into a file: daemons of the launcher would keep a pipe open.
        with (self.workspace.path / 'stderr').open('w') as err:
            return subprocess.Popen(command, cwd=self.workspace.path, stderr=err, text=True,
                                    stdout=subprocess.DEVNULL, env=self.workspace.environment)

    def err(self):
        return (self.workspace.path / 'stderr').read_text()

    def finish(self, process, limit):
        code = process.wait(limit)
        return code, self.err()

    def wait_for_step(self, name, process, step):
        folder = self.workspace.run_folder(name)
        end = time.monotonic() + 90
        while len(read_whole(folder)) < step:
            self.assertIsNone(process.poll(), f'ended early: {self.err()}')
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)

    def test_a_link_that_comes_back(self):
        clean = self.start(self.command('clean'))
        code, err = self.finish(clean, 200)
        self.assertEqual(code, DONE, err)
        process = self.start(self.command('blink'))
        self.wait_for_step('blink', process, 10)
        self.network.set_link('b', 'down')
        time.sleep(5)
        seen = len(read_whole(self.workspace.run_folder('blink')))
        self.network.set_link('b', 'up')
        code, err = self.finish(process, 200)
        self.assertEqual(code, DONE, err)
        self.assert_same_bits('blink', 'clean')
        self.assertLess(seen, len(read_metrics(self.workspace.run_folder('blink'))),
                        'the link was down after the end')

    def assert_same_bits(self, name, clean):
        folder, other = map(self.workspace.run_folder, (name, clean))
        lines = read_metrics(folder)
        fields = ('step', 'loss', 'grad_norm', 'sources')
        self.assertEqual([[line[f] for f in fields] for line in lines],
                         [[line[f] for f in fields] for line in read_metrics(other)])
        last = f'checkpoints/step-{lines[-1]["step"]:06}'
        self.assertEqual(tensors_of(folder / last), tensors_of(other / last))

    def slow_link(self):
        """Of host b, to it and from it."""
        ends = (('tc',), self.network.wire('b')), (('tc', '-n', self.network.namespace('b')), 'eth0')
        for tc, device in ends:
            sh(*tc, 'qdisc', 'add', 'dev', device, 'root', *RATE)
            self.addCleanup(sh, *tc, 'qdisc', 'del', 'dev', device, 'root')

    def test_a_slow_link(self):
        """All ranks wait for it alike: neither a hang nor a slow rank."""
        if shutil.which('tc') is None:
            self.skipTest('no tc command here')
        code, err = self.finish(self.start(self.command('quick', run=STEADY)), 200)
        self.assertEqual(code, DONE, err)
        self.slow_link()
        code, err = self.finish(self.start(self.command('slow', run=STEADY)), 300)
        self.assertEqual(code, DONE, err)
        self.assertNotIn('hang: ', err)
        self.assertNotIn('straggler: ', err)
        self.assert_same_bits('slow', 'quick')
        lines = read_metrics(self.workspace.run_folder('slow'))
        work = [line['work'] for line in lines if 'work' in line]
        self.assertGreaterEqual(len(work), 5)
        self.assertEqual([one for report in work for one in report['stragglers']], [])
        waits = statistics.median(line['step_seconds'] for line in lines)
        waits -= statistics.median(report['median_seconds'] for report in work)
        print(f'a step waits {waits:.3f} s for the link; {len(work)} comparisons', flush=True)
        self.assertGreater(waits, LEAST_WAIT)

    def cut(self, name, process):
        """Cuts the link for good; how many seconds later each kind of process was gone."""
        self.wait_for_step(name, process, 10)
        self.network.set_link('b', 'down')
        begin = time.monotonic()
        gone = {}
        while time.monotonic() - begin < LIMIT + 2 * GONE:
            names = [name_of(pid) for pid in self.network.pids()]
            there = {'ranks': any('phalanx' in name for name in names),
                     'daemons': any('orted' in name for name in names),
                     'all in namespaces': bool(names),
                     'launcher': process.poll() is None}
            for kind, is_there in there.items():
                if not is_there:
                    gone.setdefault(kind, time.monotonic() - begin)
            if not any(there.values()):
                break
            time.sleep(0.1)
        print(', '.join(f'{kind} gone after {seconds:.1f} s' for kind, seconds in gone.items()),
              f'- limit {LIMIT} s', flush=True)
        self.assertEqual([name_of(pid) for pid in self.network.pids()], [], self.err())
        self.assertEqual(gone.keys(), there.keys(), self.err())
        self.assertLess(gone['ranks'], LIMIT + GONE)
        self.assertLess(max(gone.values()), gone['ranks'] + GONE)
        report_faults(1, 'links cut for good')

    def test_a_link_that_stays_down(self):
        supervise = [self.workspace.binary, 'supervise', '--max-failures', '1', '--']
        process = self.start([*supervise, *self.command('cut'), '--resume', 'auto'])
        self.addCleanup(process.kill)
        self.cut('cut', process)
        self.assertEqual(process.returncode, HANG, self.err())
        gathered = self.workspace.run_folder('cut') / 'hangs' / 'attempt-1'
        self.assertEqual({path.name for path in gathered.glob('rank-*.txt')},
                         {'rank-00000.txt', 'rank-00001.txt'}, self.err())
        report = (gathered / 'report.txt').read_text()
        self.assertIn(self.network.namespace('a'), report)
        self.assertIn(self.network.namespace('b'), report)

    def test_mpirun_that_nobody_supervises(self):
        """The first rank is a child of mpirun, which waits for a daemon that it cannot reach."""
        process = self.start(self.command('alone', hosts=(BRIDGE, '10.77.0.3')))
        self.addCleanup(process.kill)
        self.cut('alone', process)
        self.assertIn(process.returncode, (HANG, KILLED), self.err())
        self.assertIn('phalanx: hang: rank ', self.err())


def name_of(pid):
    try:
        return pathlib.Path(f'/proc/{pid}/comm').read_text().strip()
    except OSError:
        return ''


def read_whole(folder):
    path = folder / 'metrics.jsonl'
    return path.read_bytes().split(b'\n')[:-1] if path.exists() else []


if __name__ == '__main__':
    skip_without_hosts()
    main()
