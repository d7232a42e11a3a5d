"""reproducible: one replica, and a run that moves from 1 to 4 to 2 to 8 of them over restarts, give the
same bits; what stands against that is refused."""

import hashlib

from support import BAD_INPUT, STOPPED, RunTest, main, tensors_of

STEPS = 60
# Eight micro-batches of two rows; five held-out rows of a source make a short one.
TREE = ('reproducible=dp_invariant', 'parallel.threads_per_rank=1',
        'stages[0].global_batch_size=16', 'stages[0].phases[0].tokens=18432',
        'stages[0].phases[1].tokens=12288', 'evaluation.interval=10 steps', 'evaluation.max_rows=5',
        'checkpoint.keep_last=9')
EXACT = ('step', 'tokens', 'loss', 'grad_norm', 'learning_rate', 'phase', 'sources', 'validation',
         'validation_before')


def exact(line):
    return {field: line.get(field) for field in EXACT}


class Reproducible(RunTest):

    def weights(self, run, step):
        """{file: hash} of the fp32 weights, which do not depend on the mesh."""
        folder = self.workspace.path / 'exported' / run.folder.name / str(step)
        self.workspace.program('export', str(run.checkpoint(step)), str(folder), '--dtype', 'fp32')
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                for path in sorted(folder.glob('*.safetensors'))}

    def moves(self, name, *options):
        options = (*TREE, *options)
        whole = self.train(1, f'{name}-whole', *options)
        for ranks, stop in ((1, 15), (4, 30), (2, 45)):
            self.train(ranks, f'{name}-moves', *options, f'run.stop_after_steps={stop}', '--resume',
                       'auto', code=STOPPED)
        end = self.train(8, f'{name}-moves', *options, '--resume', 'auto')
        self.assertEqual(len(whole.metrics()), STEPS)
        self.assertIn('validation', whole.metrics()[9])
        for mine, theirs in zip(end.metrics(), whole.metrics(), strict=True):
            self.assertEqual(exact(mine), exact(theirs))
        self.assertEqual([line['attempt'] for line in end.metrics()],
                         [step // 15 for step in range(STEPS)])
        expected = self.weights(whole, STEPS)
        self.assertTrue(expected)
        self.assertEqual(self.weights(end, STEPS), expected)
        return whole

    def test_moves_between_one_and_eight_replicas(self):
        whole = self.moves('fp32')
        usual = self.train(2, 'usual', *TREE[2:], 'run.stop_after_steps=5', code=STOPPED).metrics()
        self.assert_close(usual, whole.metrics()[:5])
        self.assertNotEqual([line['loss'] for line in usual],
                            [line['loss'] for line in whole.metrics()[:5]])

    def test_moves_in_bf16(self):
        self.moves('bf16', 'precision=bf16')

    def test_two_runs_on_one_mesh(self):
        options = ('reproducible=same_mesh', 'parallel.tensor_parallel_size=2')
        first, second = (self.train(4, name, *options) for name in ('first', 'second'))
        for mine, theirs in zip(first.metrics(), second.metrics(), strict=True):
            self.assertEqual(exact(mine), exact(theirs))
        self.assertEqual(tensors_of(first.checkpoint(20)), tensors_of(second.checkpoint(20)))

    def refused(self, ranks, name, *options):
        return self.train(ranks, name, *TREE, *options, code=BAD_INPUT).err

    def test_what_stands_against_it_is_refused(self):
        self.train(1, 'pinned', *TREE, 'run.stop_after_steps=1', code=STOPPED)
        message = self.refused(1, 'pinned', 'stages[0].micro_batch_size=1', '--resume', 'auto')
        self.assertIn('stages[0].micro_batch_size: fixed for a run with reproducible: dp_invariant; '
                      'the checkpoint has 2, this configuration 1 (command line)', message)
        threads = [option.replace('per_rank=1', 'per_rank=2') for option in TREE]
        message = self.train(1, 'pinned', *threads, '--resume', 'auto', code=BAD_INPUT)
        self.assertIn('parallel.threads_per_rank: fixed for a run with reproducible: dp_invariant; '
                      'the checkpoint has 1, this configuration 2', message.err)
        message = self.refused(6, 'six', 'stages[0].micro_batch_size=1',
                               'parallel.tensor_parallel_size=2', 'stages[0].batch_ramp=[]')
        self.assertIn('expected a power of two of data-parallel replicas, got 3', message)


if __name__ == '__main__':
    main()
