"""Training on data sets in a store: the same losses bit for bit as from folders, from a server that is
slow, breaks off, fails or lies, or one message with the URL, and never other tokens."""

import os
import shutil
import signal
import time

from faulty_store import FaultyStore
from support import (BAD_INPUT, SEQUENCE, STEPS, STOPPED, UNAVAILABLE, RunTest, main, report_faults,
                     state_of)

SOURCES = ('code', 'prose', 'sums')
# Documents are not cut: the longest has 39,000 tokens in code, 2,500 in prose.
SHARD_TOKENS = {'code': 40_000, 'prose': 5_000, 'sums': 300}
# So many steps that prose is read over several windows of one shard.
WINDOWS = [*(f'data.sources.{name}.shuffle_window=1' for name in SOURCES),
           'stages[0].phases[0].tokens=61440', 'checkpoint.interval=10 steps']


def losses(result):
    return [(line['step'], line['loss'], line['grad_norm'], line['sources'])
            for line in result.metrics()]


def needed_bytes(refused):
    return int(refused.err.split('expected at least ')[1].split('B')[0])


class StoreTest(RunTest):
    """A workspace whose data sets have many shards, held-out parts too, and a server of them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name, kind in zip(SOURCES, ('organic', 'organic', 'synthetic')):
            shutil.rmtree(cls.workspace.path / 'data' / name)
            cls.workspace.program(
                'data', 'pack', '--input', f'text/{name}', '--tokenizer', 'tokenizer', '--output',
                f'data/{name}', '--kind', kind, '--shard-tokens', str(SHARD_TOKENS[name]),
                '--validation-fraction', '0.1', '--best-fit', str(SEQUENCE))

    def setUp(self):
        self.store = FaultyStore(self.workspace.path)
        self.addCleanup(self.store.close)
        self.cache = self.workspace.path / 'caches' / self.id().rpartition('.')[2]

    def urls(self, *more, patience='20s'):
        """Overrides that fetch all sources from the server into a cache of this test's own."""
        return [*(f'data.sources.{name}.path={self.store.url}/data/{name}' for name in SOURCES),
                f'data.store.cache={self.cache}', f'data.store.patience={patience}', *more]

    def whole_files(self):
        """Names in the cache, whose contents must be what the names say."""
        return sorted(path.name for path in self.cache.iterdir() if path.name != 'lock')

    def assert_whole(self):
        known = {(path.stat().st_size, path.read_bytes()): path
                 for path in (self.workspace.path / 'data').rglob('shard-*')}
        for name in self.whole_files():
            contents = (self.cache / name).read_bytes()
            self.assertEqual(int(name.partition('-')[2]), len(contents), name)
            self.assertIn((len(contents), contents), known, name)

    def one_error(self, result, *texts):
        self.assertEqual(len(result.our_errors()), 1, str(result))
        for text in texts:
            self.assertIn(text, result.err, str(result))


