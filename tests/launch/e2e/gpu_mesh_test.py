"""Runs on GPUs: tensor and data parallelism over NCCL give the losses of one rank, and a resumed run
repeats the bits. With fewer than four GPUs the ranks share one, each as a host of its own to NCCL."""

import os
import shutil
import subprocess

from resume_test import Resume
from support import RunTest, Workspace, main

# Kernels multiply fp32 as products of TF32 and add in other orders than one rank does.
TOLERANCE = 1e-4


def num_gpus():
    if shutil.which('nvidia-smi') is None:
        return 0
    done = subprocess.run(['nvidia-smi', '--list-gpus'], capture_output=True, text=True, check=False)
    return done.stdout.count('UUID') if done.returncode == 0 else 0


class GpuWorkspace(Workspace):

    def __init__(self):
        visible = os.environ.get('CUDA_VISIBLE_DEVICES')
        super().__init__()
        self.environment.pop('CUDA_VISIBLE_DEVICES')
        if visible is not None:
            self.environment['CUDA_VISIBLE_DEVICES'] = visible
        config = self.path / 'run.yaml'
        config.write_text(config.read_text().replace('parallel: {', 'parallel: {device: cuda, '))

    def command(self, ranks, *arguments):
        command = super().command(ranks, *arguments)
        if ranks > num_gpus():
            at = command.index(self.binary)
            command[at:at] = ['sh', '-c',
                              'NCCL_HOSTID=phalanx-$OMPI_COMM_WORLD_RANK exec "$0" "$@"']
        return command


class OnGpus(RunTest):

    @classmethod
    def setUpClass(cls):
        if num_gpus() > 0:
            cls.workspace = GpuWorkspace()
            cls.addClassCleanup(cls.workspace.close)

    def setUp(self):
        if num_gpus() == 0:
            self.skipTest('no GPU on this machine')


class GpuMesh(OnGpus):

    def test_two_by_two(self):
        for name, options in (('rows', ()), ('documents', ('data.document_mask=true',)),
                              ('whole', ('parallel.sequence_parallel=false',))):
            expected = self.train(1, f'{name}-1x1', *options).metrics()
            for tensor, data in ((2, 1), (1, 2), (2, 2)):
                with self.subTest(f'{name} at {tensor}x{data}'):
                    found = self.train(tensor * data, f'{name}-{tensor}x{data}', *options,
                                       f'parallel.tensor_parallel_size={tensor}')
                    self.assert_close(found.metrics(), expected, TOLERANCE)

    def test_pieces_of_products(self):
        options = ('parallel.tensor_parallel_size=2',)
        whole = self.train(2, 'whole', *options, 'parallel.overlap_chunks=1').metrics()
        cut = self.train(2, 'cut', *options, 'parallel.overlap_chunks=3').metrics()
        self.assert_close(cut, whole, TOLERANCE)

    def test_graphs(self):
        plain = self.train(1, 'plain').metrics()
        graphed = self.train(1, 'graphed', 'parallel.cuda_graphs=true').metrics()
        self.assert_close(graphed, plain, TOLERANCE)

    def test_fp8(self):
        """Sixteen divides all sizes here, so every product of a block is in fp8."""
        bf16 = self.train(1, 'bf16', 'precision=bf16').metrics()
        fp8 = self.train(1, 'fp8', 'precision=fp8').metrics()
        self.assertNotEqual([line['loss'] for line in fp8], [line['loss'] for line in bf16])
        for mine, theirs in zip(fp8, bf16):
            self.assertLess(abs(mine['loss'] - theirs['loss']), 0.02 * theirs['loss'])


class GpuResume(OnGpus, Resume):
    """The cases of resume_test.py that are named, on GPUs."""

    def interrupt(self, ranks, tensor, stops, *options, **places):
        return super().interrupt(ranks, tensor, stops, 'reproducible=same_mesh', *options, **places)


if __name__ == '__main__':
    main()
