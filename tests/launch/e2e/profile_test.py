"""`train --profile`: a trace of the steps asked for, a file a rank, which shows that gradients are
reduced behind the backward pass."""

import json

from support import BAD_INPUT, STOPPED, RunTest, main

SHORT = 'run.stop_after_steps=5'


class Profile(RunTest):

    def events(self, folder, rank):
        trace = json.loads((folder / 'profile' / f'rank-{rank:04}.json').read_text())
        return [event for event in trace['traceEvents'] if event.get('ph') == 'X']

    def test_a_trace_a_rank_shows_the_reduction_behind_the_backward_pass(self):
        result = self.train(2, 'traced', SHORT, '--profile', '3-4', code=STOPPED)
        self.assertIn('profile: ', result.err)
        self.assertNotIn('ERROR', result.err)  # of a library that misses a GPU
        for rank in (0, 1):
            events = self.events(result.folder, rank)
            updates = sorted(e['ts'] for e in events if e['name'] == 'optimizer')
            self.assertEqual(len(updates), 2)  # two steps
            backward = [e['ts'] for e in events
                        if e['name'].startswith('linear backward') and e['ts'] < updates[0]]
            reductions = [e['ts'] for e in events if e['name'] == 'reduce-scatter']
            self.assertLess(min(reductions), max(backward))

    def test_what_is_no_range_of_steps_is_refused(self):
        for steps in ('0', '5-3', 'x', '3-', '1-2-3'):
            result = self.train(1, 'refused', '--profile', steps, code=BAD_INPUT)
            self.assertIn('--profile', result.err)
            self.assertIn(f"found '{steps}'", result.err)

    def test_a_run_that_ends_before_says_so(self):
        result = self.train(1, 'short', SHORT, '--profile', '400', code=STOPPED)
        self.assertIn('no profile: the run ended at step 5, before step 400', result.err)
        self.assertEqual(list(result.folder.glob('profile/*')), [])


if __name__ == '__main__':
    main()
