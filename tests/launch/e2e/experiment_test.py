"""`phalanx experiment`: runs side by side on cores of their own, results that compare them, and the
same end after kills, stops and failures at any moment."""

import csv
import os
import random
import signal
import subprocess
import time

from support import BAD_INPUT, DONE, STOPPED, RunTest, main, read_metrics, tensors_of, whole_lines
from supervise_test import children, last_lines

CORES = len(os.sched_getaffinity(0))
FILE = """\
name: {name}
base: run.yaml
set: [checkpoint.interval=3 steps, evaluation.interval=10 steps]
runs:
  - {{name: few, set: ["stages[0].phases[0].mix.sums=0.1"]}}
  - {{name: many, set: ["stages[0].phases[0].mix.sums=0.5"]}}
seeds: [1, 2]
baseline: few
parallel: {parallel}
cores_per_run: 1
"""
RUNS = ('few-seed-1', 'few-seed-2', 'many-seed-1', 'many-seed-2')
STEPS = 20


def cores_of(pid):
    try:
        return os.sched_getaffinity(pid)
    except OSError:
        return None  # it has ended


class Experiment(RunTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.workspace.hold_out(0.2)
        cls.write('whole')
        cls.whole = cls.run_to_end('whole')
        assert cls.whole.returncode == DONE, cls.whole.stdout + cls.whole.stderr

    @classmethod
    def write(cls, name, change=lambda text: text):
        text = change(FILE.format(name=name, parallel=min(2, CORES)))
        (cls.workspace.path / f'{name}.yaml').write_text(text)

    @classmethod
    def words(cls, name, *arguments):
        return [cls.workspace.binary, 'experiment', f'{name}.yaml', *arguments]

    @classmethod
    def run_to_end(cls, name, *arguments):
        return subprocess.run(cls.words(name, *arguments), cwd=cls.workspace.path, text=True,
                              env=cls.workspace.environment, capture_output=True, timeout=200,
                              check=False)

    def start(self, name):
        process = subprocess.Popen(self.words(name), cwd=self.workspace.path, text=True,
                                   env=self.workspace.environment, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        self.addCleanup(process.kill)
        return process

    def folder(self, experiment):
        return self.workspace.path / 'runs' / experiment

    def rows(self, experiment):
        with (self.folder(experiment) / 'results.csv').open(newline='') as file:
            return {row['run']: row for row in csv.DictReader(file)}

    def lines(self, experiment):
        return sum(whole_lines(self.folder(experiment) / run / 'metrics.jsonl') for run in RUNS)

    def wait_for_lines(self, process, experiment, count):
        end = time.monotonic() + 100
        while self.lines(experiment) < count and process.poll() is None:
            self.assertLess(time.monotonic(), end, f'waited in vain for {count} lines')
            time.sleep(0.01)

    def assert_as_whole(self, experiment):
        for run in RUNS:
            mine, theirs = self.folder(experiment) / run, self.folder('whole') / run
            self.assertEqual(last_lines(mine), last_lines(theirs), run)
            last = f'checkpoints/step-{STEPS:06}'
            self.assertEqual(tensors_of(mine / last), tensors_of(theirs / last), run)

    def test_results(self):
        rows = self.rows('whole')
        self.assertEqual(list(rows), list(RUNS))
        for run, row in rows.items():
            self.assertEqual((row['status'], row['steps'], row['group'], row['seed']),
                             ('finished', str(STEPS), run[:-7], run[-1]))
            metrics = read_metrics(self.folder('whole') / run)
            bits = metrics[-1]['validation']['prose']['bits_per_byte']
            self.assertAlmostEqual(float(row['bits_per_byte.prose']), bits, 6)
            self.assertGreater(float(row['epochs.sums']), 0.1)
        text = self.whole.stdout
        self.assertRegex(text, r'bits per byte, sums\n  few +\d\.\d+ \+- \d\.\d+\n'
                               r'  many +\d\.\d+ \+- \d\.\d+  [-+]\d\.\d+ \+- \d\.\d+ '
                               r'(better|worse|unclear)\n')
        page = (self.folder('whole') / 'report.html').read_text()
        self.assertIn('"label":"many-seed-2"', page)

    def test_what_is_done_is_left_alone(self):
        files = [self.folder('whole') / run / 'metrics.jsonl' for run in RUNS]
        before = [file.stat().st_mtime_ns for file in files]
        again = self.run_to_end('whole')
        self.assertEqual(again.returncode, DONE, again.stderr)
        self.assertIn('4 runs, 0 to do', again.stderr)
        self.assertEqual([file.stat().st_mtime_ns for file in files], before)
        listed = self.run_to_end('whole', '--list').stdout
        self.assertEqual(listed.count(' done'), 4, listed)

    def kill(self, name, seeds):
        self.write(name)
        for seed in seeds:
            numbers = random.Random(seed)
            before = self.lines(name)
            process = self.start(name)
            self.wait_for_lines(process, name, before + numbers.randrange(1, 25))
            if seed == seeds[0]:
                self.assert_apart(process)
            process.kill()
            process.communicate()
        done = self.run_to_end(name)
        self.assertEqual(done.returncode, DONE, done.stdout + done.stderr)
        self.assert_as_whole(name)

    def assert_apart(self, process):
        """Each run has a core of its own, once it has gone there."""
        end = time.monotonic() + 10
        while True:
            cores = [cores_of(rank) for rank in children(process.pid)]
            cores = [own for own in cores if own]
            alone = all(len(own) == 1 for own in cores)
            if cores and alone and len(set.union(*cores)) == len(cores):
                return
            self.assertLess(time.monotonic(), end, f'runs share cores: {cores}')
            time.sleep(0.01)

    def test_kills(self):
        self.kill('killed', (1, 2))

    def test_many_kills(self):
        self.kill('killed-often', range(3, 15))

    def stop(self, name, number):
        self.write(name)
        process = self.start(name)
        self.wait_for_lines(process, name, 6)
        process.send_signal(number)
        out, err = process.communicate(timeout=100)
        self.assertEqual(process.returncode, STOPPED, out + err)
        self.assertIn('told to stop', err)
        begun = [run for run in RUNS if (self.folder(name) / run / 'metrics.jsonl').exists()]
        for run in begun:
            newest = sorted((self.folder(name) / run / 'checkpoints').glob('step-*'))[-1]
            last = read_metrics(self.folder(name) / run)[-1]['step']
            self.assertEqual(newest.name, f'step-{last:06}')
        self.assertIn('not begun', (self.folder(name) / 'results.csv').read_text())
        self.assertEqual(self.run_to_end(name).returncode, DONE)
        self.assert_as_whole(name)

    def test_a_stop_saves(self):
        self.stop('stopped', signal.SIGTERM)

    def test_an_interrupt_saves_too(self):
        self.stop('interrupted', signal.SIGINT)

    def test_a_run_that_fails_is_named_and_the_rest_goes_on(self):
        self.write('failing', lambda text: text.replace(
            '"stages[0].phases[0].mix.sums=0.5"', 'data.sources.sums.path=nowhere').replace(
                '[1, 2]', '[1]'))
        done = self.run_to_end('failing')
        self.assertEqual(done.returncode, BAD_INPUT, done.stdout + done.stderr)
        rows = self.rows('failing')
        self.assertEqual(rows['few-seed-1']['status'], 'finished')
        self.assertEqual(rows['many-seed-1']['status'], 'not begun')
        self.assertIn('nowhere', rows['many-seed-1']['reason'])
        self.assertIn('exit code 2', rows['many-seed-1']['reason'])
        self.assertIn('many-seed-1 failed: exit code 2', done.stderr)

    def test_a_folder_of_another_configuration(self):
        self.write('whole', lambda text: text.replace('sums=0.5', 'sums=0.4'))
        self.addCleanup(self.write, 'whole')
        done = self.run_to_end('whole')
        self.assertEqual(done.returncode, BAD_INPUT, done.stdout + done.stderr)
        self.assertIn('many-seed-2 is left out: runs/whole/many-seed-2: stages[0].phases[0].mix.sums'
                      ' is 0.5 there and 0.4 in the experiment', done.stderr)

    def test_a_job_array(self):
        self.write('array')
        script = self.run_to_end('array', '--slurm-array').stdout
        self.assertIn('#SBATCH --array=0-3%', script)
        syntax = subprocess.run(['bash', '-n'], input=script, text=True, check=False)
        self.assertEqual(syntax.returncode, 0)
        done = self.run_to_end('array', '--only', '2')
        self.assertEqual(done.returncode, DONE, done.stdout + done.stderr)
        self.assertEqual([run for run in RUNS if (self.folder('array') / run).exists()],
                         ['many-seed-1'])
        self.assertEqual(last_lines(self.folder('array') / RUNS[2]),
                         last_lines(self.folder('whole') / RUNS[2]))
        self.assertEqual(self.run_to_end('array', '--report-only').returncode, DONE)
        self.assertEqual(self.rows('array')['few-seed-1']['status'], 'not begun')
        self.assertEqual(self.run_to_end('array', '--only', '4').returncode, BAD_INPUT)

    def test_files_that_cannot_be(self):
        self.write('wrong', lambda text: text.replace('mix.sums=0.5', 'mix.sum=0.5'))
        done = self.run_to_end('wrong')
        self.assertEqual(done.returncode, BAD_INPUT)
        self.assertIn('wrong.yaml:6:5: runs[1]: stages[0].phases[0].mix.sum', done.stderr)
        self.assertFalse(self.folder('wrong').exists())


if __name__ == '__main__':
    main()
