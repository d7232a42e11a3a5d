"""`phalanx data inspect` and `data convert` as scripts and people call them, held against the bytes
of the files and against what was packed."""

import json
import os
import statistics
import struct
import subprocess

from support import BAD_INPUT, DONE, RunTest, main, write_documents

HOSTILE = 'red \x1b[31m bell \x07 csi \u009b2J back\\slash \u202e tab\t line\nend \u00e9\u4e2d'
SHOWN_ON_A_LINE = ('red \\x1b[31m bell \\x07 csi \\u009b2J back\\\\slash \\u202e tab\\t line\\nend '
                   '\u00e9\u4e2d<|endoftext|>')


def index_of(prefix):
    """(lengths of sequences, document boundaries) of an .idx with one sequence a document."""
    data = prefix.with_name(prefix.name + '.idx').read_bytes()
    sequences, boundaries = struct.unpack('<QQ', data[18:34])
    return (struct.unpack(f'<{sequences}i', data[34:34 + 4 * sequences]),
            struct.unpack(f'<{boundaries}q', data[34 + 12 * sequences:]))


class DataCommands(RunTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.path = cls.workspace.path
        (cls.path / 'text' / 'hostile').mkdir()
        write_documents(cls.path / 'text' / 'hostile' / 'one.jsonl', [HOSTILE])
        cls.workspace.program('data', 'pack', '--input', 'text/hostile', '--tokenizer', 'tokenizer',
                              '--output', 'data/hostile', '--kind', 'organic',
                              '--validation-fraction', '0')

    def run_program(self, *arguments):
        return subprocess.run([self.workspace.binary, 'data', *arguments], cwd=self.path,
                              env=self.workspace.environment, capture_output=True, text=True,
                              check=False)

    def program(self, *arguments):
        done = self.run_program(*arguments)
        self.assertEqual((done.returncode, done.stderr), (DONE, ''), done.stderr)
        return done.stdout

    def refuse(self, words, *arguments):
        done = self.run_program(*arguments)
        self.assertEqual(done.returncode, BAD_INPUT, done.stdout + done.stderr)
        self.assertEqual(done.stderr.count('phalanx: error: '), 1, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)

    def inspect(self, folder, *arguments):
        return json.loads(self.program('inspect', folder, '--json', *arguments))

    def write_corpus(self, folder, dtype='H', ids=(1, 2, 3)):
        """A document with `ids` in Megatron's layout."""
        prefix = self.path / folder / 'web_text_document'
        prefix.parent.mkdir()
        code = {'H': 8, 'i': 4}[dtype]
        prefix.with_name(prefix.name + '.bin').write_bytes(struct.pack(f'<{len(ids)}{dtype}', *ids))
        prefix.with_name(prefix.name + '.idx').write_bytes(
            b'MMIDIDX\0\0' + struct.pack('<QBQQ', 1, code, 1, 2) + struct.pack('<i', len(ids)) +
            struct.pack('<q', 0) + struct.pack('<qq', 0, 1))
        return f'{folder}/web_text_document'

    def test_lengths_are_those_of_the_index(self):
        train, validation = self.inspect('data/prose')
        for part, name in ((train, 'train'), (validation, 'validation')):
            lengths, _ = index_of(self.path / 'data' / 'prose' / name / 'shard-00000')
            found = part['lengths']
            self.assertEqual((part['documents'], part['tokens']), (len(lengths), sum(lengths)))
            self.assertEqual((found['min'], found['max']), (min(lengths), max(lengths)))
            self.assertAlmostEqual(found['mean'], statistics.mean(lengths))
            ordered = sorted(lengths)
            for key, per_mille in (('median', 500), ('p90', 900), ('p99', 990)):
                self.assertEqual(found[key], ordered[-(-len(ordered) * per_mille // 1000) - 1])
            for bar in found['histogram']:
                self.assertEqual(bar['documents'],
                                 sum(bar['from'] <= length <= bar['to'] for length in lengths))
            self.assertEqual(sum(bar['documents'] for bar in found['histogram']), len(lengths))
            self.assertEqual((part['packing']['part'], part['folder']),
                             (name, f'data/prose/{name}'))
        text = self.program('inspect', 'data/prose')
        median, p99 = train['lengths']['median'], train['lengths']['p99']
        self.assertIn(f'median {median}, ', text)
        self.assertIn(f'p99 {p99}, ', text)
        self.assertIn('#' * 40, text)
        quick = self.inspect('data/prose', '--quick')[0]
        self.assertNotIn('lengths', quick)
        self.assertEqual(quick, {key: train[key] for key in quick})

    def test_bins_are_shown_with_their_filling(self):
        self.workspace.program('data', 'pack', '--input', 'text/code', '--tokenizer', 'tokenizer',
                               '--output', 'data/bins', '--kind', 'organic',
                               '--validation-fraction', '0')
        path = self.path / 'data/bins/train/dataset.json'
        manifest = json.loads(path.read_text())
        num_bins = manifest['tokens'] // 24
        manifest['shards'][0]['bins'] = [
            {'sequence_length': 32, 'bins': num_bins, 'xxh3': '0' * 16}]
        path.write_text(json.dumps(manifest))
        filled = (manifest['tokens'] - manifest['documents']) / (32 * num_bins)
        found = self.inspect('data/bins')[0]['bins']
        self.assertEqual(found, [{'sequence_length': 32, 'bins': num_bins, 'filled': filled}])
        self.assertIn(f'  bins of 32       {num_bins}, {100 * filled:.2f} % filled\n',
                      self.program('inspect', 'data/bins', '--quick'))

    def test_samples_are_documents_that_were_packed(self):
        packed = {json.loads(line)['text']
                  for line in (self.path / 'text/prose/topics.jsonl').read_text().splitlines()}
        train = self.inspect('data/prose', '--samples', '7', '--tokenizer', 'tokenizer')[0]
        self.assertEqual(len(train['samples']), 7)
        self.assertEqual(len({sample['document'] for sample in train['samples']}), 7)
        for sample in train['samples']:
            self.assertEqual(len(sample['tokens']), min(100, sample['length']))
            self.assertTrue(any(text.startswith(sample['text']) for text in packed), sample)
        text = self.program('inspect', 'data/prose/train', '--samples', '1000')
        self.assertEqual(text.count('\n  document '), train['documents'])
        self.assertIn('    ' + ' '.join(map(str, train['samples'][0]['tokens'])) + ' ...\n', text)

    def test_a_document_alone_excludes_what_it_would_leave_out(self):
        for option in (['--verify'], ['--samples', '2'], ['--quick']):
            done = self.run_program('inspect', 'data/prose', '--document', '0', *option)
            self.assertEqual(done.returncode, BAD_INPUT, done.stdout)
            self.assertIn(f'{option[0]} excludes --document', done.stderr)

    def test_a_document_is_shown_whole(self):
        lengths, _ = index_of(self.path / 'data' / 'prose' / 'train' / 'shard-00000')
        packed = {json.loads(line)['text']
                  for line in (self.path / 'text/prose/topics.jsonl').read_text().splitlines()}
        for number in (0, 1, len(lengths) - 1):
            found = self.inspect('data/prose', '--document', str(number), '--tokenizer',
                                 'tokenizer')
            self.assertEqual((found['document'], found['shard'], found['position']),
                             (number, 'shard-00000', sum(lengths[:number])))
            self.assertEqual((found['length'], len(found['tokens'])), (lengths[number],) * 2)
            self.assertIn(found['text'].removesuffix('<|endoftext|>'), packed)
        self.refuse([f'data/prose/train: document: expected 0 to {len(lengths) - 1}, found '
                     f'{len(lengths)}'], 'inspect', 'data/prose', '--document', str(len(lengths)))

    def test_text_cannot_act_on_the_terminal(self):
        shown = self.program('inspect', 'data/hostile', '--samples', '1', '--tokenizer',
                             'tokenizer')
        self.assertIn(f'    {SHOWN_ON_A_LINE}\n', shown)
        whole = self.program('inspect', 'data/hostile', '--document', '0', '--tokenizer',
                             'tokenizer')
        self.assertEqual(whole.split('\n', 1)[1].rstrip('\n'),
                         SHOWN_ON_A_LINE.replace('\\t', '\t').replace('\\n', '\n'))
        for text in (shown, whole):
            self.assertFalse(set(text) & {'\x1b', '\x07', '\u009b', '\u202e'})

    def test_another_tokenizer_is_refused(self):
        self.workspace.train_tokenizer('smaller', 400)
        fingerprint = self.inspect('data/prose')[0]['tokenizer']
        self.refuse(['--tokenizer smaller: expected the tokenizer of data/prose/train, with '
                     f'fingerprint {fingerprint}, found one with '],
                    'inspect', 'data/prose', '--samples', '1', '--tokenizer', 'smaller')

    def test_changed_and_unreadable_shards_are_named(self):
        self.workspace.program('data', 'pack', '--input', 'text/sums', '--tokenizer', 'tokenizer',
                               '--output', 'data/changed', '--kind', 'organic',
                               '--validation-fraction', '0')
        shard = self.path / 'data' / 'changed' / 'train' / 'shard-00000.bin'
        whole = shard.read_bytes()
        shard.write_bytes(whole[:-2])
        self.refuse([f'data/changed/train/shard-00000.bin: size: expected {len(whole)} bytes as '
                     f'its .idx says, found {len(whole) - 2} bytes'], 'inspect', 'data/changed')
        shard.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
        done = self.run_program('inspect', 'data/changed', '--verify', '--json')
        self.assertEqual(done.returncode, BAD_INPUT)
        self.assertIn('shard-00000.bin: XXH3: expected ', json.loads(done.stdout)[0]['problems'][0])
        os.remove(shard)
        self.refuse(['data/changed/train/shard-00000.bin: No such file'], 'inspect', 'data/changed')
        self.assertIn('  documents        8\n', self.program('inspect', 'data/changed', '--quick'))

    def test_a_corpus_is_adopted_and_trained_on(self):
        end = self.inspect('data/prose')[0]['end_of_document']
        ids = [*range(1, 250), end] * 8
        prefix = self.write_corpus('foreign', ids=ids)
        self.refuse([f'foreign: expected a data set (dataset.json or train/dataset.json in it), '
                     f'found neither: phalanx data convert --adopt {prefix} makes one'],
                    'inspect', 'foreign')
        said = self.program('convert', '--adopt', prefix, '--tokenizer', 'tokenizer', '--licence',
                            'mine')
        self.assertIn('1 document, 2000 tokens of uint16 in 1 shard, in the order of the input',
                      said)
        self.assertIn(f'largest id {max(ids)} of a vocabulary of 512', said)
        part = self.inspect('foreign', '--verify')[0]
        self.assertEqual((part['name'], part['kind'], part['licence'], part['problems']),
                         ('web_text_document', 'organic', 'mine', []))
        run = self.train(1, 'foreign', 'data.sources.code.path=foreign', 'run.stop_after_steps=2',
                         code=75)
        self.assertEqual(len(run.metrics()), 2)

    def test_a_corpus_without_ends_is_warned_of(self):
        prefix = self.write_corpus('endless')
        done = self.run_program('convert', '--adopt', prefix, '--tokenizer', 'tokenizer',
                                '--shuffled')
        self.assertEqual(done.returncode, DONE, done.stderr)
        self.assertTrue(done.stderr.startswith('phalanx: warning: 1 of 1 documents do not end with '
                                               'the end-of-document token '), done.stderr)
        self.assertTrue(self.inspect('endless')[0]['packing']['shuffled'])

    def test_what_does_not_fit_together_is_refused(self):
        prefix = self.write_corpus('strange', ids=(1, 2, 600))
        tokenizer = ('--tokenizer', 'tokenizer')
        self.refuse(['strange/web_text_document.bin: token 2: expected an id below the '
                     'vocabulary\'s 512, found 600'], 'convert', '--adopt', prefix, *tokenizer)
        self.refuse(['--adopt PREFIX... or --input FILE..., found neither'], 'convert', *tokenizer)
        self.refuse(['found both'], 'convert', '--adopt', prefix, '--input', 'x', *tokenizer)
        self.refuse(['--from: expected with --input only'], 'convert', '--adopt', prefix, '--from',
                    'llmc', *tokenizer)
        self.refuse(['--output: expected the folder to make'], 'convert', '--input', 'x',
                    *tokenizer)

    def test_token_files_are_converted(self):
        end = self.inspect('data/prose')[0]['end_of_document']
        ids = [end, 5, 6, end, 7]
        header = struct.pack('<256i', 20240520, 1, len(ids), *[0] * 253)
        (self.path / 'llmc.bin').write_bytes(header + struct.pack(f'<{len(ids)}H', *ids))
        said = self.program('convert', '--input', 'llmc.bin', '--tokenizer', 'tokenizer',
                            '--output', 'data/llmc/', '--kind', 'synthetic')
        self.assertIn('converted llmc (synthetic) into data/llmc\n  train\n  2 documents, 5 tokens',
                      said)
        (self.path / 'nano.bin').write_bytes(struct.pack('<5H', 5, 6, end, 7, end))
        self.program('convert', '--input', 'nano.bin', '--from', 'nanogpt', '--tokenizer',
                     'tokenizer', '--output', 'data/nano', '--validation', 'nano.bin')
        self.assertEqual([part['packing']['part'] for part in self.inspect('data/nano')],
                         ['train', 'validation'])
        for name in ('llmc', 'nano'):
            part = self.inspect(f'data/{name}', '--samples', '9', '--verify')[0]
            self.assertEqual([sample['tokens'] for sample in part['samples']],
                             [[5, 6, end], [7, end]])
            self.assertEqual(part['problems'], [])


if __name__ == '__main__':
    main()
