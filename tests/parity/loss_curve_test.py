"""A whole training of 300 steps against transformers and AdamW of plain PyTorch, in fp32.

loss_curve_test.py [SVG]

phalanx trains from a Hugging Face folder, through its program. The other side loads the same
folder, reads the rows of every step with `phalanx data batch`, and has loss, clipping, decay and
rates written out below. The losses of every step must agree. With SVG both curves are drawn there.

The run has all that could tell the two apart: warm-up and decay, clipping that acts and clipping
that does not, weight decay that spares the norms, micro-batches, a mix of two sources that moves, a
second stage with longer rows, another rope_theta and rates of its own, and targets that do not
count. PHALANX_BINARY and PHALANX_MPIEXEC name the program and mpirun.
"""

import json
import math
import pathlib
import sys

import torch
import transformers
from torch.nn.functional import cross_entropy
from transformers import Phi3Config, Phi3ForCausalLM

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / 'launch' / 'e2e'))

from loss_curve_svg import draw  # noqa: E402
from support import DONE, Workspace  # noqa: E402

LIMIT = 1e-4  # of the loss, relative, at every step
RATE_LIMIT = 1e-12  # the same formula in doubles
NORM_LIMIT = 1e-3  # of the gradient norm

PEAKS = (4e-3, 2e-3)
FINALS = (4e-4, 0.0)
WARMUP = (20, 10)
STEPS = (180, 120)
ROWS = (8, 8)
LENGTHS = (32, 64)
THETAS = (10000.0, 50000.0)

CONFIG = f"""\
run: {{name: curve, dir: runs}}
model:
  init_from: theirs
  vocab_size: 512
  hidden_size: 64
  intermediate_size: 160
  num_hidden_layers: 2
  num_attention_heads: 8
  num_key_value_heads: 2
  head_dim: 8
parallel: {{tensor_parallel_size: 1}}
data:
  seed: 1234
  tokenizer: tokenizer
  document_mask: false
  sources:
    prose: {{path: data/prose, kind: organic, max_epochs: 2}}
    sums:  {{path: data/sums, kind: synthetic, max_epochs: 200}}
stages:
  - name: pretrain
    sequence_length: {LENGTHS[0]}
    rope_theta: {THETAS[0]}
    global_batch_size: {ROWS[0]}
    micro_batch_size: 4
    learning_rate:
      {{peak: {PEAKS[0]}, warmup_steps: {WARMUP[0]}, schedule: cosine, final: {FINALS[0]}}}
    phases:
      - {{name: foundation, tokens: {100 * ROWS[0] * LENGTHS[0]}, mix: {{prose: 0.9, sums: 0.1}}}}
      - name: shift
        tokens: {80 * ROWS[0] * LENGTHS[0]}
        mix: {{prose: 0.4, sums: 0.6}}
        ramp: linear
        ramp_tokens: {40 * ROWS[0] * LENGTHS[0]}
  - name: midtrain
    sequence_length: {LENGTHS[1]}
    rope_theta: {THETAS[1]}
    global_batch_size: {ROWS[1]}
    micro_batch_size: 2
    allow_repeat: true
    learning_rate:
      {{peak: {PEAKS[1]}, warmup_steps: {WARMUP[1]}, schedule: linear, final: {FINALS[1]}}}
    phases:
      - {{name: longer, tokens: {120 * ROWS[1] * LENGTHS[1]}, mix: {{prose: 0.8, sums: 0.2}}}}
optimizer: {{name: adamw, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weight_decay: 0.1,
            clip_grad_norm: 1.0}}
precision: fp32
checkpoint: {{interval: 0, keep_last: 1}}
evaluation: {{interval: 0, max_rows: 1}}
"""


def make_folder(folder):
    config = Phi3Config(vocab_size=512, hidden_size=64, intermediate_size=160, num_hidden_layers=2,
                        num_attention_heads=8, num_key_value_heads=2, max_position_embeddings=64,
                        rope_theta=THETAS[0], pad_token_id=None, bos_token_id=None,
                        eos_token_id=None, tie_word_embeddings=False)
    torch.manual_seed(1)
    Phi3ForCausalLM(config).save_pretrained(folder)


