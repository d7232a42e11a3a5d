"""A run that was stopped and resumed is the run that was not, bit for bit on the same mesh."""

import shutil

from support import (BAD_INPUT, CONFIG, SEQUENCE, STEPS, STOPPED, RunTest, main, state_of,
                     tensors_of)

EXACT = ('step', 'tokens', 'loss', 'grad_norm', 'learning_rate', 'phase', 'sources')
# Eight times the length and four more steps, after STEPS.
LONGER_ROWS = """\
  - name: longer
    sequence_length: 256
    rope_theta: 250000
    global_batch_size: 2
    micro_batch_size: 1
    allow_repeat: true
    learning_rate: {peak: 1e-3, schedule: cosine}
    phases:
      - {name: last, tokens: 2048, mix: {organic: 1.0}}
"""
# Steps 1 to 4 of 8 rows, 5 to 8 of 16, 9 and 10 of 32; the second phase begins with step 9.
GROWING_STEPS = 4 * [8] + 4 * [16] + 2 * [32]
GROWING = """\
    batch_ramp:
      - {from_tokens: 1K, global_batch_size: 16}
      - {from_tokens: 3K, global_batch_size: 32}
"""

IN_BF16 = ('optimizer.state=bf16', 'optimizer.master=bf16', 'gradients=bf16')

# As phi-4-mini's, with rows longer than its original context.
POSITIONS = """\
  initializer_range: 0.1
  tie_word_embeddings: true
  partial_rotary_factor: 0.75
  rope_scaling: longrope
  rope_short_factor: [1, 1.0625, 1.118320672]
  rope_long_factor: [1, 1.250641126, 47.77]
  original_max_position_embeddings: 16
  max_position_embeddings: 64
  sliding_window: 24
"""


def mesh(tensor):
    return f'parallel.tensor_parallel_size={tensor}'


