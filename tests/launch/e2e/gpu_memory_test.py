"""`phalanx plan` against what the allocator of a GPU gave out at most while a run trained."""

import json

from gpu_mesh_test import SAME_BITS, OnGpus
from support import STOPPED, main

TOLERANCE = 0.05
MIB = 1 << 20
# 144 million parameters and micro-batches of 8,192 tokens: what libraries ask of it is nothing beside.
SETTINGS = ['model.hidden_size=1024', 'model.intermediate_size=3584', 'model.num_hidden_layers=8',
            'model.num_attention_heads=16', 'model.num_key_value_heads=4', 'model.head_dim=64',
            'model.vocab_size=32768', 'stages[0].sequence_length=256',
            'stages[0].global_batch_size=32', 'stages[0].micro_batch_size=32',
            'stages[0].allow_repeat=true', 'stages[0].phases[0].tokens=16384',
            'stages[0].phases[1].tokens=8192', 'stages[0].learning_rate.warmup_steps=1',
            'run.stop_after_steps=2', 'loss_chunk_tokens=1024']
CASES = {'fp32': [], 'bf16': ['precision=bf16'],
         'selective': ['precision=bf16', 'recompute=selective'],
         'full': ['precision=bf16', 'recompute=full'],
         'documents': ['precision=bf16', 'data.document_mask=true'],
         'same-bits': ['precision=bf16', SAME_BITS],
         'small-state': ['precision=bf16', 'optimizer.state=bf16', 'optimizer.master=bf16',
                         'gradients=bf16'],
         'offload': ['precision=bf16', 'optimizer.offload=host']}


class PlannedMemoryOnGpu(OnGpus):

    def test_tensors(self):
        for name, options in CASES.items():
            with self.subTest(name):
                overrides = [*SETTINGS, *options]
                planned = json.loads(self.workspace.program(
                    'plan', 'run.yaml', *overrides, '--ranks', '1', '--json'))['memory']
                tensors = planned['total'] - planned['runtime']
                taken = self.train(1, name, *overrides,
                                   code=STOPPED).metrics()[-1]['peak_memory_bytes']
                print(f'{name}: planned {tensors / MIB:.0f} MiB, given out {taken / MIB:.0f} MiB, '
                      f'{100 * (tensors / taken - 1):+.1f} %', flush=True)
                self.assertLessEqual(abs(tensors / taken - 1), TOLERANCE)


if __name__ == '__main__':
    main()
