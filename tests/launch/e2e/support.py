"""Tiny runs of the program for the tests in this folder: text, tokenizer, shards, a configuration
and mpirun with a time limit.

The environment variables PHALANX_BINARY and PHALANX_MPIEXEC name the program and mpirun. All that
is written lies in one temporary folder, which goes with the workspace.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import unittest

from safetensors import deserialize

DONE, BAD_INPUT, UNAVAILABLE, STOPPED = 0, 2, 69, 75  # exit codes
SKIPPED = 77  # SKIP_RETURN_CODE of these tests

VOCABULARY = 512
SEQUENCE = 32
STEPS = 20  # of CONFIG; steps 13 to 20 are the second phase, 13 to 16 its ramp

# The sums have a few dozen rows and are read three times: epochs wrap and the cap ends them early.
CONFIG = """\
run: {name: tiny, dir: runs}
model:
  vocab_size: 512
  hidden_size: 32
  intermediate_size: 80
  num_hidden_layers: 2
  num_attention_heads: 8
  num_key_value_heads: 2
  head_dim: 8
  initializer_range: 0.1
parallel: {tensor_parallel_size: 1}
data:
  seed: 1234
  tokenizer: tokenizer
  sources:
    code:  {path: data/code,  kind: organic}
    prose: {path: data/prose, kind: organic}
    sums:  {path: data/sums,  kind: synthetic, max_epochs: 3}
  groups: {organic: {code: 0.5, prose: 0.5}}
  on_exhausted: renormalize
stages:
  - name: pretrain
    sequence_length: 32
    rope_theta: 10000
    global_batch_size: 8
    micro_batch_size: 2
    learning_rate: {peak: 3e-3, warmup_steps: 4, schedule: linear, final: 3e-4}
    phases:
      - {name: foundation, tokens: 3072, mix: {sums: 0.1, organic: rest}}
      - name: reasoning
        tokens: 2048
        mix: {sums: 0.8, organic: rest}
        ramp: linear
        ramp_tokens: 1024
optimizer: {name: adamw, beta1: 0.9, beta2: 0.95, weight_decay: 0.1, clip_grad_norm: 1.0}
precision: fp32
checkpoint: {interval: 0, keep_last: 3}
evaluation: {interval: 0, max_rows: 8}
"""


@dataclasses.dataclass
class Result:
    code: int
    out: str
    err: str
    seconds: float
    folder: pathlib.Path  # of the run

    def metrics(self):
        return read_metrics(self.folder)

    def checkpoint(self, step):
        return self.folder / 'checkpoints' / f'step-{step:06}'

    def our_errors(self):
        """The program's messages among those of mpirun; each begins a line."""
        return [line for line in (self.err + self.out).splitlines() if 'phalanx: ' in line]

    def __str__(self):
        return f'exit code {self.code} after {self.seconds:.1f} s\n{self.out}\n{self.err}'


def read_metrics(folder):
    path = folder / 'metrics.jsonl'
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def tensors_of(checkpoint):
    """{file/tensor: bytes} of all ranks' files."""
    return {f'{path.name}/{name}': bytes(tensor['data'])
            for path in sorted(checkpoint.glob('rank-*.safetensors'))
            for name, tensor in deserialize(path.read_bytes())}


def state_of(checkpoint):
    return json.loads((checkpoint / 'state.json').read_text())


def report_faults(count, what):
    """One line that says how many faults a test made, once all of them were borne."""
    print(f'faults: {count} {what}', flush=True)


def relative(found, expected):
    return abs(found - expected) / abs(expected)


def own_mpi_folder(path):
    """The variable that keeps Open MPI's files in a folder of the test's own: one mpirun that ends may
    remove the shared one just when another begins to use it (open-mpi/ompi#8510)."""
    folder = path / 'mpi'
    folder.mkdir(exist_ok=True)
    return {'OMPI_MCA_orte_tmpdir_base': str(folder)}


