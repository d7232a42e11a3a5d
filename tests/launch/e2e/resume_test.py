"""A run that was stopped and resumed is the run that was not, bit for bit on the same mesh."""

import shutil

from support import CONFIG, STEPS, STOPPED, RunTest, main, state_of, tensors_of

EXACT = ('step', 'tokens', 'loss', 'grad_norm', 'learning_rate', 'phase', 'sources')
# Twice the length and four more steps, after STEPS.
LONGER_ROWS = """\
  - name: longer
    sequence_length: 64
    rope_theta: 50000
    global_batch_size: 4
    micro_batch_size: 2
    allow_repeat: true
    learning_rate: {peak: 1e-3, schedule: cosine}
    phases:
      - {name: last, tokens: 1024, mix: {organic: 1.0}}
"""


def mesh(tensor):
    return f'parallel.tensor_parallel_size={tensor}'


class Resume(RunTest):

    def assert_equal_runs(self, found, expected, last):
        for mine, theirs in zip(found.metrics(), expected.metrics(), strict=True):
            self.assertEqual({field: mine[field] for field in EXACT},
                             {field: theirs[field] for field in EXACT})
            self.assertEqual(mine.get('validation'), theirs.get('validation'))
        self.assertEqual([line['step'] for line in found.metrics()], list(range(1, last + 1)))
        for step in (12, last):  # edges of phases
            mine, theirs = (tensors_of(run.checkpoint(step)) for run in (found, expected))
            self.assertGreater(len(theirs), 3 * 10)
            self.assertEqual(mine.keys(), theirs.keys())
            self.assertEqual([name for name in theirs if mine[name] != theirs[name]], [])
            mine, theirs = (state_of(run.checkpoint(step)) for run in (found, expected))
            self.assertEqual(mine | {'attempt': 0}, theirs)

    def interrupt(self, ranks, tensor, stops, *options, last=STEPS, config='run.yaml'):
        """Trains without and with stops after the steps `stops`; the runs must be equal."""
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
        self.assert_equal_runs(end, whole, last)

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

    def test_over_the_edge_of_a_stage(self):
        text = CONFIG.replace('optimizer:', LONGER_ROWS + 'optimizer:')
        (self.workspace.path / 'stages.yaml').write_text(text)
        self.interrupt(2, 2, [STEPS, STEPS + 2], last=STEPS + 4, config='stages.yaml')

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
