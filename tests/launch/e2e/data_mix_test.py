"""`data mix` prints the plan that training follows: the same text, the rows that the ledger of the
finished run counts, and a picture that other programs read."""

import json
import os
import subprocess
import xml.etree.ElementTree as xml

from support import BAD_INPUT, SEQUENCE, STEPS, STOPPED, RunTest, main, state_of

SVG = '{http://www.w3.org/2000/svg}'
SOURCES = ('code', 'prose', 'sums')


class DataMix(RunTest):

    def mix(self, *arguments):
        return json.loads(self.workspace.program('data', 'mix', *arguments, '--json'))

    def refused(self, *arguments):
        done = subprocess.run([self.workspace.binary, 'data', 'mix', *arguments],
                              cwd=self.workspace.path, env=self.workspace.environment,
                              capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual((done.returncode, done.stdout), (BAD_INPUT, ''), done.stderr)
        return done.stderr

    def test_the_plan_is_what_a_run_follows(self):
        run = self.train(1, 'plan')
        text = self.workspace.program('data', 'mix', 'run.yaml')
        self.assertTrue(run.err.startswith(text[:text.index('\n\n')]), text + run.err)
        plan = self.mix('run.yaml')
        self.assertEqual([plan['num_steps'], plan['tokens']], [STEPS, STEPS * 8 * SEQUENCE])
        taken = {stream['source']: stream['rows']
                 for stream in state_of(run.checkpoint(STEPS))['cursor']['taken']}
        rows = dict.fromkeys(SOURCES, 0)
        for phase in plan['phases']:
            for source in phase['sources']:
                rows[source['source']] += source['rows']
        self.assertEqual(rows, taken)
        drawn = [sum(stretch['drawn_rows'][k] for stretch in plan['curve']['stretches'])
                 for k in range(3)]
        self.assertEqual(dict(zip(plan['curve']['sources'], drawn)), taken)
        self.assert_steps(plan, run)

    def assert_steps(self, plan, run):
        """First and last steps of a source, and where one runs out, against the metrics."""
        targets = {line['step']: {source: line['sources'][source]['targets']
                                  for source in SOURCES} for line in run.metrics()}
        for phase in plan['phases']:
            for source in phase['sources']:
                steps = [step for step in range(phase['first_step'], phase['last_step'] + 1)
                         if targets[step][source['source']] > 0]
                self.assertEqual([source['first_step'], source['last_step']],
                                 [steps[0], steps[-1]])
        (event,) = plan['exhausted']
        self.assertEqual([event['source'], event['phase']], ['sums', 'pretrain/reasoning'])
        self.assertTrue(all(targets[step]['sums'] == 0
                            for step in range(event['step'] + 1, STEPS + 1)))
        self.assertGreater(targets[event['step'] - 1]['sums'], 0)

    def test_overrides_and_ranks(self):
        plan = self.mix('run.yaml', 'stages[0].phases[0].mix.sums=0.2')
        sums = next(entry for entry in plan['phases'][0]['sources'] if entry['source'] == 'sums')
        self.assertLess(abs(sums['rows'] - 0.2 * 96), 1)
        self.assertIn('global_batch_size', self.refused('run.yaml', '--ranks', '3'))
        self.assertIn('is never drawn',
                      self.workspace.program('data', 'mix', 'run.yaml',
                                             'stages[0].phases[0].mix.sums=0',
                                             'stages[0].phases[1].mix.sums=0'))

    def test_a_run_that_goes_on(self):
        self.train(1, 'goes-on', 'run.stop_after_steps=10', code=STOPPED)
        checkpoint = 'runs/goes-on/checkpoints/step-000010'
        for where in ('runs/goes-on', checkpoint):
            self.assertEqual(self.mix(where), self.mix('run.yaml'))
        change = ('stages[0].phases[0].mix.sums=0.3', '--resume-from', checkpoint)
        self.assertIn('stages[0].phases[0]', self.refused('run.yaml', *change))
        plan = self.mix('run.yaml', 'curriculum_from=resume', *change)
        self.assertEqual([plan['first_step'], plan['num_steps']], [11, STEPS - 10])
        run = self.train(1, 'goes-on', 'curriculum_from=resume', change[0], '--resume', 'auto')
        self.assertEqual(self.mix('runs/goes-on'), plan)
        taken = {stream['source']: stream['rows'] * SEQUENCE
                 for stream in state_of(run.checkpoint(STEPS))['cursor']['taken']}
        self.assertEqual({source['source']: source['tokens'] + source['tokens_before']
                          for source in plan['sources']}, taken)

    def test_nothing_is_left_to_train(self):
        """A finished run whose curriculum was cut to less than it has taken, or not at all."""
        whole = self.train(1, 'finished')
        shorter = ('stages[0].phases[1].tokens=1024', 'curriculum_from=resume')
        end = 'runs/finished/checkpoints/step-000020'
        text = self.workspace.program('data', 'mix', 'run.yaml', *shorter, '--resume-from', end,
                                      '--svg', 'left.svg')
        self.assertEqual(text.rstrip(),
                         'plan: 0 steps, 0 tokens, from step 21 on\n'
                         '  note: nothing is left to train: the curriculum ends where the run '
                         'stands')
        root = xml.parse(self.workspace.path / 'left.svg').getroot()
        self.assertTrue(any('Nothing is left to train' in ''.join(node.itertext())
                            for node in root.iter(SVG + 'text')))
        plan = self.mix('run.yaml', *shorter, '--resume-from', end)
        self.assertEqual([plan['num_steps'], plan['phases'], len(plan['notes'])], [0, [], 1])
        for change in ((), shorter[1:], shorter):
            again = self.train(1, 'finished', *change, '--resume', 'auto')
            self.assertIn(f'runs/finished finished after step {STEPS} of {STEPS}', again.out)
            for line in whole.out.splitlines():
                if line.startswith(SOURCES):
                    self.assertIn(line.split()[-4:], [row.split()[-4:]
                                                      for row in again.out.splitlines()])
        self.assertEqual(len(again.metrics()), STEPS)

    def test_the_picture(self):
        self.workspace.program('data', 'mix', 'run.yaml', 'run.name=a-b', '--svg', 'mix.svg')
        root = xml.parse(self.workspace.path / 'mix.svg').getroot()
        texts = [''.join(node.itertext()) for node in root.iter(SVG + 'text')]
        self.assertEqual(texts[0], 'a-b')
        for part in ('sums runs out', 'reasoning'):
            self.assertTrue(any(part in text for text in texts), texts)
        lines = [node for node in root.iter(SVG + 'path') if node.find(SVG + 'title') is not None]
        self.assertEqual([node.find(SVG + 'title').text for node in lines], ['code', 'prose', 'sums'])
        self.assertEqual(['stroke-dasharray' in node.attrib for node in lines],
                         [False, False, True])
        dots = [node for node in root.iter(SVG + 'path')
                if node.get('stroke-linecap') == 'round']
        self.assertEqual(len(dots), 3)
        self.assertNotIn('http', ''.join(value for node in root.iter()
                                         for value in node.attrib.values()))

    def test_every_shard_has_its_size(self):
        self.workspace.program('data', 'pack', '--input', 'text/prose', '--tokenizer', 'tokenizer',
                               '--output', 'data/cut', '--kind', 'organic', '--shard-tokens',
                               '20000')
        files = sorted((self.workspace.path / 'data' / 'cut' / 'train').glob('shard-*.bin'))
        self.assertGreater(len(files), 2)
        source = 'data.sources.prose.path=data/cut'
        self.mix('run.yaml', source)
        os.truncate(files[2], 100)
        self.assertIn(f'{files[2].relative_to(self.workspace.path)}: size: expected ',
                      self.refused('run.yaml', source))

    def test_a_plan_that_cannot_be(self):
        self.assertIn('data.sources.sums.max_epochs',
                      self.refused('run.yaml', 'data.on_exhausted=error', '--svg', 'none.svg'))
        self.assertFalse((self.workspace.path / 'none.svg').exists())


if __name__ == '__main__':
    main()
