"""`phalanx runs`: the state of runs that are at work, done, stopped, failed or killed, and why they
ended."""

import json
import os
import signal
import subprocess

from support import STEPS, STOPPED, RunTest, main, read_metrics

NON_FINITE = 77
# Long enough to be met at work.
LONG = ('stages[0].phases[0].tokens=300K', 'data.sources.code.max_epochs=1000',
        'data.sources.prose.max_epochs=1000', 'data.sources.sums.max_epochs=1000')


class Runs(RunTest):

    def runs(self, *arguments):
        text = self.workspace.program('runs', *arguments, '--json')
        return {json.loads(line)['run'].rpartition('/')[2]: json.loads(line)
                for line in text.splitlines()}

    def test_states_and_why(self):
        self.train(1, 'done')
        self.train(1, 'stopped', 'run.stop_after_steps=2', code=STOPPED)
        self.train(1, 'exploded', 'stages[0].learning_rate.peak=1e30',
                   'numbers.max_skipped_in_a_row=1', code=NON_FINITE)
        self.end_of_a_kill()
        asked = self.workspace.start(1, 'asked', 'run.stop_after_steps=0', *LONG)
        asked.wait_for_steps(1)
        self.assertEqual(self.runs()['asked']['state'], 'running')
        asked.signal(signal.SIGUSR1)
        self.assertEqual(asked.finish().code, STOPPED)

        found = self.runs('runs')
        self.assertEqual({name: (run['state'], run['exit_code']) for name, run in found.items()},
                         {'done': ('finished', 0), 'stopped': ('stopped', STOPPED),
                          'exploded': ('failed', NON_FINITE), 'killed': ('killed', None),
                          'asked': ('stopped', STOPPED)})
        self.assertEqual(found['stopped']['reason'], 'run.stop_after_steps')
        self.assertEqual(found['asked']['reason'], 'SIGUSR1')
        self.assertIn('not finite', found['exploded']['reason'])
        self.assertIn('killed', found['killed']['reason'])
        self.assertEqual(found['done']['reason'], '')
        last = read_metrics(self.workspace.run_folder('done'))[-1]
        self.assertEqual((found['done']['step'], found['done']['num_steps'], found['done']['loss']),
                         (STEPS, STEPS, last['loss']))
        self.assertEqual(found['stopped']['checkpoint_step'], 2)

        table = self.workspace.program('runs').splitlines()
        self.assertEqual(len(table), 6)
        self.assertRegex(table[0], r'^run +state +step +loss +last +why$')
        self.assertRegex(table[2],
                         rf'^done +finished +{STEPS}/{STEPS} 100.0 % +\d\.\d{{4}} +\d+s ago$')
        self.assertRegex(table[3], r'^exploded +failed .* exit code 77: ')
        self.assertEqual(list(self.runs('runs/stopped')), ['stopped'])

        # The next start takes the end away, and a run that goes on to its end is finished.
        self.train(1, 'killed', '--resume', 'auto')
        self.assertEqual(self.runs()['killed']['state'], 'finished')

    def end_of_a_kill(self):
        killed = self.workspace.start(1, 'killed', *LONG)
        killed.wait_for_steps(2)
        os.kill(killed.ranks()[0], signal.SIGKILL)
        killed.finish()

    def test_supervised_and_strange(self):
        """What only the supervisor has seen, and folders that are damaged or none."""
        workspace = self.workspace
        run = workspace.path / 'other' / 'alone'
        subprocess.run([workspace.binary, 'supervise', '--max-failures', '1', '--',
                        workspace.binary, 'train', 'run.yaml', 'run.dir=other', 'run.name=alone',
                        'run.stop_after_steps=1', '--resume', 'auto'], cwd=workspace.path,
                       check=False, env=workspace.environment, capture_output=True, timeout=120)
        (run / 'end.json').write_text('{"exit_co')
        found = self.runs('other')['alone']
        self.assertEqual((found['state'], found['exit_code']), ('stopped', STOPPED))
        (run / 'supervisor.jsonl').unlink()
        (run / 'hangs').mkdir(exist_ok=True)
        (run / 'hangs' / 'report.txt').write_text('job 7\nrank 1 \x1b[2Jmade no progress\n')
        found = self.runs('other')['alone']
        self.assertEqual((found['state'], found['exit_code']), ('failed', 76))
        self.assertIn(r'\x1b[2Jmade no progress', workspace.program('runs', 'other'))
        (run / 'hangs' / 'report.txt').unlink()
        lines = [{key: value for key, value in line.items() if key != 'num_steps'}
                 for line in read_metrics(run)]
        (run / 'metrics.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in lines))
        self.assertEqual(self.runs('other')['alone']['state'], 'unknown')
        (workspace.path / 'empty').mkdir()
        self.assertEqual(workspace.program('runs', 'empty'), '')
        refused = subprocess.run([workspace.binary, 'runs', 'nowhere'], cwd=workspace.path,
                                 check=False, capture_output=True, text=True)
        self.assertEqual((refused.returncode, refused.stderr), (
            2, 'phalanx: error: nowhere: expected a folder of runs, found nothing\n'))


if __name__ == '__main__':
    main()
