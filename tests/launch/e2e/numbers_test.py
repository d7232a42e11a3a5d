"""numbers: spikes are skipped, or the run goes back to a checkpoint and passes over the steps since;
ledger, metrics and `data batch` say so, and a resumed run does the same."""

import json
import os

from support import STEPS, STOPPED, RunTest, main, state_of, tensors_of

NON_FINITE = 77  # exit code
ROWS_A_STEP = 8
PHASE_EDGE = 12  # a step after which all runs save
# So near to the others that the noise of a short run has spikes.
SPIKES = ('numbers.spikes.z_score=1.5', 'numbers.spikes.window=6', 'checkpoint.keep_last=9',
          'numbers.max_skipped_in_a_row=20')
EXACT = ('step', 'tokens', 'loss', 'grad_norm', 'learning_rate', 'skipped', 'suspicion', 'verdict')


def spikes_of(lines):
    return [line['step'] for line in lines if line.get('suspicion') == 'spike']


def ranges(steps):
    """[first row, end row) of steps that follow one another."""
    found = []
    for step in steps:
        first, end = (step - 1) * ROWS_A_STEP, step * ROWS_A_STEP
        if found and found[-1][1] == first:
            found[-1][1] = end
        else:
            found.append([first, end])
    return found


def exact(line):
    return {field: line.get(field) for field in EXACT}


