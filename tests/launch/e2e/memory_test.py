"""A rank that gets no memory at some moment, as on a host that is full: one message, every rank ends,
what was saved is whole and goes on with the same bits. A save that gets none costs that save."""

import os
import random
import re

from support import BAD_INPUT, DONE, STEPS, RunTest, main, read_metrics, report_faults, tensors_of

ALL = os.environ.get('PHALANX_ALL_FAULTS', '') == '1'  # also those that take minutes
SAVES = ('checkpoint.interval=3 steps', 'checkpoint.keep_last=99')
# With saves that are waited for all of them are made, and each time the same ones.
WAITING = (*SAVES, 'checkpoint.asynchronous=false')
FAULTS = ('PHALANX_FAIL_ALLOCATION', 'PHALANX_FAULT_RANK', 'PHALANX_SLOW_FSYNC', 'PHALANX_FAULT_LOG',
          'LD_PRELOAD')


class OutOfMemory(RunTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.clean = cls.workspace.train(2, 'clean', *WAITING)
        assert cls.clean.code == DONE, str(cls.clean)
        cls.failed = 0

    @classmethod
    def tearDownClass(cls):
        report_faults(cls.failed, 'allocations that failed')

    def faulty(self, name, place, rank, *options, **faults):
        """A run in which the allocation at `place` fails; whether it was reached."""
        log = self.workspace.path / f'{name}.log'
        environment = self.workspace.environment
        environment |= {'PHALANX_FAIL_ALLOCATION': place, 'PHALANX_FAULT_RANK': str(rank),
                        'PHALANX_FAULT_LOG': str(log),
                        'LD_PRELOAD': os.environ['PHALANX_MEMORY_FAULTS'], **faults}
        try:
            result = self.workspace.train(2, name, *options, limit=60)
        finally:
            for variable in FAULTS:
                environment.pop(variable, None)
        self.log = log.read_text() if log.exists() else ''
        reached = 'no memory\n' in self.log
        type(self).failed += reached
        return result, reached

    def assert_ended(self, result, place):
        """One message, of one rank or of all, and no checkpoint that is not whole."""
        self.assertEqual(result.code, BAD_INPUT, f'{place}: {result}')
        self.assertEqual(len(result.our_errors()), 1, f'{place}: {result}')
        self.assertRegex(result.our_errors()[0], 'phalanx: error.*: out of memory: ',
                         f'{place}: {result}')
        for sign in ('terminate called', 'Segmentation', 'This is a bug'):
            self.assertNotIn(sign, result.err, f'{place}: {result}')
        for path in (result.folder / 'checkpoints').glob('step-??????'):
            self.workspace.program('checkpoint', 'verify', str(path))

    def assert_goes_on(self, name, place):
        run = self.train(2, name, *WAITING, '--resume', 'auto')
        losses = {line['step']: line['loss'] for line in run.metrics()}
        self.assertEqual(losses, {line['step']: line['loss'] for line in self.clean.metrics()}, place)
        self.assertEqual(tensors_of(run.checkpoint(STEPS)), tensors_of(self.clean.checkpoint(STEPS)))

    def ends(self, place, rank, *options):
        """The run ends with a message, or had that allocation only once it was over."""
        name = re.sub(r'\W', '-', f'{place}-{rank}')
        result, reached = self.faulty(name, place, rank, *options)
        if reached:
            self.assert_ended(result, place)
            self.assert_goes_on(name, place)
        else:
            self.assertEqual(result.code, DONE, f'{place}: {result}')
        return reached

    def test_a_loader_without_memory(self):
        reached = [self.ends(f'loader:{number}', number % 2, *WAITING)
                   for number in ((1, 40) if not ALL else (*range(1, 40), 100, 150, 200, 300))]
        self.assertGreaterEqual(sum(reached), len(reached) - 3)

    def test_a_start_without_memory(self):
        chance = random.Random(3)
        numbers = [int(10 ** chance.uniform(0, 5.5)) for _ in range(200 if ALL else 5)]
        reached = [self.ends(f'main:{number}', chance.randrange(2), *WAITING) for number in numbers]
        self.assertGreater(sum(reached), len(reached) // 2)

    def test_a_saver_without_memory(self):
        """The save fails, is named, and the next one is made."""
        reached = 0
        for number in range(1, 400, 3 if ALL else 120):
            place, rank = f'saver:{number}', number % 2
            name = f'saver-{number}'
            result, failed = self.faulty(name, place, rank, *SAVES)
            reached += failed
            self.assertEqual(result.code, DONE, f'{place}: {result}')
            notes = [line for line in result.err.splitlines() if 'save failed: ' in line]
            self.assertLessEqual(len(notes), 1, f'{place}: {result}')
            for line in notes:
                self.assertIn('save failed: out of memory: ', line)
            if failed:
                self.assertEqual(result.metrics()[-1]['saves_failed'], len(notes))
            self.assertEqual(tensors_of(result.checkpoint(STEPS)),
                             tensors_of(self.clean.checkpoint(STEPS)))
            for path in (result.folder / 'checkpoints').glob('step-*'):
                self.workspace.program('checkpoint', 'verify', str(path))
        self.assertGreater(reached, 1)

    def test_an_error_of_a_rank_is_spoken_before_its_save_is_waited_for(self):
        result, reached = self.faulty('spoken', 'step:200', 1, *SAVES, PHALANX_SLOW_FSYNC='20000')
        self.assertTrue(reached, str(result))
        self.assert_ended(result, 'step:200')
        self.assertIn('error on rank 1: ', result.our_errors()[0])
        self.assertNotIn('fsync ended', self.log, 'the save was waited for')
        self.assertLess(len(read_metrics(result.folder)), STEPS)


if __name__ == '__main__':
    main()