class Store(StoreTest):

    def test_the_same_losses_as_from_folders(self):
        local = self.alone('local')
        fetched = self.alone('fetched', *self.urls())
        self.assertEqual(losses(fetched), losses(local))
        self.assertEqual(state_of(fetched.checkpoint(STEPS))['cursor'],
                         state_of(local.checkpoint(STEPS))['cursor'])
        self.assert_whole()

    def test_two_ranks_of_whole_documents_fetch_each_file_once(self):
        bins = ('data.packing=best_fit', 'data.document_mask=true')
        local = self.train(2, 'bins', *bins)
        fetched = self.train(2, 'fetched-bins', *self.urls(*bins))
        self.assertEqual(losses(fetched), losses(local))
        self.assert_whole()
        # A request of one byte looks whether a file is there.
        whole = [path for path, headers in self.store.seen
                 if headers.get('range') != 'bytes=0-0' and 'shard-' in path]
        self.assertEqual(sorted(whole), sorted(set(whole)), 'a file was fetched more than once')
        self.assertGreater(len([path for path in whole if path.endswith('.bin')]), 20)

    def test_a_run_moves_from_a_folder_to_a_store(self):
        local = self.alone('whole')
        self.alone('moved', 'run.stop_after_steps=9', code=STOPPED)
        moved = self.alone('moved', *self.urls(), '--resume', 'auto')
        self.assertEqual(losses(moved), losses(local))

    def test_a_cache_smaller_than_the_data(self):
        local = self.alone('windows', *WINDOWS)
        refused = self.alone('too-small', *self.urls(*WINDOWS, 'data.store.cache_bytes=20000B'),
                             code=BAD_INPUT)
        self.one_error(refused, 'data.store.cache_bytes: expected at least', 'got 20000B')
        needed = needed_bytes(refused)
        total = sum(path.stat().st_size for path in (self.workspace.path / 'data').rglob('shard-*')
                    if path.suffix in ('.bin', '.idx') and 'train' in path.parts)
        self.assertLess(needed, total)
        run = self.workspace.start(
            1, 'small', *self.urls(*WINDOWS, f'data.store.cache_bytes={needed}B'))
        most = 0
        while run.process.poll() is None:
            most = max(most, self.cached_bytes())
            time.sleep(0.002)
        fetched = run.finish()
        self.assertEqual(fetched.code, 0, str(fetched))
        self.assertEqual(losses(fetched), losses(local))
        self.assertGreater(most, needed // 2)
        self.assertLessEqual(most, needed)
        fetched = [path for path, headers in self.store.seen
                   if 'prose/train' in path and path.endswith('.bin')
                   and headers.get('range') != 'bytes=0-0']
        self.assertGreater(len(set(fetched)), 5)

    def cached_bytes(self):
        if not self.cache.is_dir():
            return 0
        return sum(int(name.partition('-')[2]) for name in os.listdir(self.cache)
                   if name[16:17] == '-' and name.rpartition('-')[2].isdigit())

    def test_commands_that_read_data(self):
        url = f'{self.store.url}/data/code'
        self.workspace.environment['TMPDIR'] = str(self.workspace.path)
        self.addCleanup(self.workspace.environment.pop, 'TMPDIR')
        for arguments in (('--quick',), ('--verify',), ('--samples', '2')):
            local = self.workspace.program('data', 'inspect', 'data/code', *arguments)
            fetched = self.workspace.program('data', 'inspect', url, *arguments)
            self.assertEqual(fetched, local.replace('data/code', url))
        for command in (('mix', 'run.yaml'), ('batch', 'run.yaml', '--step', '3')):
            local = self.workspace.program('data', *command)
            self.assertEqual(self.workspace.program('data', *command, *self.urls()), local)
        self.alone('dry', *self.urls('--dry-run'))


class Faults(StoreTest):

    def test_what_passes_is_borne(self):
        local = self.alone('sound')
        busy = {'headers': {'Retry-After': '0'}}
        self.store.add('0001.bin', 'status', 2, **busy)
        self.store.add('0002.bin', 'drop', 1)
        self.store.add('0003.bin', 'truncate', 2)
        self.store.add('0004.bin', 'cut', 1)
        self.store.add('0005.bin', 'lie', 1)
        self.store.add('0006.bin', 'status', 1, status=429, **busy)
        self.store.add('0007.bin', 'truncate', 1, after=1000)
        self.store.add('0007.bin', 'no_range', 1)
        self.store.add('0001.idx', 'slow', rate=20_000)
        self.store.add('dataset.json', 'status', 1, status=502, **busy)
        fetched = self.alone('borne', *self.urls())
        self.assertEqual(losses(fetched), losses(local))
        self.assert_whole()
        resumed = [headers['range'] for path, headers in self.store.seen
                   if path.endswith('prose/train/shard-00007.bin') and 'range' in headers]
        self.assertTrue([text for text in resumed if text.startswith('bytes=1000-')], resumed)
        report_faults(self.store.num_met(), 'requests to a store that it answered badly')

    def test_what_stays_ends_the_run_with_the_url(self):
        file = 'data/code/train/shard-00000.bin'
        size = (self.workspace.path / file).stat().st_size
        cases = [
            ('lie', {}, ('XXH3: expected', '(2 times)')),
            ('shorter', {}, (f'expected {size} bytes', f'found {size // 2}')),
            ('longer', {}, (f'expected {size} bytes', f'found {size + 4}')),
            ('empty', {}, (f'expected {size} bytes', 'found 0')),
            ('status', {'status': 404, 'body': b'gone for good'}, ('404 gone for good', '(once)')),
            ('status', {'status': 403, 'body': b'<Error><Code>AccessDenied</Code><Message>No.'
                                               b'</Message></Error>'}, ('403 AccessDenied: No (once)',)),
            ('status', {'status': 503}, ('503 busy', 'tries in', 'data.store.patience')),
            ('truncate', {'after': 100}, (', then: ', 'tries in', 'data.store.patience')),
        ]
        for number, (kind, details, texts) in enumerate(cases):
            with self.subTest(kind=kind, **details):
                self.store.mend()
                self.store.add('code/train/shard-00000.bin', kind, **details)
                shutil.rmtree(self.cache, ignore_errors=True)
                outage = 'data.store.patience' in texts
                refused = self.alone(f'ends-{number}', *self.urls(patience='1s'),
                                     code=UNAVAILABLE if outage else BAD_INPUT)
                self.one_error(refused, f'{self.store.url}/{file}: ', *texts)
                self.assert_whole()
        report_faults(len(cases), 'stores that stay bad, named')

    def test_mirrors_are_asked_in_order(self):
        local = self.alone('one-place')
        liar = FaultyStore(self.workspace.path)
        self.addCleanup(liar.close)
        liar.add('.bin', 'lie')
        liar.add('.idx', 'status', status=404)
        places = {name: f'[{liar.url}/data/{name}, {self.store.url}/data/{name}]'
                  for name in SOURCES}
        mirrored = self.train(
            1, 'mirrors', *(f'data.sources.{name}.path={places[name]}' for name in SOURCES),
            f'data.store.cache={self.cache}')
        self.assertEqual(losses(mirrored), losses(local))
        self.assert_whole()
        self.assertEqual(self.store.count('train/dataset.json'), 0)  # the first one had it
        self.assertGreater(liar.count('shard-00000.bin'), 0)

    def test_a_store_that_goes_away_and_comes_back(self):
        refused = self.alone('needs', *self.urls(*WINDOWS, 'data.store.cache_bytes=1B'),
                             code=BAD_INPUT)
        small = (*WINDOWS, f'data.store.cache_bytes={needed_bytes(refused)}B')
        local = self.alone('steady', *WINDOWS)
        self.alone('left', *self.urls(*small), 'run.stop_after_steps=3', code=STOPPED)
        port = self.store.port
        run = self.workspace.start(1, 'left', *self.urls(*small, patience='1s'), '--resume',
                                   'auto')
        run.wait_for_steps(15)
        self.store.close()
        lost = run.finish()
        self.assertEqual(lost.code, UNAVAILABLE, str(lost))
        self.one_error(lost, f'fetch {self.store.url}/data/', 'no answer: ', 'tries in')
        self.store = FaultyStore(self.workspace.path, port)
        self.addCleanup(self.store.close)
        back = self.alone('left', *self.urls(*small), '--resume', 'auto')
        self.assertEqual(losses(back)[-3:], losses(local)[-3:])

    def test_a_killed_run_leaves_whole_files_only(self):
        self.store.add('.bin', 'slow', rate=20_000)
        run = self.workspace.start(1, 'killed', *self.urls())
        run.wait_for(lambda: self.cache.is_dir() and
                     any(name.endswith('.fetching') for name in self.whole_files()) and
                     any(name[-1].isdigit() for name in self.whole_files()), 'a fetch under way')
        for rank in run.ranks():
            os.kill(rank, signal.SIGKILL)
        run.finish()
        left = [name for name in self.whole_files() if name.endswith('.fetching')]
        self.assertTrue(all((self.cache / name).stat().st_size == 0 for name in left))
        for name in left:
            (self.cache / name).unlink()
        self.assert_whole()
        for name in left:
            (self.cache / name).touch()
        self.store.mend()
        self.alone('killed', *self.urls())
        self.assert_whole()  # and what marked the fetches is gone
        report_faults(1, 'ranks killed in a fetch')


if __name__ == '__main__':
    main()
