"""Runs on GPUs: tensor and data parallelism over NCCL give the losses of one rank, a GPU those of the
CPU, and a resumed run repeats the bits. With fewer than four GPUs the ranks share one, each as a host of
its own to NCCL."""

import json
import os
import re
import shutil
import subprocess

from resume_test import IN_BF16, Resume
from support import STOPPED, RunTest, Workspace, main, relative

# Kernels multiply fp32 as products of TF32 and add in other orders than one rank does.
TOLERANCE = 1e-4
# What bf16 rounds away, step after step.
BF16_TOLERANCE = 0.02
SAME_BITS = 'reproducible=same_mesh'


def ask_driver(*options):
    """Lines of nvidia-smi; none without it."""
    if shutil.which('nvidia-smi') is None:
        return []
    done = subprocess.run(['nvidia-smi', *options], capture_output=True, text=True, check=False)
    return done.stdout.splitlines() if done.returncode == 0 else []


def num_gpus():
    return sum('UUID' in line for line in ask_driver('--list-gpus'))


def is_hopper():
    return ask_driver('--query-gpu=compute_cap', '--format=csv,noheader')[:1] == ['9.0']


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

    def test_on_cpu(self):
        for name, options in (('rows', ()), ('documents', ('data.document_mask=true',))):
            for precision, tolerance in (('fp32', 1e-3), ('bf16', BF16_TOLERANCE)):
                with self.subTest(f'{name} in {precision}'):
                    options_of = (*options, f'precision={precision}')
                    found = self.train(1, f'{name}-{precision}-gpu', *options_of).metrics()
                    expected = self.train(1, f'{name}-{precision}-cpu', *options_of,
                                          'parallel.device=cpu').metrics()
                    self.assert_close(found, expected, tolerance)

    def test_two_by_two_in_bf16(self):
        for name, options in (('rows', ()), ('documents', ('data.document_mask=true',)),
                              ('state', IN_BF16)):
            with self.subTest(name):
                options = (*options, 'precision=bf16')
                one = self.train(1, f'{name}-bf16-1x1', *options).metrics()
                four = self.train(4, f'{name}-bf16-2x2', *options,
                                  'parallel.tensor_parallel_size=2').metrics()
                self.assert_losses(four, one, BF16_TOLERANCE)

    def test_graphs(self):
        for precision in ('fp32', 'bf16'):
            options = (SAME_BITS, f'precision={precision}')
            plain = self.train(1, f'plain-{precision}', *options).metrics()
            graphed = self.train(1, f'graphed-{precision}', *options,
                                 'parallel.cuda_graphs=true').metrics()
            self.assert_same(graphed, plain)

    def test_fp8(self):
        """Sixteen divides all sizes here, so every product of a block is in fp8."""
        bf16 = self.train(1, 'bf16', 'precision=bf16').metrics()
        for scaling in ('tensorwise', *(['rowwise'] if is_hopper() else [])):
            with self.subTest(scaling):
                fp8 = self.train(1, scaling, 'precision=fp8', f'fp8_scaling={scaling}').metrics()
                self.assertNotEqual([line['loss'] for line in fp8], [line['loss'] for line in bf16])
                self.assert_losses(fp8, bf16, BF16_TOLERANCE)

    def test_state_in_host_memory(self):
        here = self.train(1, 'state-on-gpu', SAME_BITS).metrics()
        host = (SAME_BITS, 'optimizer.offload=host')
        self.train(1, 'state-on-host', *host, 'run.stop_after_steps=10', code=STOPPED)
        resumed = self.train(1, 'state-on-host', *host, '--resume', 'auto').metrics()
        self.assert_same(resumed, here)

    def test_recompute(self):
        kept = self.train(1, 'kept', SAME_BITS).metrics()
        for mode in ('selective', 'full'):
            again = self.train(1, f'recompute-{mode}', SAME_BITS, f'recompute={mode}').metrics()
            self.assert_same(again, kept)

    def assert_same(self, found, expected):
        for field in ('step', 'loss', 'grad_norm'):
            self.assertEqual([line[field] for line in found], [line[field] for line in expected])

    def assert_losses(self, found, expected, tolerance):
        for mine, theirs in zip(found, expected, strict=True):
            self.assertLess(relative(mine['loss'], theirs['loss']), tolerance, mine['step'])


class GpuTrace(OnGpus):

    def test_gradients_are_reduced_before_the_backward_pass_ends(self):
        result = self.train(2, 'traced', 'run.stop_after_steps=5', '--profile', '4', code=STOPPED)
        trace = json.loads((result.folder / 'profile' / 'rank-0000.json').read_text())
        kernels = [(event['ts'], event['name']) for event in trace['traceEvents']
                   if event.get('cat') == 'kernel']
        update = min(start for start, name in kernels if 'LogicalPlaces' in name)  # trainer/adamw_kernel_cuda.cu
        products = [start for start, name in kernels
                    if re.search('gemm|nvjet|cutlass', name) and start < update]
        reductions = [start for start, name in kernels if 'ReduceScatter' in name]
        self.assertLess(min(reductions), max(products))


class GpuResume(OnGpus, Resume):
    """The cases of resume_test.py that are named, on GPUs."""

    def interrupt(self, ranks, tensor, stops, *options, **places):
        return super().interrupt(ranks, tensor, stops, SAME_BITS, *options, **places)


if __name__ == '__main__':
    main()
