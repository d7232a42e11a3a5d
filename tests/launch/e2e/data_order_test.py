"""What a run reads follows from configuration and seed: at any number of replicas, as the plan
says, and over a changed curriculum and a fork with an exact ledger."""

import re

from support import BAD_INPUT, SEQUENCE, STEPS, STOPPED, RunTest, main, state_of, tensors_of

ROWS_A_STEP = 8
PHASE_ROWS = (96, 64)
SOURCES = ('code', 'prose', 'sums')


def taken(checkpoint):
    """{source: rows} of a checkpoint's ledger."""
    streams = state_of(checkpoint)['cursor']['taken']
    assert all(stream['sequence_length'] == SEQUENCE for stream in streams)
    rows = dict.fromkeys(SOURCES, 0)
    return rows | {stream['source']: stream['rows'] for stream in streams}


def planned(text):
    """[{source: rows}] of the phases of the plan that a run prints."""
    phases = []
    for line in text.splitlines():
        if re.match(r'  pretrain/\w+: steps ', line):
            phases.append({})
        elif phases and (match := re.match(r'    (\w+) +(\d+) tokens ', line)):
            phases[-1][match[1]] = int(match[2]) // SEQUENCE
    return phases


class DataOrder(RunTest):

    def test_the_same_at_one_two_and_four_replicas(self):
        runs = [self.train(ranks, f'replicas-{ranks}') for ranks in (1, 2, 4)]
        expected = runs[0].metrics()
        self.assertEqual(len(expected), STEPS)
        for run in runs[1:]:
            found = run.metrics()
            self.assert_close(found, expected)
            for mine, theirs in zip(found, expected):
                for source in SOURCES:
                    one, other = mine['sources'][source], theirs['sources'][source]
                    self.assertEqual(one['targets'], other['targets'])
                    if other['targets']:
                        self.assertLessEqual(abs(one['loss'] / other['loss'] - 1), 1e-5)
            self.assertEqual(state_of(run.checkpoint(STEPS))['cursor'],
                             state_of(runs[0].checkpoint(STEPS))['cursor'])

    def test_rows_follow_the_plan(self):
        run = self.train(2, 'rows', 'checkpoint.interval=1 steps', 'checkpoint.keep_last=100',
                         'checkpoint.asynchronous=false')
        phases = planned(run.err)
        self.assertEqual([sum(phase.values()) for phase in phases], list(PHASE_ROWS))
        for step in range(1, STEPS + 1):
            rows = taken(run.checkpoint(step))
            self.assertEqual(sum(rows.values()), step * ROWS_A_STEP)
            for source in SOURCES:
                if step <= 12:  # a flat phase: its plan grows evenly
                    share = phases[0][source] * step / 12
                    self.assertLess(abs(rows[source] - share), 1, f'{source} at step {step}')
        for source in SOURCES:
            self.assertEqual(taken(run.checkpoint(12))[source], phases[0][source])
            self.assertEqual(rows[source], phases[0][source] + phases[1][source])
        self.assert_cap_acts(rows['sums'])

    def assert_cap_acts(self, rows):
        text = self.workspace.program('data', 'inspect', 'data/sums/train')
        tokens = int(re.search(r'^  tokens +(\d+)$', text, re.M)[1])
        epoch = -(-(tokens - 1) // SEQUENCE)
        self.assertEqual(rows, 3 * epoch)

    def test_a_changed_past_is_refused_unless_asked_for(self):
        change = 'stages[0].phases[0].mix.sums=0.2'
        self.train(2, 'changed', 'run.stop_after_steps=14', code=STOPPED)
        refused = self.train(2, 'changed', change, '--resume', 'auto', code=BAD_INPUT)
        self.assertEqual(len(refused.our_errors()), 1, str(refused))
        self.assertIn('stages[0].phases[0]', refused.our_errors()[0])
        run = self.train(2, 'changed', change, 'curriculum_from=resume', '--resume', 'auto')
        self.assertEqual([line['step'] for line in run.metrics()], list(range(1, STEPS + 1)))
        self.assert_exact_ledger(run, 14)

    def test_a_setting_that_is_left_behind_moves_nothing(self):
        """`curriculum_from: resume` in the configuration, at any number of restarts."""
        asked = ('stages[0].phases[0].mix.sums=0.2', 'curriculum_from=resume')
        self.train(2, 'asked-once', 'run.stop_after_steps=6', code=STOPPED)
        whole = self.train(2, 'asked-once', *asked, '--resume', 'auto')
        self.train(2, 'left', 'run.stop_after_steps=6', code=STOPPED)
        for steps in (7, 11, 14):
            self.train(2, 'left', *asked, f'run.stop_after_steps={steps}', '--resume', 'auto',
                       code=STOPPED)
        run = self.train(2, 'left', *asked, '--resume', 'auto')
        for mine, theirs in zip(run.metrics(), whole.metrics(), strict=True):
            self.assertEqual([mine['step'], mine['loss'], mine['sources']],
                             [theirs['step'], theirs['loss'], theirs['sources']])
        self.assertEqual(state_of(run.checkpoint(STEPS))['cursor'],
                         state_of(whole.checkpoint(STEPS))['cursor'])
        self.assert_exact_ledger(run, 6)
        again = self.train(2, 'left', *asked, '--resume', 'auto')
        self.assertIn(f'runs/left finished after step {STEPS} of {STEPS}', again.out)

    def test_a_changed_future_needs_nothing(self):
        """A phase that has not begun may change without a word."""
        self.train(2, 'future', 'run.stop_after_steps=10', code=STOPPED)
        run = self.train(2, 'future', 'stages[0].phases[1].mix.sums=0.1', '--resume', 'auto')
        ledger = state_of(run.checkpoint(STEPS))['cursor']
        self.assertEqual(len(ledger['segments']), 1)
        self.assertEqual(sum(taken(run.checkpoint(STEPS)).values()), sum(PHASE_ROWS))

    def test_a_fork_goes_on_from_its_parent(self):
        parent = self.train(2, 'parent', 'run.stop_after_steps=10', code=STOPPED)
        start = str(parent.checkpoint(10).relative_to(self.workspace.path))
        before = tensors_of(parent.checkpoint(10)), state_of(parent.checkpoint(10))
        same = self.train(2, 'fork-same', '--resume', start)
        whole = self.train(2, 'fork-whole')
        for mine, theirs in zip(same.metrics(), whole.metrics()[10:], strict=True):
            self.assertEqual([mine['loss'], mine['sources']], [theirs['loss'], theirs['sources']])
        fork = self.train(2, 'fork', 'stages[0].phases[0].mix.sums=0.3', 'curriculum_from=resume',
                          '--resume', start)
        self.assert_exact_ledger(fork, 10)
        self.assertEqual(before, (tensors_of(parent.checkpoint(10)),
                                  state_of(parent.checkpoint(10))))

    def assert_exact_ledger(self, run, changed_after):
        """Two segments; the rows of all sources sum to those of the run."""
        ledger = state_of(run.checkpoint(STEPS))['cursor']
        self.assertEqual([segment['first_row'] for segment in ledger['segments']],
                         [0, changed_after * ROWS_A_STEP])
        self.assertEqual(ledger['row'], sum(PHASE_ROWS))
        self.assertEqual(sum(taken(run.checkpoint(STEPS)).values()), sum(PHASE_ROWS))
        before = sum(stream['rows'] for stream in ledger['segments'][1]['taken'])
        self.assertEqual(before, changed_after * ROWS_A_STEP)


if __name__ == '__main__':
    main()
