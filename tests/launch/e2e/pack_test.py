"""Packing as people run it: on ranks, in a job array, killed at any moment, on a full disk, with
bad input and with much less memory than data. The oracle is one undisturbed run on one thread."""

import gzip
import json
import os
import pathlib
import random
import resource
import signal
import subprocess
import sysconfig
import tempfile
import time
import unittest

from disk_full_test import INSIDE, enter_own_mounts
from support import BAD_INPUT, DONE, STOPPED, main, own_mpi_folder

SMALL = ('--unit', '150KB', '--shard-tokens', '30000', '--memory', '2MiB')
MEBIBYTE = 1 << 20


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob('*')) if path.is_file()}


def identities(folder):
    """What changes when a file is written again, of all files that are final."""
    found = {}
    for parent, folders, names in os.walk(folder):  # which passes over what vanishes
        folders[:] = [name for name in folders if not name.endswith('.tmp')]
        for path in (pathlib.Path(parent) / name for name in names if not name.endswith('.tmp')):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            found[path] = (status.st_ino, status.st_mtime_ns, status.st_size)
    return found


class PackingCase(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix='phalanx-pack-')
        cls.addClassCleanup(folder.cleanup)
        cls.path = pathlib.Path(folder.name)
        cls.environment = {
            key: value for key, value in os.environ.items() if not key.startswith('OMPI_')
        } | {'OMPI_ALLOW_RUN_AS_ROOT': '1', 'OMPI_ALLOW_RUN_AS_ROOT_CONFIRM': '1',
             'OMPI_MCA_mpi_yield_when_idle': '1', 'CUDA_VISIBLE_DEVICES': ''}
        cls.environment |= own_mpi_folder(cls.path)
        cls.write_text()
        cls.program('tokenizer', 'train', '--input', 'text', '--vocab-size', '400', '--output',
                    'tokenizer')
        cls.expected = cls.reference('expected', 'text')

    @classmethod
    def write_text(cls):
        library = pathlib.Path(sysconfig.get_paths()['stdlib'])
        topics = (library / 'pydoc_data' / 'topics.py').read_text()[:600_000]
        numbers = random.Random(7)
        text = cls.path / 'text'
        text.mkdir()
        for file in range(8):
            lines = []
            for _ in range(60):
                begin = numbers.randrange(len(topics) - 3000)
                document = topics[begin:begin + numbers.randrange(3000)]
                lines.append(json.dumps({'text': document}) + '\n')
            if file % 2:
                with gzip.open(text / f'{file}.jsonl.gz', 'wt') as out:
                    out.writelines(lines)
            else:
                (text / f'{file}.jsonl').write_text(''.join(lines))

    @classmethod
    def run_program(cls, *arguments, prefix=(), **options):
        return subprocess.run([*prefix, os.environ['PHALANX_BINARY'], *arguments], cwd=cls.path,
                              env=cls.environment, capture_output=True, text=True, timeout=200,
                              check=False, **options)

    @classmethod
    def program(cls, *arguments, code=DONE, **options):
        done = cls.run_program(*arguments, **options)
        if done.returncode != code:
            raise AssertionError(f'{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}')
        return done

    @staticmethod
    def arguments(output, text='text', small=SMALL):
        return ('data', 'pack', '--input', text, '--tokenizer', 'tokenizer', '--output', output,
                '--name', 'sample', '--kind', 'organic', *small)

    @classmethod
    def reference(cls, output, text):
        cls.program(*cls.arguments(output, text), '--threads', '1')
        return tree(cls.path / output)

    def assert_same(self, output):
        found = tree(self.path / output)
        self.assertEqual(sorted(found), sorted(self.expected))
        self.assertEqual([name for name in found if found[name] != self.expected[name]], [])
        self.assertFalse((self.path / f'{output}.tmp').exists())

    def ranks(self, count):
        return (os.environ['PHALANX_MPIEXEC'], '-n', str(count), '--oversubscribe', '--bind-to',
                'none')