def free_port():
    """One that nobody listens at and, where that leaves any, none that the system gives to whoever asks."""
    given = pathlib.Path('/proc/sys/net/ipv4/ip_local_port_range').read_text()
    first, last = (int(word) for word in given.split())
    others = [port for port in range(10_000, 65_536) if not first <= port <= last]
    for port in random.SystemRandom().sample(others, min(100, len(others))) + [0]:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(('127.0.0.1', port))
            return probe.getsockname()[1]
    raise RuntimeError('no free port')


class Workspace:
    """A temporary folder in which runs work; paths in CONFIG are relative to it."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix='phalanx-e2e-')
        self.path = pathlib.Path(self._folder.name)
        self.binary = os.environ['PHALANX_BINARY']
        self.environment = {
            key: value for key, value in os.environ.items() if not key.startswith('OMPI_')
        } | {'OMPI_ALLOW_RUN_AS_ROOT': '1', 'OMPI_ALLOW_RUN_AS_ROOT_CONFIRM': '1',
             'OMPI_MCA_mpi_yield_when_idle': '1', 'OMP_NUM_THREADS': '1',
             'CUDA_VISIBLE_DEVICES': ''}  # the same on machines with a GPU
        self.environment |= own_mpi_folder(self.path)
        write_text(self.path / 'text')
        self.train_tokenizer('tokenizer', VOCABULARY)
        for name, kind in (('code', 'organic'), ('prose', 'organic'), ('sums', 'synthetic')):
            self.program('data', 'pack', '--input', f'text/{name}', '--tokenizer', 'tokenizer',
                         '--output', f'data/{name}', '--kind', kind)
        (self.path / 'run.yaml').write_text(CONFIG)

    def close(self):
        self._folder.cleanup()

    def train_tokenizer(self, output, size):
        self.program('tokenizer', 'train', '--input', 'text', '--vocab-size', str(size),
                     '--output', output)

    def program(self, *arguments):
        """A command that must succeed, on one rank without mpirun; its stdout."""
        done = subprocess.run([self.binary, *arguments], cwd=self.path, env=self.environment,
                              capture_output=True, text=True, timeout=120, check=False)
        if done.returncode != 0:
            raise AssertionError(f'{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}')
        return done.stdout

    def command(self, ranks, *arguments):
        return [os.environ['PHALANX_MPIEXEC'], '-n', str(ranks), '--oversubscribe', '--bind-to',
                'none', self.binary, 'train', *arguments]

    def hold_out(self, fraction):
        """Packs the data anew, a part of each source's documents for validation."""
        for name, kind in (('code', 'organic'), ('prose', 'organic'), ('sums', 'synthetic')):
            shutil.rmtree(self.path / 'data' / name)
            self.program('data', 'pack', '--input', f'text/{name}', '--tokenizer', 'tokenizer',
                         '--output', f'data/{name}', '--kind', kind, '--validation-fraction',
                         str(fraction))

    def run_folder(self, name):
        return self.path / 'runs' / name

    def train(self, ranks, name, *arguments, config='run.yaml', limit=120):
        """Trains runs/NAME to its end; `arguments` are overrides and options."""
        return self.start(ranks, name, *arguments, config=config).finish(limit)

    def alone(self, name, *arguments):
        """The same on one rank without mpirun, which takes a while to start."""
        begin = time.monotonic()
        done = subprocess.run([self.binary, 'train', 'run.yaml', f'run.name={name}', *arguments],
                              cwd=self.path, env=self.environment, capture_output=True, text=True,
                              timeout=120, check=False)
        return Result(done.returncode, done.stdout, done.stderr, time.monotonic() - begin,
                      self.run_folder(name))

    def start(self, ranks, name, *arguments, config='run.yaml'):
        command = self.command(ranks, config, f'run.name={name}', *arguments)
        return Training(self, command, self.run_folder(name))


