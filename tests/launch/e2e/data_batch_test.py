"""`data batch` shows what training reads: its rows are those that the ranks were seen to read from
the token files, in their order, and their targets are those that the metrics count."""

import bisect
import json
import os
import re
import struct
import subprocess

from support import BAD_INPUT, SEQUENCE, STEPS, STOPPED, RunTest, main

SOURCES = ('code', 'prose', 'sums')
CHANGE = ('stages[0].phases[0].mix.sums=0.3', 'curriculum_from=resume')


def document_begins(index):
    """The first token of each document (data/shards/FORMAT.md), of 2-byte ids."""
    data = index.read_bytes()
    sequences, boundaries = struct.unpack_from('<QQ', data, 18)
    pointers = struct.unpack_from(f'<{sequences}q', data, 34 + 4 * sequences)
    numbers = struct.unpack_from(f'<{boundaries}q', data, 34 + 12 * sequences)
    return [pointers[number] // 2 for number in numbers[:-1]]


class DataBatch(RunTest):

    def logged(self, ranks, name, *arguments, code=0):
        """Trains; the result and {rank: [(source, first token)]} of the rows read, in order."""
        folder = self.workspace.path / f'reads-{name}-{len(arguments)}-{ranks}'
        folder.mkdir()
        usual = self.workspace.environment
        self.workspace.environment = usual | {'LD_PRELOAD': os.environ['PHALANX_LOG_READS'],
                                              'PHALANX_READ_LOG': str(folder)}
        try:
            run = self.train(ranks, name, *arguments, code=code)
        finally:
            self.workspace.environment = usual
        return run, [self.rows_read((folder / str(rank)).read_text()) for rank in range(ranks)]

    def rows_read(self, log):
        rows = []
        for line in log.splitlines():
            path, offset, _ = line.rsplit(' ', 2)
            match = re.search(r'/data/(\w+)/train/shard-00000\.bin$', path)
            if match:
                rows.append((match[1], int(offset) // 2))
        return rows

    def batch(self, where, step, *options):
        return json.loads(self.workspace.program('data', 'batch', str(where), '--step', str(step),
                                                 '--json', *options))

    def assert_read(self, where, steps, reads, begin=1):
        """Steps `steps` are what the ranks read after they had begun with step `begin`."""
        each = 8 // len(reads)
        for step in steps:
            batch = self.batch(where, step, '--dp-size', str(len(reads)))
            self.assertEqual([batch['step'], len(batch['rows'])], [step, 8])
            for rank, rows in enumerate(reads):
                shown = [(row['source'], row['first_token']) for row in batch['rows']
                         if row['replica'] == rank]
                first = (step - begin) * each
                self.assertEqual(shown, rows[first:first + each], f'step {step} of {where}')

    def assert_counted(self, where, run, steps):
        """The targets of each source, and the tokens of the rows, against metrics and files."""
        metrics = {line['step']: line for line in run.metrics()}
        for step in steps:
            targets = dict.fromkeys(SOURCES, 0)
            batch = self.batch(where, step)
            self.assertEqual(f'{batch["stage"]}/{batch["phase"]}', metrics[step]['phase'])
            for row in batch['rows']:
                targets[row['source']] += row['num_valid_targets']
                self.assert_tokens(row)
            self.assertEqual(targets, {source: metrics[step]['sources'][source]['targets']
                                       for source in SOURCES})

    def assert_tokens(self, row):
        folder = self.workspace.path / 'data' / row['source'] / 'train'
        data = (folder / 'shard-00000.bin').read_bytes()
        begin = row['first_token']
        tokens = [int.from_bytes(data[2 * i:2 * i + 2], 'little')
                  for i in range(begin, min(begin + SEQUENCE + 1, len(data) // 2))]
        end = json.loads((folder / 'dataset.json').read_text())['end_of_document']
        self.assertEqual(row['tokens'], tokens + [end] * (SEQUENCE + 1 - len(tokens)))
        self.assert_documents(row, document_begins(folder / 'shard-00000.idx'), begin)

    def assert_documents(self, row, begins, first_token):
        """`begins`: the first token of each document, as the index has it."""
        starts = [start for start in row['document_starts'] if start > 0]
        self.assertEqual([document['position'] for document in row['documents']], [0] + starts)
        for document in row['documents']:
            self.assertEqual(document['shard'], 'shard-00000')
            token = first_token + document['position']
            holder = bisect.bisect_right(begins, token) - 1
            self.assertEqual(document['document'], holder)
            self.assertEqual([document['first_token'], document['offset']],
                             [token, token - begins[holder]])
            self.assertEqual(document['offset'] == 0,
                             document['position'] in row['document_starts'])

    def test_one_and_two_replicas(self):
        for ranks in (1, 2):
            run, reads = self.logged(ranks, f'plain-{ranks}')
            self.assert_read('run.yaml', (1, 2, 7, 12, 13, 17, STEPS), reads)
            self.assert_read(f'runs/plain-{ranks}', (1, 14), reads)
        self.assert_counted('run.yaml', run, (1, 7, 14, STEPS))

    def test_over_a_resume_with_another_curriculum(self):
        _, before = self.logged(1, 'changed', 'run.stop_after_steps=10', code=STOPPED)
        run, after = self.logged(2, 'changed', *CHANGE, '--resume', 'auto')
        newest = 'runs/changed/checkpoints/step-000020'
        for where in ('runs/changed', newest):
            self.assert_read(where, (1, 6, 10), before)
            self.assert_read(where, (11, 12, STEPS), after, begin=11)
        self.assert_counted(newest, run, (2, 10, 11, 20))
        # The configuration alone is a new run, in which the change has always held.
        self.assertNotEqual(self.batch('run.yaml', 12)['rows'], self.batch(newest, 12)['rows'])

    def test_a_run_that_was_resumed_but_not_saved(self):
        """Where the newest checkpoint knows nothing of the change, start.json does."""
        self.train(1, 'unsaved', 'run.stop_after_steps=4', code=STOPPED)
        self.train(1, 'unsaved', *CHANGE, 'run.stop_after_steps=6', '--resume', 'auto',
                   code=STOPPED)
        saved = self.workspace.run_folder('unsaved') / 'checkpoints' / 'step-000006'
        expected = [self.batch(saved, step) for step in (3, 6)]
        subprocess.run(['rm', '-r', saved], check=True)
        self.assertEqual([self.batch('runs/unsaved', step) for step in (3, 6)], expected)
        self.assertEqual(expected[0], self.batch('runs/unsaved/checkpoints/step-000004', 3))

    def test_skipped_steps_and_forks(self):
        self.train(1, 'skips', 'run.stop_after_steps=4', code=STOPPED)
        run, reads = self.logged(1, 'skips', 'run.stop_after_steps=10', '--resume', 'auto',
                                 '--skip-steps', '3', code=STOPPED)
        self.assertEqual([self.batch('runs/skips', step)['skipped'] for step in (4, 5, 7, 8)],
                         [False, True, True, False])
        self.assert_read('runs/skips', (8, 10), reads, begin=8)
        self.assert_counted('runs/skips', run, (2, 8, 10))
        start = 'fork.from=runs/skips/checkpoints/step-000010'
        _, reads = self.logged(1, 'forked', start, 'run.stop_after_steps=2', code=STOPPED)
        self.assert_read('runs/forked', (1, 2), reads)
        self.assertEqual(self.batch('run.yaml', 2, start), self.batch('runs/forked', 2))

    def test_lists_of_masked_documents_that_change_on_resumes(self):
        """Another list, then the same file edited in place, then none, as the metrics count."""
        prose = 'data.sources.prose.mask_documents='
        first, second = (self.workspace.path / name for name in ('first', 'second'))
        first.write_text(''.join(f'{number}\n' for number in range(0, 40, 2)))
        second.write_text('1\n')
        self.train(1, 'lists', prose + 'first', 'run.stop_after_steps=4', code=STOPPED)
        self.train(1, 'lists', prose + 'second', 'run.stop_after_steps=8', '--resume', 'auto',
                   code=STOPPED)
        self.workspace.program('data', 'batch', 'runs/lists', '--step', '8')
        second.write_text('# edited\n' + first.read_text() + '1\n3\n')
        self.train(1, 'lists', prose + 'second', 'run.stop_after_steps=12', '--resume', 'auto',
                   code=STOPPED)
        run = self.train(1, 'lists', 'run.stop_after_steps=16', '--resume', 'auto', code=STOPPED)
        newest = 'runs/lists/checkpoints/step-000016'
        for where in ('runs/lists', newest):
            self.assert_counted(where, run, (1, 4, 9, 12, 13, 16))
            error = self.refused(where, '--step', '8')
            self.assertRegex(error, f'{where}: data.sources.prose.mask_documents: expected the '
                             r'list that was in force from step 5 on, second \([0-9a-f]{16}\), '
                             r'found second \([0-9a-f]{16}\): put it back, or name a copy')
        (self.workspace.path / 'copy').write_text('1\n1\n')
        counts = [sum(row['num_valid_targets'] for row in
                      self.batch('runs/lists', step, prose + 'copy')['rows']) for step in (5, 8)]
        metrics = {line['step']: line for line in run.metrics()}
        self.assertEqual(counts, [sum(source['targets'] for source in
                                      metrics[step]['sources'].values()) for step in (5, 8)])
        first.unlink()
        self.assertIn('found no file first: put it back', self.refused(newest, '--step', '4'))
        self.batch(newest, 12)

    def test_documents_are_named_by_their_origin(self):
        rows = [row for row in self.batch('run.yaml', 1)['rows'] if row['source'] == 'prose']
        document = rows[0]['documents'][0]
        lines = (self.workspace.path / document['file']).read_text().splitlines()
        end = ([start for start in rows[0]['document_starts'] if start > 0] + [SEQUENCE + 1])[0]
        ids = ' '.join(str(token) for token in rows[0]['tokens'][:end])
        text = subprocess.run([self.workspace.binary, 'tokenizer', 'decode', '--tokenizer',
                               'tokenizer'], input=ids, cwd=self.workspace.path, check=True,
                              capture_output=True, text=True).stdout
        self.assertIn(text.removesuffix('<|endoftext|>'),
                      json.loads(lines[document['line'] - 1])['text'])

    def test_parts_of_documents_in_rows_of_whole_documents(self):
        """Each part is in the row what it is in the shard, also of a document that was cut."""
        folder = self.workspace.path / 'data' / 'prose' / 'train'
        self.workspace.program('data', 'bins', 'data/prose', '--sequence-length', str(SEQUENCE))
        begins = document_begins(folder / 'shard-00000.idx')
        data = (folder / 'shard-00000.bin').read_bytes()
        tokens = struct.unpack(f'<{len(data) // 2}H', data)
        rows = self.batch('run.yaml', 2, 'data.packing=best_fit', 'data.document_mask=true',
                          'data.sources.prose.max_epochs=99',
                          'stages[0].phases[0].mix={prose: 1.0}',
                          'stages[0].phases[1].mix={prose: 1.0}', 'data.groups={}',
                          'data.sources={prose: {path: data/prose, max_epochs: 99}}')['rows']
        offsets = []
        for row in rows:
            ends = [document['position'] for document in row['documents'][1:]]
            ends.append(row['num_valid_targets'] + len(row['documents']))
            for document, end in zip(row['documents'], ends, strict=True):
                first, length = document['first_token'], end - document['position']
                self.assertEqual(row['tokens'][document['position']:end],
                                 list(tokens[first:first + length]))
                self.assertEqual(begins[document['document']] + document['offset'], first)
                offsets.append(document['offset'])
        self.assertGreater(max(offsets), 0)

    def test_what_was_not_recorded_is_named(self):
        self.train(1, 'older', 'run.stop_after_steps=4', code=STOPPED)
        self.train(1, 'older', *CHANGE, 'run.stop_after_steps=6', '--resume', 'auto', code=STOPPED)
        path = self.workspace.run_folder('older') / 'start.json'
        start = json.loads(path.read_text())
        self.assertEqual(len(start['state'].pop('past_configs')), 1)
        path.write_text(json.dumps(start))
        self.batch('runs/older', 5)
        self.assertEqual(
            self.refused('runs/older', '--step', '4'),
            'phalanx: error: runs/older: expected the configuration of steps 1 to 4, under which '
            'they were read before the curriculum was changed, found that it was not recorded; '
            'point at a checkpoint of one of those steps\n')

    def refused(self, *arguments):
        done = subprocess.run([self.workspace.binary, 'data', 'batch', *arguments],
                              cwd=self.workspace.path, env=self.workspace.environment,
                              capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual((done.returncode, done.stdout), (BAD_INPUT, ''), done.stderr)
        return done.stderr

    def test_bad_arguments(self):
        error = 'phalanx: error: '
        self.assertEqual(self.refused('run.yaml', '--step', '21'),
                         error + '--step: expected 1 to 20, found 21\n')
        self.assertEqual(self.refused('run.yaml', '--step', '19', '--num-steps', '3'),
                         error + 'the last of --num-steps: expected 1 to 20, found 21\n')
        self.assertEqual(self.refused('run.yaml', '--step', '2', '--num-steps', str(2**63 - 1)),
                         error + 'the last of --num-steps: expected 1 to 20, found '
                         f'{2**63 - 1}\n')
        self.assertEqual(self.refused('run.yaml', '--step', '1', '--row', '8'),
                         error + '--row: expected 0 to 7, found 8\n')
        self.assertEqual(self.refused('run.yaml', '--step', '1', '--dp-size', '3'),
                         error + "--dp-size: expected a divisor of the step's 8 rows, found 3\n")
        self.assertEqual(
            self.refused('run.yaml', '--step', '1', '--dp-size', '2', '--dp-rank', '2'),
            error + '--dp-rank: expected 0 to 1, found 2\n')
        self.assertEqual(
            self.refused('data', '--step', '1'),
            error + "data: expected a configuration file, a run's folder (with start.json or "
            'checkpoints) or a checkpoint (with manifest.json), found none of them\n')

    def test_several_steps(self):
        """The same as one after another."""
        for form in ([], ['--json'], ['--row', '7', '--decode']):
            each = [self.workspace.program('data', 'batch', 'run.yaml', '--step', str(step), *form)
                    for step in (12, 13, 14)]
            self.assertEqual(len(set(each)), 3)
            self.assertEqual(self.workspace.program('data', 'batch', 'run.yaml', '--step', '12',
                                                    '--num-steps', '3', *form), ''.join(each))

    def test_text_for_people(self):
        text = self.workspace.program('data', 'batch', 'run.yaml', '--step', '3', '--dp-size', '2')
        lines = text.splitlines()
        self.assertEqual(lines[0], 'step 3 of 20, pretrain/foundation: 8 rows of 32 targets, '
                                   'rows 16 to 23 of the run')
        rows = self.batch('run.yaml', 3)['rows']
        for row, line in zip(rows, (line for line in lines[3:] if 'replica' in line), strict=True):
            self.assertEqual(line.split()[:7],
                             [str(row[key]) for key in ('row', 'source', 'epoch', 'window', 'draw',
                                                        'num_valid_targets', 'first_token')])
            self.assertTrue(line.endswith(f'replica {row["row"] // 4}, micro-batch '
                                          f'{row["row"] % 4 // 2}'), line)

    def test_decoded_text(self):
        text = self.workspace.program('data', 'batch', 'run.yaml', '--step', '1', '--decode')
        rows = self.batch('run.yaml', 1)['rows']
        self.assertEqual(text.count('\nrow '), len(rows))
        parts = [line for line in text.splitlines() if re.match('--- position .*: document', line)]
        self.assertEqual(sum('from its token' not in line for line in parts),
                         sum(len(row['document_starts']) for row in rows))
        self.assertEqual(len(parts), sum(len(row['documents']) for row in rows))
        ids = ' '.join(str(token) for token in rows[0]['tokens'])
        plain = subprocess.run([self.workspace.binary, 'tokenizer', 'decode', '--tokenizer',
                                'tokenizer'], input=ids, cwd=self.workspace.path, check=True,
                               capture_output=True, text=True).stdout
        block = text.split('\nrow ')[1]
        shown = '\n'.join(line[2:] for line in block.splitlines() if line.startswith('| '))
        self.assertEqual(shown.replace('\n', ''), plain.replace('\n', '').replace('\\', '\\\\'))


if __name__ == '__main__':
    main()
