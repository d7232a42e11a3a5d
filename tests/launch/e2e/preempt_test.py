"""Stops that come at any moment: by signal, again and again, in the middle of a save, of the start or
of an evaluation, by a limit of time, by Slurm. All ranks save the same step and leave with 75."""

import os
import random
import signal
import stat
import subprocess
import time

from support import DONE, STOPPED, RunTest, main, read_metrics, tensors_of, whole_lines

LONG = ('stages[0].phases[0].tokens=2M', 'data.sources.code.max_epochs=100',
        'data.sources.prose.max_epochs=100', 'checkpoint.keep_last=1')

TIMES = int(os.environ.get('PHALANX_STOPS', '1'))

SCONTROL = '#!/bin/sh\nprintf "%s\\n" "$*" >> requeued\n'


class Preempt(RunTest):

    def assert_saved(self, training):
        """Stopped with 75; the last step is the one that all ranks have saved."""
        result = training.finish(60)
        self.assertEqual(result.code, STOPPED, str(result))
        self.assertEqual(result.our_errors(), [], str(result))
        step = result.metrics()[-1]['step']
        self.assertIn(f'step-{step:06}', result.out)
        path = str(result.checkpoint(step).relative_to(self.workspace.path))
        self.workspace.program('checkpoint', 'verify', path)
        return step

    def usr1_at_random_times(self, seeds, ranks):
        """At most two more steps are done once the signal has been sent."""
        for seed in seeds:
            numbers = random.Random(seed)
            name = f'random{seed}'
            training = self.workspace.start(ranks, name, *LONG)
            training.wait_for_steps(1)
            time.sleep(numbers.random() * 0.3)
            seen = whole_lines(training.folder / 'metrics.jsonl')
            training.signal(signal.SIGUSR1)
            time.sleep(0.05)  # mpirun passes it on within some milliseconds
            passed_on = whole_lines(training.folder / 'metrics.jsonl')
            step = self.assert_saved(training)
            self.assertLessEqual(step, passed_on + 2, f'seed {seed}: sent after step {seen}')
        print(f'{len(seeds)} of {len(seeds)} stops saved the same step on all ranks', flush=True)

    def test_usr1_at_random_times(self):
        self.usr1_at_random_times(range(2), 4)

    def test_usr1_at_fifty_random_times(self):
        self.usr1_at_random_times(range(50, 100), 4)

    def stops(self, kind, *options):
        """Runs under way, as many as PHALANX_STOPS says, each with a moment of its own."""
        for seed in range(TIMES):
            yield self.workspace.start(2, f'{kind}{seed}', *LONG, *options), random.Random(seed)
        print(f'{TIMES} of {TIMES} stops ({kind}) saved once, and all ranks left', flush=True)

    def test_usr1_twice(self):
        for training, chance in self.stops('twice'):
            training.wait_for_steps(2)
            training.signal(signal.SIGUSR1)
            time.sleep(chance.random() * 0.02)
            training.signal(signal.SIGUSR1)
            step = self.assert_saved(training)
            self.assertEqual([path.name for path in (training.folder / 'checkpoints').glob('step-*')],
                             [f'step-{step:06}'])

    def test_usr1_during_a_save(self):
        for training, chance in self.stops('save', 'checkpoint.interval=1 steps'):
            folder = training.folder / 'checkpoints'
            training.wait_for(lambda: folder.is_dir() and
                              any(not path.name.startswith(('step-', 'LATEST')) or '.' in path.name
                                  for path in folder.iterdir()), 'a save under way')
            time.sleep(chance.random() * 0.01)
            training.signal(signal.SIGUSR1)
            self.assert_saved(training)

    def test_usr1_during_the_start(self):
        for training, chance in self.stops('start'):
            # The folder is there, no step is: data are open, the first evaluation is to come.
            training.wait_for(lambda: (training.folder / 'config.yaml').exists(), 'the start')
            later = training.folder.name != 'start0'  # then the first step may be under way
            time.sleep(chance.random() * 0.02 if later else 0)
            seen = whole_lines(training.folder / 'metrics.jsonl')
            training.signal(signal.SIGUSR1)
            self.assertLessEqual(self.assert_saved(training), seen + (2 if later else 1))

    def test_usr1_during_an_evaluation(self):
        for training, chance in self.stops('evaluation', 'evaluation.interval=1 steps',
                                           'evaluation.max_rows=2000'):
            training.wait_for_steps(1)
            time.sleep(chance.random() * 0.1)
            seen = whole_lines(training.folder / 'metrics.jsonl')
            training.signal(signal.SIGUSR1)
            self.assertLessEqual(self.assert_saved(training), seen + 3)

    def test_a_limit_of_time_leaves_room_for_the_save(self):
        training = self.workspace.start(2, 'clock', *LONG, 'run.wall_clock_limit=10s',
                                        'checkpoint.interval=50 steps')
        training.wait_for(training.ranks, 'the ranks')
        begin = time.time()  # the limit counts from their start
        step = self.assert_saved(training)
        self.assertGreater(step, 1)
        saved = (training.folder / 'checkpoints' / 'LATEST').stat().st_mtime - begin
        print(f'saved {saved:.2f} s after the start, limit 10 s', flush=True)
        self.assertLess(saved, 10)
        self.assertGreater(saved, 5)

    def test_a_slurm_job_that_is_requeued_five_times(self):
        saves = ('stages[0].phases[0].tokens=60K', 'data.sources.code.max_epochs=9',
                 'data.sources.prose.max_epochs=9', 'checkpoint.keep_last=1')
        clean = self.train(2, 'undisturbed', *saves)
        fake = self.workspace.path / 'bin'
        fake.mkdir()
        (fake / 'scontrol').write_text(SCONTROL)
        (fake / 'scontrol').chmod(stat.S_IRWXU)
        printed = self.workspace.program('launch', 'run.yaml', 'run.name=slurm', *saves, '--on',
                                         'slurm', '--ranks-per-node', '2', '--print')
        script = self.workspace.path / 'train.sbatch'
        script.write_text(printed[:printed.index('\nsbatch ')])
        environment = self.workspace.environment | {
            'PATH': f'{fake}:{os.environ["PATH"]}', 'SLURM_JOB_ID': '17'}
        folder = self.workspace.run_folder('slurm')
        codes = []
        while len(codes) < 12 and (not codes or codes[-1] == STOPPED):
            job = subprocess.Popen(['bash', script], cwd=self.workspace.path, env=environment,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            if len(codes) < 5:
                before = whole_lines(folder / 'metrics.jsonl')
                while whole_lines(folder / 'metrics.jsonl') < before + 5 and job.poll() is None:
                    time.sleep(0.01)
                job.send_signal(signal.SIGUSR1)  # as Slurm does with --signal=B:USR1
            err = job.communicate(timeout=60)[1]
            codes.append(job.returncode)
        self.assertEqual(codes, [STOPPED] * 5 + [DONE], err)
        requeued = (self.workspace.path / 'requeued').read_text().splitlines()
        self.assertEqual(requeued, ['requeue 17'] * 5)
        last = clean.metrics()[-1]['step']
        fields = ('loss', 'grad_norm', 'learning_rate', 'sources')
        self.assertEqual([[line[field] for field in fields] for line in read_metrics(folder)],
                         [[line[field] for field in fields] for line in clean.metrics()])
        self.assertEqual(tensors_of(folder / 'checkpoints' / f'step-{last:06}'),
                         tensors_of(clean.checkpoint(last)))


if __name__ == '__main__':
    main()