def read_batches(workspace):
    """What `data batch` shows of every step: ids [rows, T + 1] and how many targets count."""
    text = workspace.program('data', 'batch', 'run.yaml', '--step', '1', '--num-steps',
                             str(sum(STEPS)), '--json')
    decoder, steps, at = json.JSONDecoder(), [], 0
    while at < len(text):
        step, at = decoder.raw_decode(text, at)
        steps.append(step)
        at += 1  # the end of the line
    return [(torch.tensor([row['tokens'] for row in step['rows']]),
             torch.tensor([row['num_valid_targets'] for row in step['rows']])) for step in steps]


def learning_rate(stage, step):
    """Linear from 0 over the warm-up; then a half cosine, or a line, to the last rate."""
    peak, final, warmup = PEAKS[stage], FINALS[stage], WARMUP[stage]
    if step < warmup:
        return peak * (step + 1) / warmup
    part = (step - warmup) / (STEPS[stage] - warmup)
    left = (1 + math.cos(math.pi * part)) / 2 if stage == 0 else 1 - part
    return final + (peak - final) * left


def use_theta(model, theta):
    model.config.rope_parameters['rope_theta'] = theta
    model.model.rotary_emb = type(model.model.rotary_emb)(model.config)


def mean_loss(model, ids_RT, valid_R):
    logits_NV = model(ids_RT[:, :-1]).logits.flatten(0, 1)
    targets_RT = ids_RT[:, 1:].clone()
    targets_RT[torch.arange(targets_RT.shape[1]) >= valid_R[:, None]] = -100  # is ignored
    return cross_entropy(logits_NV, targets_RT.flatten())


def train_with_torch(folder, batches):
    """The lines of metrics that transformers and torch.optim.AdamW give."""
    model = Phi3ForCausalLM.from_pretrained(folder, dtype=torch.float32,
                                            attn_implementation='eager')
    matrices = [p for p in model.parameters() if p.dim() > 1]
    norms = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW([{'params': matrices, 'weight_decay': 0.1},
                                   {'params': norms, 'weight_decay': 0.0}],
                                  betas=(0.9, 0.95), eps=1e-8)
    for stage, num_steps in enumerate(STEPS):
        use_theta(model, THETAS[stage])
        for step in range(num_steps):
            loss = mean_loss(model, *next(batches))
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for group in optimizer.param_groups:
                group['lr'] = learning_rate(stage, step)
            optimizer.step()
            optimizer.zero_grad()
            yield {'loss': loss.item(), 'grad_norm': norm.item(),
                   'learning_rate': learning_rate(stage, step)}


def relative(found, expected):
    return abs(found - expected) / abs(expected) if found != expected else 0.0


def check_coverage(batches, lines):
    """What the run is said to have is in it."""
    assert any((valid < ids.shape[1] - 1).any() for ids, valid in batches), 'every target counts'
    norms = [line['grad_norm'] for line in lines]
    assert min(norms) < 1.0 < max(norms), 'expected steps with clipping and steps without'
    assert lines[-1]['loss'] < 0.6 * lines[0]['loss'], 'expected a model that learns'


def check(found, expected):
    assert len(found) == len(expected) == sum(STEPS), (len(found), len(expected))
    for field, limit in (('loss', LIMIT), ('grad_norm', NORM_LIMIT),
                         ('learning_rate', RATE_LIMIT)):
        apart = [relative(a[field], b[field]) for a, b in zip(found, expected)]
        worst = max(range(len(apart)), key=apart.__getitem__)
        print(f'{field}: at most {apart[worst]:.1e} apart, at step {worst + 1}; '
              f'{found[-1][field]:.6g} at the end', flush=True)
        assert apart[worst] <= limit, (
            f'{field} of step {worst + 1}: expected {expected[worst][field]} within {limit}, '
            f'found {found[worst][field]}')


def main(svg=None):
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    workspace = Workspace()
    try:
        (workspace.path / 'run.yaml').write_text(CONFIG)
        make_folder(workspace.path / 'theirs')
        run = workspace.train(1, 'curve')
        assert run.code == DONE, str(run)
        found = run.metrics()
        batches = read_batches(workspace)
        expected = list(train_with_torch(workspace.path / 'theirs', iter(batches)))
    finally:
        workspace.close()
    if svg:
        pathlib.Path(svg).write_text(draw([line['loss'] for line in found],
                                          [line['loss'] for line in expected], LIMIT, STEPS[0]))
    check_coverage(batches, found)
    check(found, expected)


if __name__ == '__main__':
    main(*sys.argv[1:])