class Spikes(RunTest):

    def skipped_steps(self, run):
        text = self.workspace.program('data', 'batch', str(run.folder), '--step', '1',
                                      '--num-steps', str(STEPS), '--json')
        decoder, steps = json.JSONDecoder(), []
        while text.strip():
            step, end = decoder.raw_decode(text.lstrip())
            text = text.lstrip()[end:]
            steps.append(step)
        return [step['step'] for step in steps if step['skipped']]

    def test_are_skipped(self):
        options = (*SPIKES, 'numbers.spikes.policy=skip')
        whole = self.train(2, 'skip-whole', *options)
        lines = whole.metrics()
        spikes = spikes_of(lines)
        self.assertTrue(0 < len(spikes) < STEPS // 2, spikes)
        self.assertEqual([line['step'] for line in lines if line['skipped']], spikes)
        self.assertEqual({line.get('verdict') for line in lines if line['skipped']}, {'real'})
        state = state_of(whole.checkpoint(STEPS))
        self.assertEqual(state['num_updates'], STEPS - len(spikes))
        self.assertEqual(state['cursor']['segments'][-1]['skipped'], ranges(spikes))
        self.assertEqual(len(state['recent_steps']['losses']), 6)
        self.assertEqual(self.skipped_steps(whole), spikes)
        self.train(2, 'skip-parts', *options, f'run.stop_after_steps={spikes[0]}', code=STOPPED)
        parts = self.train(2, 'skip-parts', *options, '--resume', 'auto')
        for mine, theirs in zip(parts.metrics(), lines, strict=True):
            self.assertEqual(exact(mine), exact(theirs))
        self.assertEqual(state_of(parts.checkpoint(STEPS)) | {'attempt': 0}, state)

    def test_roll_back(self):
        options = (*SPIKES, 'numbers.spikes.policy=roll_back', 'checkpoint.interval=3 steps',
                   'checkpoint.asynchronous=false')
        run = self.train(2, 'back', *options, 'numbers.spikes.max_roll_backs=1', code=NON_FINITE)
        spikes = spikes_of(run.metrics())
        self.assertEqual(len(spikes), 2)
        self.assertIn('after 1 roll-backs (numbers.spikes.max_roll_backs)', run.our_errors()[0])
        before = 3 * ((spikes[0] - 1) // 3)
        passed_over = list(range(before + 1, spikes[0] + 1))
        self.assertIn(f'rolled back to runs/back/checkpoints/step-{before:06}\n'
                      f'skipped: steps {before + 1}-{spikes[0]}, ', run.err)
        state = state_of(run.checkpoint(spikes[0]))
        self.assertEqual(state['num_updates'], before)
        self.assertEqual(state['roll_backs'], 1)
        self.assertEqual(state['cursor']['segments'][-1]['skipped'], ranges(passed_over))
        self.assertEqual(self.skipped_steps(run), passed_over)
        self.assertEqual([line['attempt'] for line in run.metrics()],
                         [int(line['step'] > spikes[0]) for line in run.metrics()])
        # The lines of what was passed over stay, and the spike's says how far it went back.
        self.assertEqual([line['step'] for line in run.metrics()], list(range(1, spikes[1] + 1)))
        self.assertEqual({line['step']: line['rolled_back_to'] for line in run.metrics()
                          if 'rolled_back_to' in line}, {spikes[0]: before})

    def first_spike(self, name):
        """Its step, the same whatever follows it."""
        run = self.train(2, name, *SPIKES, 'numbers.spikes.policy=skip')
        return spikes_of(run.metrics())[0]

    def test_a_stop_in_the_step_that_rolls_back(self):
        """The roll-back is kept, and the run goes on behind it as if nobody had stopped it."""
        spike = self.first_spike('look-stop')
        options = (*SPIKES, 'numbers.spikes.policy=roll_back', 'checkpoint.interval=3 steps',
                   'checkpoint.asynchronous=false', 'numbers.spikes.max_roll_backs=1')
        before = 3 * ((spike - 1) // 3)
        stopped = self.train(2, 'back-stop', *options, f'run.stop_after_steps={spike}', code=STOPPED)
        self.assertEqual([line['step'] for line in stopped.metrics()], list(range(1, spike + 1)))
        state = state_of(stopped.checkpoint(spike))
        self.assertEqual(state['num_updates'], before)
        self.assertEqual(state['roll_backs'], 1)
        self.assertEqual(tensors_of(stopped.checkpoint(spike)),
                         tensors_of(stopped.checkpoint(before)))
        whole = self.train(2, 'back-whole', *options, code=NON_FINITE)
        again = self.train(2, 'back-stop', *options, '--resume', 'auto', code=NON_FINITE)
        for mine, theirs in zip(again.metrics(), whole.metrics(), strict=True):
            self.assertEqual(exact(mine), exact(theirs))

    def test_a_spike_while_the_first_checkpoint_is_written(self):
        """The save under way is brought to its end, and is the one to go back to."""
        spike = self.first_spike('look-save')
        before = min(spike - 1, PHASE_EDGE)
        environment = self.workspace.environment
        environment |= {'LD_PRELOAD': os.environ['PHALANX_MEMORY_FAULTS'],
                        'PHALANX_SLOW_FSYNC': '700'}
        self.addCleanup(lambda: [environment.pop(name, None)
                                 for name in ('LD_PRELOAD', 'PHALANX_SLOW_FSYNC')])
        run = self.train(2, 'first-save', *SPIKES, 'numbers.spikes.policy=roll_back',
                         f'checkpoint.interval={before} steps', f'run.stop_after_steps={spike}',
                         code=STOPPED)
        line = run.metrics()[-1]
        self.assertEqual((line['step'], line['saving']), (spike, True), 'else this shows nothing')
        self.assertEqual(line['rolled_back_to'], before)
        self.assertIn(f'rolled back to runs/first-save/checkpoints/step-{before:06}\n', run.err)
        self.assertEqual(tensors_of(run.checkpoint(spike)), tensors_of(run.checkpoint(before)))

    def test_stop(self):
        run = self.train(1, 'stop', *SPIKES, 'numbers.spikes.policy=stop', code=NON_FINITE)
        self.assertRegex(run.our_errors()[0],
                         r'error: step \d+: loss \S+ or gradient norm \S+ is a spike '
                         r'\(numbers\.spikes\.policy: stop\)$')
        self.assertEqual(spikes_of(run.metrics()), [run.metrics()[-1]['step']])

    def test_what_is_looked_at_changes_nothing(self):
        plain = self.train(2, 'plain', 'numbers.check_interval=0').metrics()
        checked = self.train(2, 'checked', 'numbers.check_interval=1').metrics()
        self.assertEqual([exact(line) for line in checked], [exact(line) for line in plain])


if __name__ == '__main__':
    main()
