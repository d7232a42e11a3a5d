"""Data that is not what a run was begun with, or that a machine fails to read: one message, all ranks
end, what was saved goes on; a read error never becomes zeros or a silent skip."""

import json
import os
import re
import shutil
import struct
import subprocess

from support import (BAD_INPUT, CONFIG, STEPS, STOPPED, RunTest, Training, main, state_of,
                     tensors_of)
from stop_test import LONG

# A disk that fails: reads of one file by one rank end with EIO after the first few.
FAILING_READ = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int reads_left = 15;

static int fails(int descriptor) {
  const char* rank = getenv("OMPI_COMM_WORLD_RANK");
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t size = readlink(link, path, sizeof path - 1);
  if (size < 0 || rank == NULL || strcmp(rank, "1") != 0) return 0;
  path[size] = 0;
  return strstr(path, "/data/prose/train/shard-00000.bin") != NULL && --reads_left < 0;
}

ssize_t pread(int descriptor, void* bytes, size_t size, off_t offset) {
  static ssize_t (*next)(int, void*, size_t, off_t);
  if (next == NULL) next = (ssize_t (*)(int, void*, size_t, off_t))dlsym(RTLD_NEXT, "pread");
  if (fails(descriptor)) return errno = EIO, -1;
  return next(descriptor, bytes, size, offset);
}