class Resume(RunTest):

    def assert_equal_runs(self, found, expected, edges):
        for mine, theirs in zip(found.metrics(), expected.metrics(), strict=True):
            self.assertEqual({field: mine[field] for field in EXACT},
                             {field: theirs[field] for field in EXACT})
            self.assertEqual(mine.get('validation'), theirs.get('validation'))
        self.assertEqual([line['step'] for line in found.metrics()], list(range(1, edges[-1] + 1)))
        for step in edges:
            mine, theirs = (tensors_of(run.checkpoint(step)) for run in (found, expected))
            self.assertGreater(len(theirs), 3 * 10)
            self.assertEqual(mine.keys(), theirs.keys())
            self.assertEqual([name for name in theirs if mine[name] != theirs[name]], [])
            mine, theirs = (state_of(run.checkpoint(step)) for run in (found, expected))
            self.assertEqual(mine | {'attempt': 0}, theirs)

    def interrupt(self, ranks, tensor, stops, *options, edges=(12, STEPS), config='run.yaml'):
        """Trains without and with stops after the steps `stops`; the runs must be equal. `edges` are
        the last steps of the phases. Returns the whole run."""
        last = edges[-1]
        options = (mesh(tensor), 'checkpoint.keep_last=9', *options)
        name = self.id().rpartition('.')[2]
        whole = self.train(ranks, f'{name}-whole', *options, config=config)
        parts = f'{name}-parts'
        for step in stops:
            part = self.train(ranks, parts, *options, f'run.stop_after_steps={step}', '--resume',
                              'auto', config=config, code=STOPPED)
            self.assertEqual(part.metrics()[-1]['step'], step)
            self.assertTrue(part.checkpoint(step).is_dir())
        end = self.train(ranks, parts, *options, '--resume', 'auto', config=config)
        self.assertEqual([line['attempt'] for line in end.metrics()],
                         [sum(step > stop for stop in stops) for step in range(1, last + 1)])
        self.assert_equal_runs(end, whole, edges)
        return whole

    def test_one_rank(self):
        self.interrupt(1, 1, [10])

    def test_one_rank_stopped_in_a_ramp_too(self):
        self.interrupt(1, 1, [7, 14])

    def test_two_tensor_parallel_ranks(self):
        self.interrupt(2, 2, [10])

    def test_two_data_parallel_ranks(self):
        self.interrupt(2, 1, [10])

    def test_four_ranks(self):
        self.interrupt(4, 2, [10])

    def test_two_ranks_in_bf16(self):
        self.interrupt(2, 1, [10], 'precision=bf16')

    def test_two_ranks_that_keep_everything_in_bf16(self):
        self.interrupt(2, 1, [10], 'precision=bf16', *IN_BF16)

    def test_from_fp32_to_bf16_and_back(self):
        """A resume may change what is kept in bf16, and says how the tensors are taken."""
        stop = 'run.stop_after_steps={}'.format
        self.train(1, 'types', 'precision=bf16', stop(4), code=STOPPED)
        to_bf16 = self.train(1, 'types', 'precision=bf16', *IN_BF16, stop(8), '--resume', 'auto',
                             code=STOPPED)
        for tensors, field in (('masters', 'optimizer.master'), ('moments', 'optimizer.state')):
            self.assertIn(f"note: the checkpoint's {tensors} are fp32; {field}: bf16 rounds them to "
                          'nearest, once', to_bf16.err)
        to_fp32 = self.train(1, 'types', 'precision=bf16', stop(12), '--resume', 'auto', code=STOPPED)
        self.assertIn("note: the checkpoint's masters are bf16; optimizer.master: fp32 takes them as "
                      'they are', to_fp32.err)
        whole = self.train(1, 'types-whole', 'precision=bf16', stop(12), code=STOPPED)
        self.assert_close(to_fp32.metrics()[4:], whole.metrics()[4:], 0.02)

    def test_from_the_resolved_configuration(self):
        """A run's own config.yaml holds all there is to say, lists of rotation factors too."""
        config = self.write('longrope.yaml',
                            CONFIG.replace('  initializer_range: 0.1\n', POSITIONS))
        whole = self.train(1, 'longrope', config=config)
        self.train(1, 'resolved', 'run.stop_after_steps=10', config=config, code=STOPPED)
        end = self.train(1, 'resolved', 'run.stop_after_steps=0', '--resume', 'auto',
                         config='runs/resolved/config.yaml')
        self.assertEqual([line['attempt'] for line in end.metrics()], 10 * [0] + 10 * [1])
        self.assert_equal_runs(end, whole, (12, STEPS))
        other = self.train(1, 'other', 'model.rope_long_factor=[1, 1.25, 47.77]',
                           'run.stop_after_steps=1', config=config, code=STOPPED)
        self.assertNotEqual(other.metrics()[0]['loss'], whole.metrics()[0]['loss'])

    def write(self, name, text):
        (self.workspace.path / name).write_text(text)
        return name

    def test_over_the_edge_of_a_stage(self):
        """Longer rows with another base of the rotation, another batch and their own rate."""
        config = self.write('stages.yaml', CONFIG.replace('optimizer:', LONGER_ROWS + 'optimizer:'))
        whole = self.interrupt(2, 2, [STEPS, STEPS + 2], 'data.document_mask=true',
                               edges=(12, STEPS, STEPS + 4), config=config)
        self.assertIn('longer/last: steps 21-24 of 2 rows, 2.0K tokens of rows of 256', whole.err)
        after = whole.metrics()[STEPS:]
        self.assertEqual([line['phase'] for line in after], 4 * ['longer/last'])
        self.assertEqual([line['tokens'] for line in after],
                         [STEPS * 8 * SEQUENCE + 512 * step for step in range(1, 5)])
        self.assertEqual(after[0]['learning_rate'], 1e-3)
        theta = self.train(2, 'other-theta', 'stages[1].rope_theta=10000', 'data.document_mask=true',
                           'parallel.tensor_parallel_size=2', config=config).metrics()
        self.assertEqual(theta[STEPS - 1]['loss'], whole.metrics()[STEPS - 1]['loss'])
        self.assertNotEqual(theta[STEPS]['loss'], after[0]['loss'])
        refused = self.train(1, 'repeat', 'stages[1].allow_repeat=false', config=config,
                             code=BAD_INPUT)
        self.assertRegex(refused.our_errors()[0],
                         r'error: stages\[1\]\.allow_repeat: expected `true`, because source code '
                         r'was read at another sequence length before and up to \d+ of its tokens '
                         r'may be read again at 256; found `false`$')

    def test_steps_skipped_over_the_edge_of_a_stage(self):
        """The checkpoint that is saved behind them knows where the stage began that they began."""
        config = self.write('stages.yaml', CONFIG.replace('optimizer:', LONGER_ROWS + 'optimizer:'))
        self.train(1, 'skips', f'run.stop_after_steps={STEPS - 1}', config=config, code=STOPPED)
        run = self.train(1, 'skips', '--resume', 'auto', '--skip-steps', '3', config=config)
        skipped, end = (state_of(run.checkpoint(step)) for step in (STEPS + 2, STEPS + 4))
        self.assertEqual(skipped['stage_first_rows'], {'pretrain': 0, 'longer': 8 * STEPS})
        self.assertEqual(end['stage_first_rows'], skipped['stage_first_rows'])

    def test_in_a_growing_batch(self):
        config = self.write('growing.yaml', CONFIG.replace('    micro_batch_size',
                                                           GROWING + '    micro_batch_size'))
        whole = self.interrupt(2, 1, [3, 4, 7], edges=(8, 10), config=config)
        self.assertIn('plan: 10 steps, 5.1K tokens', whole.err)
        self.assertIn('pretrain/foundation: steps 1-8 of 8, 16 rows, 3.1K tokens', whole.err)
        self.assertIn('pretrain/reasoning: steps 9-10 of 32 rows, 2.0K tokens', whole.err)
        rows = [sum(GROWING_STEPS[:step]) for step in range(1, 11)]
        lines = whole.metrics()
        self.assertEqual([line['tokens'] for line in lines], [SEQUENCE * row for row in rows])
        # Four steps of warm-up, then a straight line in tokens over the other 128 of 160 rows.
        self.assertEqual([line['learning_rate'] for line in lines[:4]],
                         [3e-3 * step / 4 for step in range(1, 5)])
        for before, line in zip(rows[3:-1], lines[4:], strict=True):
            self.assertAlmostEqual(line['learning_rate'],
                                   3e-4 + 2.7e-3 * (1 - (before - 32) / 128), delta=1e-12)
        past = self.train(2, 'growing-past', 'run.stop_after_steps=6', config=config, code=STOPPED)
        name = past.folder.name
        refused = self.train(2, name, 'stages[0].batch_ramp[0].from_tokens=512', '--resume', 'auto',
                             config=config, code=BAD_INPUT)
        self.assertIn('stages: expected step 6 to begin at row 64', refused.our_errors()[0])
        shutil.copytree(past.folder, self.workspace.run_folder('growing-mix'))
        mixed = self.train(1, 'growing-mix', 'stages[0].phases[1].mix.sums=0.1',
                           'stages[0].phases[0].mix.sums=0.2', 'curriculum_from=resume', '--resume',
                           'auto', config=config).metrics()
        for mine, line in zip(mixed, lines, strict=True):
            self.assertEqual(mine['tokens'], line['tokens'])
            self.assertAlmostEqual(mine['learning_rate'], line['learning_rate'], delta=1e-12)
        future = self.train(2, name, 'stages[0].batch_ramp[1].global_batch_size=64', '--resume',
                            'auto', config=config)
        self.assertEqual(future.metrics()[-1]['step'], 9)

    def test_another_mesh(self):
        """A checkpoint of 2x2 goes on at other meshes as the whole run does at 2x2."""
        expected = self.train(4, 'other-whole', mesh(2)).metrics()
        self.train(4, 'other', mesh(2), 'run.stop_after_steps=10', code=STOPPED)
        for tensor, data in ((1, 1), (4, 1), (1, 4), (1, 2)):
            with self.subTest(f'{tensor}x{data}'):
                name = f'other-{tensor}x{data}'
                shutil.copytree(self.workspace.run_folder('other'), self.workspace.run_folder(name))
                found = self.train(tensor * data, name, mesh(tensor), 'run.stop_after_steps=12',
                                   '--resume', 'auto', code=STOPPED).metrics()
                self.assert_close(found[:10], expected[:10], 0.0)
                self.assert_close(found[10:], expected[10:12])


if __name__ == '__main__':
    main()
