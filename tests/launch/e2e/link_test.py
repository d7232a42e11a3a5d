"""Two hosts, made of network namespaces, whose link goes down: for a moment the run waits and goes on
with the same bits; for good, the watchdogs of both hosts end it and nobody stays. Needs root."""

import os
import pathlib
import subprocess
import time

from hosts import HOSTS, Network, why_not
from support import DONE, RunTest, main, read_metrics, tensors_of

LIMIT = 8
RUN = ('stages[0].phases[0].tokens=60K', 'data.sources.code.max_epochs=9',
       'data.sources.prose.max_epochs=9', 'checkpoint.keep_last=1')


class Link(RunTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.network = Network()
        cls.addClassCleanup(cls.network.close)
        cls.rsh = cls.workspace.path / 'rsh'
        cls.network.write_rsh(cls.rsh)

    def command(self, name, *arguments):
        return [os.environ['PHALANX_MPIEXEC'], '-n', '2', '--host', ','.join(HOSTS),
                '--bind-to', 'none', '--mca', 'plm_rsh_agent', str(self.rsh),
                '--mca', 'btl', 'tcp,self', '--mca', 'btl_tcp_if_include', '10.77.0.0/24',
                '--mca', 'oob_tcp_if_include', '10.77.0.0/24',
                '-x', 'OMP_NUM_THREADS', self.workspace.binary, 'train', 'run.yaml',
                f'run.name={name}', f'watchdog.timeout={LIMIT}s', *RUN, *arguments]

    def start(self, command):
        # Into a file: daemons of the launcher would keep a pipe open.
        with (self.workspace.path / 'stderr').open('w') as err:
            return subprocess.Popen(command, cwd=self.workspace.path, stderr=err, text=True,
                                    stdout=subprocess.DEVNULL, env=self.workspace.environment)

    def finish(self, process, limit):
        code = process.wait(limit)
        return code, (self.workspace.path / 'stderr').read_text()

    def wait_for_step(self, name, process, step):
        folder = self.workspace.run_folder(name)
        end = time.monotonic() + 90
        while len(read_whole(folder)) < step:
            self.assertIsNone(process.poll(), 'ended early')
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
        lines = read_metrics(self.workspace.run_folder('blink'))
        self.assertLess(seen, len(lines), 'the link was down after the end')
        fields = ('step', 'loss', 'grad_norm', 'sources')
        self.assertEqual([[line[f] for f in fields] for line in lines],
                         [[line[f] for f in fields]
                          for line in read_metrics(self.workspace.run_folder('clean'))])
        last = f'checkpoints/step-{lines[-1]["step"]:06}'
        self.assertEqual(tensors_of(self.workspace.run_folder('blink') / last),
                         tensors_of(self.workspace.run_folder('clean') / last))

    def test_a_link_that_stays_down(self):
        supervise = [self.workspace.binary, 'supervise', '--max-failures', '1', '--']
        process = self.start([*supervise, *self.command('cut'), '--resume', 'auto'])
        self.wait_for_step('cut', process, 10)
        self.network.set_link('b', 'down')
        begin = time.monotonic()
        ranks_gone = self.wait_until_gone('phalanx', begin + LIMIT + 15)
        code, err = self.finish(process, 60)
        all_gone = self.wait_until_gone('', time.monotonic() + 10)
        print(f'ranks gone {ranks_gone - begin:.1f} s after the cut, the rest {all_gone - begin:.1f} '
              f's; limit {LIMIT} s', flush=True)
        self.assertEqual(code, 76, err)
        self.assertLess(ranks_gone - begin, LIMIT + 10)
        gathered = self.workspace.run_folder('cut') / 'hangs' / 'attempt-1'
        self.assertEqual({path.name for path in gathered.glob('rank-*.txt')},
                         {'rank-00000.txt', 'rank-00001.txt'}, err)
        report = (gathered / 'report.txt').read_text()
        self.assertIn(self.network.namespace('a'), report)
        self.assertIn(self.network.namespace('b'), report)

    def wait_until_gone(self, name, end):
        while any(name in name_of(pid) for pid in self.network.pids()):
            self.assertLess(time.monotonic(), end, [name_of(pid) for pid in self.network.pids()])
            time.sleep(0.1)
        return time.monotonic()


def name_of(pid):
    try:
        return pathlib.Path(f'/proc/{pid}/comm').read_text().strip()
    except OSError:
        return ''


def read_whole(folder):
    path = folder / 'metrics.jsonl'
    return path.read_bytes().split(b'\n')[:-1] if path.exists() else []


if __name__ == '__main__':
    reason = why_not()
    if reason:
        print(f'skipped: {reason}')
        raise SystemExit(77)
    main()