ssize_t pread64(int descriptor, void* bytes, size_t size, off_t offset) {
  return pread(descriptor, bytes, size, offset);
}
"""


class DataErrors(RunTest):

    def refuse(self, message, *options, name='refused', ranks=2, config='run.yaml'):
        """`message` is the whole of it; returns the result."""
        result = self.workspace.train(ranks, name, *options, config=config)
        self.assert_message(result, re.escape(message))

    def assert_message(self, result, pattern):
        self.assertEqual(result.code, BAD_INPUT, str(result))
        self.assertEqual(len(result.our_errors()), 1, str(result))
        message = result.err.split('phalanx: ', 1)[1].splitlines()[0]
        self.assertRegex(message, f'^error: {pattern}$')

    def write_config(self, old, new):
        self.assertEqual(CONFIG.count(old), 1)
        text = CONFIG.replace(old, new)
        (self.workspace.path / 'bad.yaml').write_text(text)
        return text

    def copy_of(self, source, name):
        shutil.copytree(self.workspace.path / 'data' / source, self.workspace.path / name)
        return self.workspace.path / name / 'train'


class Refused(DataErrors):

    def test_a_data_set_that_was_made_anew_since_the_checkpoint(self):
        self.train(1, 'remade', 'run.stop_after_steps=2', code=STOPPED)
        self.workspace.program('data', 'pack', '--input', 'text/code', '--tokenizer', 'tokenizer',
                               '--output', 'remade', '--kind', 'organic', '--seed', '9')
        ledger = state_of(self.workspace.run_folder('remade') / 'checkpoints' / 'step-000002')
        old = next(source['fingerprint'] for source in ledger['cursor']['sources']
                   if source['name'] == 'code')
        result = self.workspace.train(2, 'remade', 'data.sources.code.path=remade', '--resume',
                                      'auto')
        self.assert_message(result, f'data.sources.code: expected the data with fingerprint {old}, '
                                    'of which the ledger counts rows, found [0-9a-f]{16}: restore '
                                    'it, or give the new data another name')
        self.train(1, 'remade', '--resume', 'auto')

    def test_a_shard_that_changed_its_size_since_the_checkpoint(self):
        folder = self.copy_of('code', 'shrunk')
        options = ('data.sources.code.path=shrunk', '--resume', 'auto')
        self.train(1, 'shrunk', options[0], 'run.stop_after_steps=2', code=STOPPED)
        shard = folder / 'shard-00000.bin'
        size = shard.stat().st_size
        os.truncate(shard, size - 2)
        result = self.workspace.train(2, 'shrunk', *options)
        self.assert_message(result, rf'shrunk/train/shard-00000\.bin: .*expected {size} bytes.*, '
                                    rf'found {size - 2} bytes \(on rank 0\)')

    def test_a_source_that_one_host_lacks(self):
        """The second rank works in a folder where all is there but the sums."""
        other = self.workspace.path / 'other-host'
        (other / 'data').mkdir(parents=True)
        for name in ('run.yaml', 'tokenizer', 'data/code', 'data/prose'):
            (other / name).symlink_to(self.workspace.path / name)
        command = self.workspace.command(1, 'run.yaml', 'run.name=host')
        command += [':', '-n', '1', '--wdir', str(other), *command[command.index('train') - 1:]]
        folder = self.workspace.run_folder('host')
        result = Training(self.workspace, command, folder).finish()
        self.assert_message(result, re.escape(
            'data.sources.sums.path: expected the folder of a data set (with dataset.json), found '
            'nothing at data/sums (on rank 1)'))
        self.assertFalse(folder.exists())

    def test_two_sources_of_one_name(self):
        text = self.write_config('    prose: {path: data/prose, kind: organic}',
                                 '    code: {path: data/prose, kind: organic}')
        line = text.splitlines().index('    code: {path: data/prose, kind: organic}') + 1
        self.refuse(f'bad.yaml:{line}:5: data.sources.code: doubled key; first at bad.yaml:'
                    f'{line - 1}:5', config='bad.yaml')

    def test_weights_that_do_not_sum_or_are_negative(self):
        self.refuse('command line: stages[0].phases[0].mix: expected weights that sum to 1 (one '
                    "may be 'rest'), got 0.75", 'stages[0].phases[0].mix={sums: 0.25, organic: 0.5}')
        self.refuse('command line: stages[0].phases[0].mix.sums: expected a weight from 0 to 1, or '
                    "rest, got '-0.1'", 'stages[0].phases[0].mix.sums=-0.1')
        self.refuse('command line: data.groups.organic: expected shares that sum to 1, got 1.1',
                    'data.groups.organic={code: 0.6, prose: 0.5}')

    def test_a_wrong_tokenizer(self):
        self.workspace.train_tokenizer('other', 500)
        theirs, ours = (re.search(r'^fingerprint +(\w+)', self.workspace.program(
            'tokenizer', 'info', folder), re.M)[1] for folder in ('other', 'tokenizer'))
        self.refuse('data.sources.code.path: tokens of data/code/train were made with another '
                    f'tokenizer: expected {theirs} (data.tokenizer other), found {ours}',
                    'data.tokenizer=other')

    def test_documents_without_tokens(self):
        """Packing counts and leaves them out; in a corpus made elsewhere they change nothing."""
        (self.workspace.path / 'empty.jsonl').write_text('{"text": ""}\n{"text": "one"}\n')
        self.workspace.program('data', 'pack', '--input', 'empty.jsonl', '--tokenizer', 'tokenizer',
                               '--output', 'empty', '--validation-fraction', '0', '--kind',
                               'organic')
        manifest = json.loads((self.workspace.path / 'empty' / 'train' / 'dataset.json').read_text())
        self.assertEqual([manifest['packing'][field] for field in
                          ('documents_read', 'rejected_empty')] + [manifest['documents']],
                         [2, 1, 1])
        add_empty_documents(self.copy_of('code', 'adopted'))
        options = ('data.document_mask=true', 'run.stop_after_steps=4')
        expected = self.train(1, 'none-empty', *options, code=STOPPED)
        found = self.train(1, 'some-empty', *options, 'data.sources.code.path=adopted', code=STOPPED)
        self.assertEqual([[line['loss'], line['sources']] for line in found.metrics()],
                         [[line['loss'], line['sources']] for line in expected.metrics()])


def add_empty_documents(folder):
    """Puts a sequence of no tokens, a document of its own, before every other one."""
    path = folder / 'shard-00000.idx'
    data = path.read_bytes()
    sequences, boundaries = struct.unpack('<QQ', data[18:34])
    assert boundaries == sequences + 1
    lengths = struct.unpack(f'<{sequences}i', data[34:34 + 4 * sequences])
    pointers = struct.unpack(f'<{sequences}q', data[34 + 4 * sequences:34 + 12 * sequences])
    doubled = [(n, at) for length, at in zip(lengths, pointers) for n in (0, length)]
    count = len(doubled)
    path.write_bytes(data[:18] + struct.pack('<QQ', count, count + 1)
                     + struct.pack(f'<{count}i', *(n for n, _ in doubled))
                     + struct.pack(f'<{count}q', *(at for _, at in doubled))
                     + struct.pack(f'<{count + 1}q', *range(count + 1)))
    manifest = json.loads((folder / 'dataset.json').read_text())
    manifest['documents'] = manifest['shards'][0]['documents'] = count
    manifest['shards'][0]['idx_bytes'] = path.stat().st_size
    manifest['packing'] |= {'part': 'adopted', 'documents_read': count,
                            'documents_in_other_part': 0, 'validation_per_mille': 0}
    (folder / 'dataset.json').write_text(json.dumps(manifest))


class FailingDisk(DataErrors):

    def test_a_read_error_in_the_middle(self):
        library = self.workspace.path / 'failing_read.so'
        source = self.workspace.path / 'failing_read.c'
        source.write_text(FAILING_READ)
        subprocess.run(['cc', '-shared', '-fPIC', '-o', library, source, '-ldl'], check=True)
        options = ('checkpoint.interval=1 steps', 'checkpoint.keep_last=99',
                   'checkpoint.asynchronous=false')
        whole = self.train(2, 'no-error', *options)
        self.workspace.environment['LD_PRELOAD'] = str(library)
        self.addCleanup(self.workspace.environment.pop, 'LD_PRELOAD', None)
        result = self.workspace.train(2, 'error', *options)
        self.assert_message(result, r'(read|pread) data/prose/train/shard-00000\.bin: Input/output '
                                    r'error \(on rank 1\)')
        del self.workspace.environment['LD_PRELOAD']
        done = len(result.metrics())
        self.assertTrue(0 < done < STEPS, str(result))
        self.workspace.program('checkpoint', 'verify', f'runs/error/checkpoints/step-{done:06}')
        run = self.train(2, 'error', *options, '--resume', 'auto')
        self.assertEqual([line['loss'] for line in run.metrics()],
                         [line['loss'] for line in whole.metrics()])
        self.assertEqual(tensors_of(run.checkpoint(STEPS)), tensors_of(whole.checkpoint(STEPS)))

    def test_a_shard_that_is_cut_while_it_is_read(self):
        shard = self.copy_of('prose', 'cut') / 'shard-00000.bin'
        options = (*LONG, 'data.sources.prose.path=cut', 'checkpoint.interval=1 steps',
                   'checkpoint.asynchronous=false')
        training = self.workspace.start(2, 'cut', *options)
        training.wait_for_steps(3)
        whole = shard.read_bytes()
        os.truncate(shard, 1000)
        result = training.finish(60)
        self.assert_message(result, r'.*cut/train/shard-00000\.bin.* expected .* found .*')
        shard.write_bytes(whole)
        last = result.metrics()[-1]['step']
        run = self.train(2, 'cut', *options, f'run.stop_after_steps={last + 2}', '--resume', 'auto',
                         code=STOPPED)
        steps = [line['step'] for line in run.metrics()]
        self.assertEqual(steps, list(range(1, last + 3)))


if __name__ == '__main__':
    main()