class Training:
    """A run under way."""

    def __init__(self, workspace, command, folder):
        self.folder = folder
        self.begin = time.monotonic()
        self.process = subprocess.Popen(command, cwd=workspace.path, env=workspace.environment,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        restore_signals=False)

    def finish(self, limit=120):
        try:
            out, err = self.process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            self.stop()
            out, err = self.process.communicate()
            raise AssertionError(f'not done after {limit} s\n{out}\n{err}') from None
        seconds = time.monotonic() - self.begin
        return Result(self.process.returncode, out, err, seconds, self.folder)

    def stop(self):
        """mpirun ends its ranks when it is asked to, but not when it is killed."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def signal(self, number):
        self.process.send_signal(number)

    def ranks(self):
        """Process ids of the ranks."""
        mpirun = self.process.pid
        children = pathlib.Path(f'/proc/{mpirun}/task/{mpirun}/children').read_text()
        return [int(word) for word in children.split()]

    def wait_for(self, condition, what, limit=60):
        end = time.monotonic() + limit
        while not condition():
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                out, err = self.process.communicate()
                raise AssertionError(f'waited in vain for {what}\n{out}\n{err}')
            time.sleep(0.02)

    def wait_for_steps(self, count):
        self.wait_for(lambda: whole_lines(self.folder / 'metrics.jsonl') >= count, f'step {count}')


def whole_lines(path):
    return path.read_bytes().count(b'\n') if path.exists() else 0


def write_text(folder):
    """Python's standard library as code and prose, and generated sums."""
    library = pathlib.Path(sysconfig.get_paths()['stdlib'])
    for name in ('code', 'prose', 'sums'):
        (folder / name).mkdir(parents=True)
    for module in ('argparse', 'ast', 'random', 'textwrap', 'shutil', 'tempfile'):
        shutil.copy(library / f'{module}.py', folder / 'code')
    topics = (library / 'pydoc_data' / 'topics.py').read_text()[:200_000]
    documents = [topics[begin:begin + 4000] for begin in range(0, len(topics), 4000)]
    write_documents(folder / 'prose' / 'topics.jsonl', documents)
    numbers = random.Random(7)
    write_documents(folder / 'sums' / 'sums.jsonl', [sums(numbers) for _ in range(8)])


def sums(numbers):
    pairs = [(numbers.randrange(90), numbers.randrange(90)) for _ in range(6)]
    return '\n'.join(f'{a} + {b} = {a + b}' for a, b in pairs)


def write_documents(path, documents):
    path.write_text(''.join(json.dumps({'text': text}) + '\n' for text in documents))


class RunTest(unittest.TestCase):
    """Tests that share a workspace, each with runs of its own name."""

    @classmethod
    def setUpClass(cls):
        cls.workspace = Workspace()
        cls.addClassCleanup(cls.workspace.close)

    def train(self, ranks, name, *arguments, config='run.yaml', code=DONE):
        result = self.workspace.train(ranks, name, *arguments, config=config)
        self.assertEqual(result.code, code, str(result))
        return result

    def alone(self, name, *arguments, code=DONE):
        result = self.workspace.alone(name, *arguments)
        self.assertEqual(result.code, code, str(result))
        return result

    def assert_close(self, found, expected, tolerance=1e-5):
        """Losses and norms of steps, and of the sources in them."""
        self.assertEqual([line['step'] for line in found], [line['step'] for line in expected])
        for mine, theirs in zip(found, expected):
            for field in ('loss', 'grad_norm'):
                self.assertLessEqual(relative(mine[field], theirs[field]), tolerance,
                                     f'{field} of step {mine["step"]}')


def main():
    """Runs the tests named on the command line; exit code 77 when all of them were skipped."""
    program = unittest.main(module='__main__', exit=False, verbosity=2)
    result = program.result
    for _, reason in result.skipped:
        print(f'skipped: {reason}', flush=True)
    if not result.wasSuccessful() or result.testsRun == 0:
        sys.exit(1)
    sys.exit(SKIPPED if len(result.skipped) == result.testsRun else 0)
