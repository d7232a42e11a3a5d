"""Runs whose sources change: held-out tokens of a corpus made elsewhere, and sources added and
removed between two parts of a run, at other numbers of replicas, with an exact ledger."""

import json
import re
import shutil

from support import BAD_INPUT, CONFIG, SEQUENCE, STEPS, STOPPED, RunTest, main, state_of

HELD_OUT = 'data.sources.prose.validation.last_tokens'
ADDED = ('data.sources.extra={path: data/extra, kind: organic, max_epochs: 2}',
         'stages[0].phases[1].mix={sums: 0.2, extra: 0.5, organic: rest}')


class ForeignCorpus(RunTest):
    """`adopted` is the prose as another tool would have left it: no parts, not shuffled."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = cls.workspace.path / 'adopted'
        shutil.copytree(cls.workspace.path / 'data' / 'prose' / 'train', folder)
        manifest = json.loads((folder / 'dataset.json').read_text())
        manifest['packing'] |= {'part': 'adopted', 'shuffled': False, 'validation_per_mille': 0}
        (folder / 'dataset.json').write_text(json.dumps(manifest))
        cls.tokens = manifest['tokens']

    ADOPTED = 'data.sources.prose.path=adopted'

    def test_its_last_tokens_are_held_out(self):
        options = (self.ADOPTED, 'evaluation.max_rows=1000')
        run = self.train(2, 'held-out', *options, f'{HELD_OUT}=1000')
        for line, field in ((run.metrics()[0], 'validation_before'), (run.metrics()[-1], 'validation')):
            self.assertEqual(line[field]['prose']['targets'], 999)
        self.assertIn(f'{HELD_OUT}: expected 0, or 2 to {self.tokens - 2} of the {self.tokens} '
                      f'tokens of adopted, got {self.tokens - 1}',
                      self.refused(*options, f'{HELD_OUT}={self.tokens - 1}'))
        self.assertEqual(self.rows_of_prose(*options, f'{HELD_OUT}=1000'),
                         -(-(self.tokens - 1000 - 1) // SEQUENCE))
        self.assertEqual(self.rows_of_prose(*options), -(-(self.tokens - 1) // SEQUENCE))
        self.assertNotIn('prose', self.train(1, 'no-part', *options).metrics()[-1]['validation'])

    def rows_of_prose(self, *options):
        """Rows of an epoch, as a plan that needs too many says."""
        text = self.train(1, 'refused', *options, 'data.on_exhausted=error',
                          'stages[0].phases[0].tokens=10M', code=BAD_INPUT).err
        return int(re.search(r'sources\.prose\.max_epochs: .* epochs of (\d+) rows', text)[1])

    def refused(self, *options):
        result = self.train(1, 'refused', *options, code=BAD_INPUT)
        self.assertEqual(len(result.our_errors()), 1, str(result))
        return result.our_errors()[0]

    def test_held_out_tokens_are_fixed_and_stand_in_for_a_part_of_their_own(self):
        self.assertEqual(
            self.refused(f'{HELD_OUT}=1000'),
            f'phalanx: error: {HELD_OUT}: expected 0, because data/prose/validation is the held-out '
            'part of the data set, got 1000')
        self.train(1, 'fixed', self.ADOPTED, f'{HELD_OUT}=1000', 'run.stop_after_steps=2',
                   code=STOPPED)
        again = self.train(1, 'fixed', self.ADOPTED, f'{HELD_OUT}=2000', '--resume', 'auto',
                           code=BAD_INPUT)
        self.assertIn(f'{HELD_OUT}: fixed for a run; the checkpoint has 1000, this configuration '
                      '2000 (command line)', again.err)
        forked = self.train(1, 'forked', self.ADOPTED, f'{HELD_OUT}=2000', code=BAD_INPUT,
                            *['fork.from=runs/fixed/checkpoints/step-000002'])
        self.assertEqual(forked.our_errors(),
                         [f'phalanx: error: {HELD_OUT}: expected 1000, with which the ledger counts '
                          'rows of source prose, found 2000: put it back, or give the source another '
                          'name'])

    def test_what_was_never_shuffled_is_said_once(self):
        warning = ('warning: data.sources.prose: the documents of adopted are in the order in which '
                   'they were found (dataset.json: packing.shuffled is false), so that a row holds '
                   'neighbours: pack the text with `phalanx data pack`, unless it was shuffled '
                   'before')
        for ranks in (1, 2):
            run = self.train(ranks, f'warned-{ranks}', self.ADOPTED, '--dry-run')
            found = [line for line in run.err.splitlines() if line.startswith('warning')]
            self.assertEqual(found, [warning])
        self.assertNotIn('warning', self.train(2, 'shuffled', '--dry-run').err)


class ChangedSources(RunTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.workspace.program('data', 'pack', '--input', 'text/prose', '--tokenizer', 'tokenizer',
                              '--output', 'data/extra', '--kind', 'organic', '--seed', '5')
        without = CONFIG.replace('    code:  {path: data/code,  kind: organic}\n', '')
        without = without.replace('{code: 0.5, prose: 0.5}', '{prose: 1.0}')
        (cls.workspace.path / 'without.yaml').write_text(without)

    def assert_ledger(self, run, segments):
        """Metrics, ledger and report count the same tokens of each source."""
        last, total, validated = {}, {}, None
        for line in run.metrics():
            for source, counts in line['sources'].items():
                total[source] = total.get(source, 0) + counts['tokens']
                self.assertEqual(counts['total_tokens'], total[source], f'{source} {line["step"]}')
                last[source] = total[source]
            self.assertEqual(sum(counts['tokens'] for counts in line['sources'].values()),
                             8 * SEQUENCE)
            validated = line.get('validation', validated)
        self.assertEqual([line['step'] for line in run.metrics()], list(range(1, STEPS + 1)))
        ledger = state_of(run.checkpoint(STEPS))['cursor']
        self.assertEqual({stream['source']: stream['rows'] * SEQUENCE for stream in ledger['taken']
                          if stream['rows']}, {name: n for name, n in last.items() if n})
        self.assertEqual([segment['first_step'] for segment in ledger['segments']], segments)
        self.assertEqual(ledger['row'], 8 * STEPS)
        for source in validated:
            self.assertRegex(run.out, rf'\n{source} +\w+ +\d+ +{last[source]} ')
        return last

    def test_a_source_added_to_the_future_needs_nothing(self):
        self.train(1, 'later', 'run.stop_after_steps=10', code=STOPPED)
        run = self.train(4, 'later', *ADDED, '--resume', 'auto')
        last = self.assert_ledger(run, [0])
        self.assertGreater(last['extra'], 20 * SEQUENCE)
        self.assertNotIn('extra', run.metrics()[9]['sources'])
        self.assertIn('extra', run.metrics()[-1]['validation'])
        self.assertRegex(run.out, r'\nextra .* \(added later\) -> \d')
        ledger = state_of(run.checkpoint(STEPS))['cursor']
        self.assertEqual([source['name'] for source in ledger['sources']],
                         ['code', 'extra', 'prose', 'sums'])

    def test_sources_added_and_removed_at_other_numbers_of_replicas(self):
        added = ('data.sources.extra={path: data/extra, kind: organic, max_epochs: 2}',
                 *(f'stages[0].phases[{phase}].mix={{sums: 0.2, extra: 0.5, organic: rest}}'
                   for phase in (0, 1)))
        self.train(2, 'changing', 'run.stop_after_steps=5', code=STOPPED)
        self.train(4, 'changing', *added, 'curriculum_from=resume', '--resume', 'auto',
                   'run.stop_after_steps=9', code=STOPPED)
        refused = self.train(1, 'changing', '--resume', 'auto', config='without.yaml',
                             code=BAD_INPUT)
        self.assertIn('stages[0].phases[0]: expected the schedule that the run followed up to row '
                      '72, found another', refused.our_errors()[0])
        run = self.train(1, 'changing', 'curriculum_from=resume', '--resume', 'auto',
                         config='without.yaml')
        last = self.assert_ledger(run, [0, 5, 9])
        self.assertEqual(set(last), {'code', 'extra', 'prose', 'sums'})
        self.assertEqual(set(run.metrics()[-1]['sources']), {'prose', 'sums'})
        self.assertEqual(set(run.metrics()[-1]['validation']), {'prose', 'sums'})
        for step, names in ((4, {'code', 'prose', 'sums'}), (8, {'code', 'extra', 'prose', 'sums'})):
            self.assertEqual(set(run.metrics()[step]['sources']), names)

    def test_a_removed_source_that_returns_goes_on_where_it_stopped(self):
        self.train(1, 'returns', 'run.stop_after_steps=5', code=STOPPED)
        self.train(2, 'returns', 'curriculum_from=resume', '--resume', 'auto',
                   'run.stop_after_steps=9', config='without.yaml', code=STOPPED)
        run = self.train(1, 'returns', 'curriculum_from=resume', '--resume', 'auto')
        lines = run.metrics()
        before, after = (line['sources']['code']['total_tokens'] for line in (lines[4], lines[-1]))
        self.assertEqual(after - before,
                         sum(line['sources']['code']['tokens'] for line in lines[9:]))
        self.assertGreater(before, 0)


if __name__ == '__main__':
    main()
