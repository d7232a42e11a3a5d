"""A new run takes weights, optimizer and ledger along from a checkpoint of another, as it chooses; a
resumed run passes over steps, which the ledger notes."""

import os
import re
import signal

from support import (BAD_INPUT, DONE, SEQUENCE, STEPS, STOPPED, RunTest, main, state_of, tensors_of)

# Rates that do not depend on where a stage began, and the curriculum's last 10 steps.
FLAT = ('stages[0].learning_rate.schedule=constant', 'stages[0].learning_rate.warmup_steps=0')
TAIL = ('stages[0].phases[0].tokens=512',)
PARENT = 'runs/parent/checkpoints/step-000010'
ROWS_A_STEP = 8
BEFORE = 10 * ROWS_A_STEP  # rows of the parent


def taken(checkpoint):
    return {stream['source']: stream['rows'] for stream in state_of(checkpoint)['cursor']['taken']}


def fork(**options):
    return [f'fork.from={PARENT}', *(f'fork.{name}={value}' for name, value in options.items())]


class Fork(RunTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.parent = cls.workspace.train(2, 'parent', 'run.stop_after_steps=10', *FLAT)
        if cls.parent.code != STOPPED:
            raise AssertionError(str(cls.parent))
        cls.given = taken(cls.parent.checkpoint(10))

    def test_with_everything_it_goes_on_as_its_parent_would(self):
        """At another mesh and with row numbers of its own, hence in other orders of sums."""
        before = tensors_of(self.parent.checkpoint(10)), state_of(self.parent.checkpoint(10))
        expected = self.train(2, 'goes-on', *FLAT, 'curriculum_from=resume', '--resume', PARENT)
        run = self.train(2, 'fork', *FLAT, *TAIL, *fork(), 'parallel.tensor_parallel_size=2')
        self.assertIn(f'fork: {PARENT} (step 10) gives weights optimizer ledger\n', run.err)
        self.assertEqual([line['step'] for line in run.metrics()], list(range(1, 11)))
        for mine, theirs in zip(run.metrics(), expected.metrics(), strict=True):
            self.assertEqual(mine['step'], theirs['step'] - 10)
            self.assertEqual(mine['learning_rate'], theirs['learning_rate'])
            self.assertLessEqual(abs(mine['loss'] / theirs['loss'] - 1), 1e-5, mine['step'])
            for source, other in theirs['sources'].items():
                for field in ('targets', 'tokens', 'total_tokens'):
                    self.assertEqual(mine['sources'][source][field], other[field])
        self.assertEqual(taken(run.checkpoint(10)), taken(expected.checkpoint(STEPS)))
        self.assertEqual(state_of(run.checkpoint(10))['num_updates'], STEPS)
        self.assertEqual(state_of(run.checkpoint(10))['tokens'], 10 * ROWS_A_STEP * SEQUENCE)
        self.assertIn(f'from: {PARENT}', (run.checkpoint(10) / 'config.yaml').read_text())
        self.assertEqual(before, (tensors_of(self.parent.checkpoint(10)),
                                  state_of(self.parent.checkpoint(10))))

    def test_a_fork_that_is_resumed_goes_on_from_its_own_checkpoint(self):
        options = (*FLAT, *TAIL, *fork(optimizer='false'), 'checkpoint.keep_last=9')
        whole = self.train(2, 'resumed-whole', *options)
        self.train(2, 'resumed', *options, 'run.stop_after_steps=4', code=STOPPED)
        run = self.train(2, 'resumed', *options, '--resume', 'auto')
        self.assertNotIn('fork: ', run.err)
        for mine, theirs in zip(run.metrics(), whole.metrics(), strict=True):
            self.assertEqual([mine['step'], mine['loss'], mine['sources']],
                             [theirs['step'], theirs['loss'], theirs['sources']])
        self.assertEqual(tensors_of(run.checkpoint(10)), tensors_of(whole.checkpoint(10)))
        self.assertEqual(state_of(run.checkpoint(10))['num_updates'], 10)

    def test_what_stays_behind(self):
        runs = {name: self.train(2, f'without-{name}', *FLAT, *TAIL, *fork(**options)).metrics()[0]
                for name, options in (('nothing', {}), ('optimizer', {'optimizer': 'false'}),
                                      ('weights', {'weights': 'false', 'optimizer': 'false'}))}
        start = self.parent.metrics()[0]['validation_before']
        self.assertEqual(runs['weights']['validation_before'], start)
        self.assertNotEqual(runs['nothing']['validation_before'], start)
        self.assertEqual(runs['optimizer']['validation_before'],
                         runs['nothing']['validation_before'])
        self.assertEqual(runs['optimizer']['loss'], runs['nothing']['loss'])
        after = [tensors_of(self.workspace.run_folder(f'without-{name}') / 'checkpoints' /
                            'step-000010') for name in ('nothing', 'optimizer')]
        self.assertNotEqual(*after)

    def test_without_the_ledger_epochs_and_caps_begin_anew(self):
        """The cap of the sums is 3 epochs; what the parent drew of it counts with the ledger only."""
        with_ledger = self.train(2, 'with-ledger', *FLAT, *TAIL, *fork())
        without = self.train(2, 'without-ledger', *FLAT, *TAIL, *fork(ledger='false'))
        new = self.train(2, 'no-parent', *FLAT, *TAIL)
        self.assertEqual(taken(without.checkpoint(10)), taken(new.checkpoint(10)))
        counted = taken(with_ledger.checkpoint(10))
        self.assertEqual(sum(counted.values()), BEFORE + 10 * ROWS_A_STEP)
        for source, rows in self.given.items():
            self.assertGreater(counted[source], rows)
        mix = ('stages[0].phases[0].mix.sums=0.9', 'stages[0].phases[1].mix.sums=0.9',
               'data.on_exhausted=error', f'data.sources.sums.max_epochs={self.epochs(75)}')
        self.train(1, 'fits', *FLAT, *TAIL, *mix, *fork(ledger='false'), '--dry-run')
        refused = self.train(1, 'does-not', *FLAT, *TAIL, *mix, *fork(), '--dry-run',
                             code=BAD_INPUT)
        self.assertRegex(refused.our_errors()[0],
                         r'error: data\.sources\.sums\.max_epochs: expected at most .* epochs of '
                         r'\d+ rows of 32 tokens, found that stages\[0\] needs \d+ tokens more '
                         r'than are left of them$')

    def epochs(self, rows):
        """The cap that lets the sums give `rows` rows."""
        text = self.workspace.program('data', 'inspect', 'data/sums/train')
        tokens = int(re.search(r'^  tokens +(\d+)$', text, re.M)[1])
        return f'{rows / -(-(tokens - 1) // SEQUENCE) + 1e-6:.6f}'

    def refuse(self, message, *options):
        refused = self.train(2, 'refused', *options, code=BAD_INPUT)
        first_line = message.split('\n')[0]
        self.assertEqual(refused.our_errors(), [f'phalanx: error: {first_line}'], str(refused))
        self.assertIn(f'{message}\n', refused.err)

    def test_forks_that_cannot_be(self):
        self.refuse('fork.from: runs/parent: expected a checkpoint (with manifest.json), found the '
                    f'folder of a run, whose newest checkpoint is {PARENT}', 'fork.from=runs/parent')
        self.refuse(f'fork.from: checkpoint {PARENT}: expected the model of the configuration, found '
                    'another:\n  model.rms_norm_eps: the configuration has 0.001, '
                    f'{PARENT} has 1e-05', *fork(), 'model.rms_norm_eps=1e-3')
        self.refuse('command line: fork.optimizer: expected false without fork.weights, whose '
                    'moments they are, got true', *fork(weights='false'))
        self.refuse('command line: fork.ledger: expected false only with fork.from',
                    'fork.ledger=false')
        self.refuse('data.seed: expected 1234, with which the ledger was begun, found 7',
                    'data.seed=7', *fork())
        self.train(2, 'another-order', *FLAT, *TAIL, 'data.seed=7', *fork(ledger='false'),
                   '--dry-run')


class Skip(RunTest):

    def test_skipped_steps_are_taken_but_not_trained_on(self):
        whole = self.train(2, 'whole')
        self.train(2, 'skip', 'run.stop_after_steps=10', code=STOPPED)
        first = self.train(2, 'skip', 'run.stop_after_steps=16', '--skip-steps', '3', '--resume',
                           'auto', code=STOPPED)
        self.assertIn('skipped: steps 11-13, rows 80-103, 768 tokens count as taken\n', first.err)
        run = self.train(2, 'skip', '--resume', 'auto')
        lines = {line['step']: line for line in run.metrics()}
        self.assertEqual(list(lines), [*range(1, 11), *range(14, STEPS + 1)])
        for line in whole.metrics():
            mine = lines.get(line['step'], line)
            self.assertEqual([mine[field] for field in ('tokens', 'learning_rate', 'phase')],
                             [line[field] for field in ('tokens', 'learning_rate', 'phase')])
            for source, theirs in line['sources'].items():
                for field in ('tokens', 'total_tokens', 'targets'):
                    self.assertEqual(mine['sources'][source][field], theirs[field])
        self.assertNotEqual(lines[14]['loss'], whole.metrics()[13]['loss'])
        state, expected = (state_of(run_.checkpoint(STEPS)) for run_ in (run, whole))
        self.assertEqual(state['num_updates'], STEPS - 3)
        self.assertEqual(state['cursor']['segments'][0].pop('skipped'), [[80, 104]])
        self.assertEqual(expected['cursor']['segments'][0].pop('skipped'), [])
        self.assertEqual(state['cursor'], expected['cursor'])
        self.assertEqual(state['tokens'], expected['tokens'])

    def test_a_skip_outlives_a_kill_before_the_next_checkpoint(self):
        longer = 'stages[0].phases[1].tokens=40960'
        self.train(2, 'killed', longer, 'run.stop_after_steps=10', code=STOPPED)
        skip = ('--skip-steps', '3', '--resume', 'runs/killed/checkpoints/step-000010')
        whole = self.train(2, 'not-killed', longer, 'run.stop_after_steps=20', *skip, code=STOPPED)
        run = self.workspace.start(2, 'killed', longer, *skip)
        run.wait_for_steps(11)
        os.kill(run.ranks()[1], signal.SIGKILL)
        self.assertNotEqual(run.finish().code, DONE)
        state = state_of(run.folder / 'checkpoints' / 'step-000013')
        self.assertEqual([state['step'], state['num_updates'], state['tokens']],
                         [13, 10, 13 * ROWS_A_STEP * SEQUENCE])
        run = self.train(2, 'killed', longer, 'run.stop_after_steps=20', '--resume', 'auto',
                         code=STOPPED)
        self.assertEqual(state_of(run.checkpoint(20))['cursor'],
                         state_of(whole.checkpoint(20))['cursor'])
        self.assertEqual(tensors_of(run.checkpoint(20)), tensors_of(whole.checkpoint(20)))
        lines = {line['step']: line for line in run.metrics() if line['step'] <= 20}
        self.assertEqual([lines[line['step']]['loss'] for line in whole.metrics()],
                         [line['loss'] for line in whole.metrics()])
        self.assertEqual(list(lines), [*range(1, 11), *range(14, 21)])

    def test_ranges_that_meet_are_one(self):
        self.train(1, 'meet', 'run.stop_after_steps=2', code=STOPPED)
        options = ('--resume', 'runs/meet/checkpoints/step-000002', 'run.stop_after_steps=6')
        run = self.train(1, 'meet-whole', *options, '--skip-steps', '3', code=STOPPED)
        self.assertEqual(state_of(run.checkpoint(6))['cursor']['segments'][0]['skipped'],
                         [[16, 40]])
        again = self.train(1, 'meet-whole', '--resume', 'auto', '--skip-steps', '1',
                           'run.stop_after_steps=8', code=STOPPED)
        self.assertEqual(state_of(again.checkpoint(8))['cursor']['segments'][0]['skipped'],
                         [[16, 40], [48, 56]])

    def test_what_cannot_be_skipped(self):
        refused = self.train(1, 'new', '--skip-steps', '3', code=BAD_INPUT)
        self.assertEqual(refused.our_errors(),
                         ['phalanx: error: --skip-steps: expected a checkpoint to go on from '
                          '(--resume), found a new run'])
        self.train(1, 'most', 'run.stop_after_steps=15', code=STOPPED)
        refused = self.train(1, 'most', '--resume', 'auto', '--skip-steps', '5', code=BAD_INPUT)
        self.assertEqual(refused.our_errors(),
                         ['phalanx: error: --skip-steps: expected at least 1 and fewer than the 5 '
                          'steps that are left, got 5'])
        self.train(1, 'most', '--resume', 'auto', '--skip-steps', '4')


if __name__ == '__main__':
    main()
