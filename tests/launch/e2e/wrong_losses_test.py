"""Losses that a rank computes wrongly: once, wherever the rows are computed, or whatever the rows
are. The first leaves no trace, the second skips the step everywhere, the third ends the run and names
the machine."""

import os
import random
import socket

from numbers_test import exact, ranges
from support import STEPS, STOPPED, RunTest, main, report_faults, state_of, tensors_of

FAULTY_HARDWARE = 16  # exit code
ALL = os.environ.get('PHALANX_ALL_FAULTS', '') == '1'  # twenty moments of each kind
SAVES = ('checkpoint.interval=1 steps', 'checkpoint.keep_last=99', 'checkpoint.asynchronous=false')
# A pass a step of each of two ranks, or of four.
OPTIONS = ('stages[0].micro_batch_size=4', *SAVES)
OF_FOUR = ('stages[0].micro_batch_size=2', *SAVES)
SPIKES = ('numbers.spikes.policy=skip', 'numbers.spikes.window=8', 'numbers.spikes.z_score=1000')
FAULTS = ('PHALANX_WRONG_LOSSES', 'PHALANX_WRONG_FACTOR', 'LD_PRELOAD')


class WrongLosses(RunTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.random = random.Random(2412)
        cls.borne = 0
        cls.clean = cls.workspace.train(2, 'clean', *OPTIONS, *SPIKES)

    @classmethod
    def tearDownClass(cls):
        report_faults(cls.borne, 'losses that were wrong')
        super().tearDownClass()

    def faulty(self, name, passes, factor='nan', options=OPTIONS, code=0, ranks=2):
        environment = self.workspace.environment
        environment |= {'PHALANX_WRONG_LOSSES': ' '.join(f'{rank}:{at}' for rank, at in passes),
                        'PHALANX_WRONG_FACTOR': factor,
                        'LD_PRELOAD': os.environ['PHALANX_WRONG_LOSSES_LIBRARY']}
        try:
            return self.train(ranks, name, *options, code=code)
        finally:
            for variable in FAULTS:
                environment.pop(variable, None)

    def moments(self, first=1, ranks=2):
        """Steps and ranks to be wrong at."""
        for number in range(20 if ALL else 1):
            yield number, self.random.randint(first, STEPS - 1), self.random.randrange(ranks)

    def assert_clean(self, run, step):
        for mine, clean in zip(run.metrics(), self.clean.metrics(), strict=True):
            found = exact(mine)
            if mine['step'] == step:
                self.assertEqual(found.pop('verdict'), 'transient')
                clean = {key: value for key, value in clean.items() if key != 'verdict'}
                self.assertEqual(found, {key: clean.get(key) for key in found})
            else:
                self.assertEqual(found, exact(clean))
        self.assertEqual(tensors_of(run.checkpoint(STEPS)), tensors_of(self.clean.checkpoint(STEPS)))

    def test_once_leaves_no_trace(self):
        for number, step, rank in self.moments():
            run = self.faulty(f'once-{number}', [(rank, step)], options=(*OPTIONS, *SPIKES))
            self.assertIn(f'step {step}: loss nan or gradient norm ', run.err)
            self.assertIn('transient, the second result counts', run.err)
            self.assert_clean(run, step)
            type(self).borne += 1

    def test_a_spike_once_leaves_no_trace(self):
        for number, step, rank in self.moments(first=6):
            run = self.faulty(f'spike-{number}', [(rank, step)], '1000', (*OPTIONS, *SPIKES))
            self.assertIn('is a spike; computed again it came out differently: transient', run.err)
            self.assert_clean(run, step)
            type(self).borne += 1

    def test_rows_that_are_wrong_everywhere_are_passed_over(self):
        """Their step: twice on the replica that they belong to, and once on the other."""
        for number, step, rank in self.moments(first=3):
            name = f'rows-{number}'
            passes = [(rank, step), (rank, step + 1), (1 - rank, step + 2)]
            run = self.faulty(name, passes)
            lines = run.metrics()
            self.assertEqual([line['step'] for line in lines if line['skipped']], [step])
            self.assertEqual((lines[step - 1]['suspicion'], lines[step - 1]['verdict']),
                             ('not_finite', 'real'))
            # All goes on but what a step trains.
            for mine, clean in zip(lines, self.clean.metrics(), strict=True):
                for field in ('step', 'tokens', 'learning_rate'):
                    self.assertEqual(mine[field], clean[field], field)
            before, after = run.checkpoint(step - 1), run.checkpoint(step)
            self.assertEqual(tensors_of(after), tensors_of(before))
            self.assertEqual(state_of(after)['num_updates'], step - 1)
            self.assertEqual(state_of(after)['cursor']['row'],
                             state_of(self.clean.checkpoint(step))['cursor']['row'])
            last = state_of(run.checkpoint(STEPS))
            self.assertEqual(last['cursor']['segments'][-1]['skipped'], ranges([step]))
            text = self.workspace.program('data', 'batch', str(run.folder), '--step', str(step),
                                          '--json')
            self.assertIn('"skipped": true', text.replace('":true', '": true'))
            self.assert_resumed_alike(run, name, passes, step)
            type(self).borne += 1

    def assert_resumed_alike(self, run, name, passes, step):
        """Stopped after the step and resumed, it is the same run."""
        stop = (*OPTIONS, f'run.stop_after_steps={step}')
        self.faulty(f'{name}-parts', passes, options=stop, code=STOPPED)
        parts = self.train(2, f'{name}-parts', *OPTIONS, '--resume', 'auto')
        self.assertEqual([exact(line) for line in parts.metrics()],
                         [exact(line) for line in run.metrics()])
        self.assertEqual(state_of(parts.checkpoint(STEPS)) | {'attempt': 0},
                         state_of(run.checkpoint(STEPS)))

    def test_a_machine_that_is_wrong_is_named(self):
        for number, step, rank in self.moments(first=6, ranks=4):
            for factor in ('nan', '1000'):
                passes = [(rank, at) for at in range(step, step + 3)]
                run = self.faulty(f'machine-{number}-{factor}', passes, factor, (*OF_FOUR, *SPIKES),
                                  code=FAULTY_HARDWARE, ranks=4)
                self.assertEqual(len(run.our_errors()), 1, str(run))
                self.assertRegex(
                    run.our_errors()[0],
                    rf'numbers: step {step}: loss \S+ and gradient norm \S+ come out the same again, '
                    rf'but .*: persistent, on replica {rank}: rank {rank} \({socket.gethostname()}, '
                    r'.*\)\. Go on from the newest checkpoint, without that machine')
                self.assertEqual([line['step'] for line in run.metrics()][-1], step - 1)
                self.workspace.program('checkpoint', 'verify', str(run.checkpoint(step - 1)))
                type(self).borne += 1


if __name__ == '__main__':
    main()