class Packing(PackingCase):

    def test_any_number_of_ranks(self):
        self.assertGreater(len(self.expected), 30, 'too few shards: the test is blind')
        for count in (1, 2, 4):
            done = self.program(*self.arguments(f'ranks{count}'), prefix=self.ranks(count))
            self.assertEqual(done.stdout.count('packed sample'), 1, done.stdout)
            self.assert_same(f'ranks{count}')

    def test_a_job_array(self):
        share = [self.program(*self.arguments('array'), '--shard', f'{i}/3',
                              code=STOPPED).stderr for i in (2, 0)]
        self.assertTrue(share[0].startswith('phalanx: stopped: '), share[0])
        self.assertIn('run the same command again', share[0])
        self.program(*self.arguments('array'), '--shard', '1/3', code=STOPPED)
        self.program(*self.arguments('array'), '--shard', '0/3', code=STOPPED)
        self.program(*self.arguments('array'), '--shard', '2/3')
        self.assert_same('array')
        late = self.program(*self.arguments('array'), '--shard', '0/3')
        self.assertIn('was packed already: sample', late.stdout)
        self.assert_same('array')

    def test_members_at_the_same_time(self):
        """Each comes back until it is done, as a job array that is sent again does."""
        for _ in range(3):
            members = [subprocess.Popen(
                [os.environ['PHALANX_BINARY'], *self.arguments('at-once'), '--shard', f'{i}/4'],
                cwd=self.path, env=self.environment, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, text=True) for i in range(4)]
            for member in members:
                _, errors = member.communicate(timeout=100)
                self.assertIn(member.returncode, (DONE, STOPPED), errors)
        self.assertEqual([member.returncode for member in members], [DONE] * 4)
        self.assert_same('at-once')

    def test_a_file_system_without_locks(self):
        for count in (1, 2):
            done = self.program(*self.arguments(f'unlocked{count}'), prefix=(
                *self.ranks(count), 'env', f'LD_PRELOAD={os.environ["PHALANX_NO_LOCKS"]}'))
            self.assertEqual(done.stderr.count('phalanx: warning: '), 1, done.stderr)
            self.assertIn(f'unlocked{count}: this file system has no file locks', done.stderr)
            self.assert_same(f'unlocked{count}')
        self.assertNotIn('no file locks', self.program(*self.arguments('locked')).stderr)

    def test_kills_at_any_moment(self):
        """As many data sets as it takes: how far a process gets before a kill is the machine's."""
        numbers = random.Random(11)
        kills = kept = number = 0
        while kills < 15 or kept < 3:
            output = f'killed{number}'
            more, most = self.kill_until_done(output, numbers)
            kills, kept, number = kills + more, max(kept, most), number + 1
            self.program(*self.arguments(output))
            self.assert_same(output)
        print(f'{kills} kills in {number} data sets, at most {kept} finished files kept')

    def kill_until_done(self, output, numbers):
        """After something more was finished, or after some changes below the unfinished folder.
        Returns the number of kills and the most files that were not to be made again."""
        folder = self.path / f'{output}.tmp'
        kills = kept = 0
        while not (self.path / output).exists():
            before = self.finished(folder)
            process = subprocess.Popen(
                [os.environ['PHALANX_BINARY'], *self.arguments(output), '--threads', '1'],
                cwd=self.path, env=self.environment, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, text=True)
            if kills % 3 == 2:  # or it would never end where starts are slow
                self.wait_while(process, lambda: set(self.finished(folder)) <= set(before))
            else:
                self.wait_for_changes(process, folder, numbers.randrange(1, 8))
            time.sleep(numbers.random() * 0.005)
            process.send_signal(signal.SIGKILL)
            errors = process.communicate()[1]
            self.assertIn(process.returncode, (DONE, -signal.SIGKILL), errors)
            kills += process.returncode != DONE
            if folder.exists() and self.state(folder) == 'packing':
                after = self.finished(folder)
                self.assertEqual({path: after.get(path) for path in before}, before)
                kept = max(kept, len(before))
        return kills, kept

    @staticmethod
    def finished(folder):
        return identities(folder / 'units') | identities(folder / 'shards')

    @staticmethod
    def state(folder):
        plan = folder / 'pack.json'
        return json.loads(plan.read_text())['state'] if plan.exists() else 'none'

    @staticmethod
    def wait_while(process, condition):
        while condition() and process.poll() is None:
            time.sleep(0.001)

    def wait_for_changes(self, process, folder, count):
        def seen():
            found = {}
            for parent, _, names in os.walk(folder):
                for path in (parent, *(os.path.join(parent, name) for name in names)):
                    try:
                        found[path] = os.stat(path).st_mtime_ns
                    except FileNotFoundError:
                        pass
            return found

        for _ in range(count):
            state = seen()
            self.wait_while(process, lambda old=state: seen() == old)

    def test_a_full_disk(self):
        if os.environ[INSIDE] != 'yes':
            self.skipTest('this machine lets no test mount a file system')
        disk = self.path / 'disk'
        disk.mkdir()
        subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=400k', 'tmpfs', disk], check=True)
        self.addCleanup(subprocess.run, ['umount', disk], check=True)
        for size in (None, '1m'):  # while tokenizing, and while shards are written
            if size:
                subprocess.run(['mount', '-o', f'remount,size={size}', disk], check=True)
            done = self.program(*self.arguments('disk/full'), code=BAD_INPUT)
            self.assertIn('No space left on device', done.stderr)
            self.assertIn('disk/full.tmp/', done.stderr)
            self.assertFalse((disk / 'full').exists())
        units = identities(disk / 'full.tmp/units')
        self.assertTrue(units)
        subprocess.run(['mount', '-o', 'remount,size=64m', disk], check=True)
        self.program(*self.arguments('disk/full'))
        self.assert_same('disk/full')

    def test_a_limit_on_file_sizes(self):
        limit = 40_000
        done = self.program(*self.arguments('limit'), code=BAD_INPUT, preexec_fn=lambda:
                            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
        self.assertIn('File too large', done.stderr)
        self.assertEqual(done.stderr.count('phalanx: '), 1, done.stderr)
        self.program(*self.arguments('limit'))
        self.assert_same('limit')

    def test_input_that_changed_between_attempts(self):
        text = self.path / 'changing'
        text.mkdir()
        for name in ('a', 'b'):
            (text / f'{name}.txt').write_text(f'document {name}')
        self.program(*self.arguments('changed', 'changing'), '--shard', '0/2', code=STOPPED)
        (text / 'b.txt').write_text('another document')
        done = self.program(*self.arguments('changed', 'changing'), code=BAD_INPUT)
        self.assertIn('changing/b.txt: expected 10 bytes, modified at ', done.stderr)
        self.assertIn('put that file back, or remove changed.tmp to start anew', done.stderr)

    def test_a_bad_line_that_is_mended(self):
        text = self.path / 'mended'
        text.mkdir()
        (text / 'a.jsonl').write_text('{"text": "one"}\n{"text": "two}\n')
        self.program(*self.arguments('mended-out', 'mended'), code=BAD_INPUT)
        (text / 'a.jsonl').write_text('{"text": "one"}\n{"text": "two"}\n')
        self.program(*self.arguments('mended-out', 'mended'))
        self.assertIn('was packed already',
                      self.program(*self.arguments('mended-out', 'mended')).stdout)

    def test_bad_lines(self):
        text = self.path / 'bad'
        text.mkdir()
        for name in ('a', 'b', 'c'):
            (text / f'{name}.jsonl').write_text('{"text": "' + name + '"}\n{"no": 1}\n')
        done = self.program(*self.arguments('bad-out', 'bad'), prefix=self.ranks(2), code=BAD_INPUT)
        found = [line for line in done.stderr.splitlines() if 'phalanx: ' in line]
        self.assertEqual(len(found), 1, done.stderr)
        self.assertIn('.jsonl:2: expected a JSON object with a string "text", found no such field',
                      found[0])
        done = self.program(*self.arguments('bad-out', 'bad'), '--max-bad-lines', '3')
        self.assertIn('3 bad lines, listed in bad-out/rejected.jsonl', done.stdout)
        self.assertIn('phalanx: skipped {"file":"bad/a.jsonl","line":2,', done.stderr)
        rejected = [json.loads(line) for line in
                    (self.path / 'bad-out/rejected.jsonl').read_text().splitlines()]
        self.assertEqual([(line['file'], line['line']) for line in rejected],
                         [(f'bad/{name}.jsonl', 2) for name in 'abc'])

    def test_rows_of_a_table(self):
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            self.skipTest('no pyarrow here')
        texts = [f'row {i} of a table' for i in range(1000)]
        (self.path / 'table').mkdir()
        pyarrow.parquet.write_table(pyarrow.table({'body': texts}),
                                    self.path / 'table/rows.parquet', row_group_size=300)
        self.program(*self.arguments('table-out', 'table'), '--text-field', 'body')
        manifest = json.loads((self.path / 'table-out/train/dataset.json').read_text())
        self.assertEqual(manifest['packing']['documents_read'], 1000)
        self.assertEqual(manifest['packing']['rejected_bad'], 0)
        done = self.program(*self.arguments('table-none', 'table'), code=BAD_INPUT)
        self.assertIn('table/rows.parquet', done.stderr)

    def test_options_that_cannot_be(self):
        for extra, message in (
                (('--shard', '3/3'), '--shard: expected i/N with 0 <= i < N'),
                (('--shard', '1'), '--shard: expected i/N with 0 <= i < N'),
                (('--memory', 'much'), '--memory: expected a size in bytes'),
                (('--memory', '1MiB', '--threads', '2'), 'memory: expected at least 1 MiB for each '
                 'of 2 threads, found 1048576 bytes')):
            done = self.program(*self.arguments('never', small=()), *extra, code=BAD_INPUT)
            self.assertIn(message, done.stderr)
        done = self.program(*self.arguments('never'), '--shard', '0/2', prefix=self.ranks(2),
                            code=BAD_INPUT)
        self.assertIn('--shard: expected one process, found 2 ranks', done.stderr)
        self.assertFalse((self.path / 'never.tmp').exists())


class Memory(PackingCase):
    """Fifty times more data than memory."""

    MEMORY = 4 * MEBIBYTE
    FIXED = 12 * MEBIBYTE  # buffers of files, encoders, the longest documents, two threads' stacks

    def peak(self, output, text, memory):
        """Resident bytes at most."""
        arguments = self.arguments(output, text, ('--memory', f'{memory}B', '--threads', '2'))
        process = subprocess.Popen([os.environ['PHALANX_BINARY'], *arguments], cwd=self.path,
                                   env=self.environment | {'MALLOC_ARENA_MAX': '2'},
                                   stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(process.returncode, 0)
        return usage.ru_maxrss * 1024

    def test_fifty_times_the_memory(self):
        large = self.path / 'large'
        large.mkdir()
        block = [json.loads(line)['text'] for line in
                 (self.path / 'text/0.jsonl').read_text().splitlines()]
        for file in range(4):
            with open(large / f'{file}.jsonl', 'w') as out:
                for i in range(70_000):
                    document = f'{file} {i} {block[i % len(block)]}'
                    out.write(json.dumps({'text': document}) + '\n')
        tiny = self.peak('tiny', 'text', self.MEMORY)
        little = self.peak('little', 'large', self.MEMORY)
        data = sum(path.stat().st_size for path in (self.path / 'little').rglob('*.bin'))
        self.assertGreater(data, 50 * self.MEMORY)
        print(f'{data >> 20} MiB of tokens: {(little - tiny) / MEBIBYTE:.1f} MiB above the peak '
              f'of a small job, with --memory {self.MEMORY >> 20}MiB')
        self.assertLess(little - tiny, self.MEMORY + self.FIXED)
        ample = self.peak('ample', 'large', 512 * MEBIBYTE)
        self.assertGreater(ample - tiny, 100 * MEBIBYTE, 'memory makes no difference: blind test')
        names = {'pack.json'}
        found, expected = tree(self.path / 'little'), tree(self.path / 'ample')
        self.assertEqual({name for name in expected if found.get(name) != expected[name]} - names,
                         set())


if __name__ == '__main__':
    enter_own_mounts()
    main()
