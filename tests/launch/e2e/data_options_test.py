"""Rows of whole documents, masked documents, shuffle windows and checked reading, as a run sees
them: the same at any number of ranks, with errors that say what to do."""

import json
import shutil

from support import BAD_INPUT, SEQUENCE, STEPS, STOPPED, RunTest, main, state_of

BEST_FIT = ('data.packing=best_fit', 'data.document_mask=true')


class DataOptions(RunTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for source in ('code', 'prose', 'sums'):
            cls.workspace.program('data', 'bins', f'data/{source}', '--sequence-length',
                                  str(SEQUENCE))

    def one_error(self, result, *texts):
        self.assertEqual(len(result.our_errors()), 1, str(result))
        for text in texts:
            self.assertIn(text, result.our_errors()[0])

    def test_best_fit_is_the_same_at_one_and_two_replicas_and_after_a_resume(self):
        one = self.train(1, 'bins-1', *BEST_FIT)
        two = self.train(2, 'bins-2', *BEST_FIT, 'run.stop_after_steps=14', code=STOPPED)
        two = self.train(2, 'bins-2', *BEST_FIT, '--resume', 'auto')
        self.assertEqual(len(one.metrics()), STEPS)
        self.assert_close(two.metrics(), one.metrics())
        ledger = state_of(one.checkpoint(STEPS))['cursor']
        self.assertEqual(state_of(two.checkpoint(STEPS))['cursor'], ledger)
        for source in ledger['sources']:
            self.assertRegex(source['fingerprint'], f'^[0-9a-f]{{16}}/bins-{SEQUENCE}:[0-9a-f]{{16}}$')
        windows = self.train(1, 'windows')
        self.assertNotEqual([line['loss'] for line in windows.metrics()],
                            [line['loss'] for line in one.metrics()])

    def test_best_fit_needs_bins_and_the_document_mask(self):
        refused = self.train(1, 'no-mask', BEST_FIT[0], code=BAD_INPUT)
        self.one_error(refused, 'data.packing: expected document_mask: true with best_fit')
        refused = self.train(2, 'no-bins', *BEST_FIT, 'stages[0].sequence_length=16', code=BAD_INPUT)
        self.one_error(refused, 'data/code/train', f'found those of {SEQUENCE}',
                       '`phalanx data bins data/code/train --sequence-length 16`')

    def test_changed_bins_are_found_on_resume(self):
        self.train(1, 'changed', *BEST_FIT, 'run.stop_after_steps=4', code=STOPPED)
        path = self.workspace.path / 'data/prose/train/dataset.json'
        good = path.read_text()
        manifest = json.loads(good)
        bins = manifest['shards'][0]['bins'][0]
        bins['xxh3'] = '%016x' % (int(bins['xxh3'], 16) ^ 1)
        path.write_text(json.dumps(manifest))
        try:
            refused = self.train(1, 'changed', *BEST_FIT, '--resume', 'auto', code=BAD_INPUT)
        finally:
            path.write_text(good)
        self.one_error(refused, 'data.sources.prose: expected the data with fingerprint')

    def test_masked_documents_change_the_loss_and_not_the_order(self):
        (self.workspace.path / 'masked').write_text('# two of them\n0\n1\n')
        plain = self.train(1, 'plain')
        masked = self.train(2, 'masked', 'data.sources.prose.mask_documents=masked')
        targets = [[sum(line['sources'][s]['targets'] for line in run.metrics()) for s in
                    ('code', 'prose', 'sums')] for run in (plain, masked)]
        self.assertEqual(targets[0][0::2], targets[1][0::2])
        self.assertLess(targets[1][1], targets[0][1])
        self.assertEqual(state_of(masked.checkpoint(STEPS))['cursor'],
                         state_of(plain.checkpoint(STEPS))['cursor'])
        (self.workspace.path / 'masked').write_text('1\n99999\n')
        refused = self.train(1, 'bad-list', 'data.sources.prose.mask_documents=masked',
                             code=BAD_INPUT)
        self.one_error(refused, 'masked: line 2: expected the number of a document, 0 to',
                       'found "99999"')

    def test_a_changed_shuffle_window_is_refused_on_resume(self):
        window = 'data.sources.prose.shuffle_window=1'
        self.train(1, 'window', window, 'run.stop_after_steps=4', code=STOPPED)
        refused = self.train(1, 'window', '--resume', 'auto', code=BAD_INPUT)
        self.assertEqual(len(refused.our_errors()), 1, str(refused))
        self.assertIn('data.sources.prose.shuffle_window', refused.err)
        self.train(1, 'window', window, '--resume', 'auto')

    def test_a_shard_that_changed_since_the_checkpoint(self):
        self.train(2, 'shard', 'run.stop_after_steps=4', code=STOPPED)
        folder = self.workspace.path / 'data/prose/train'
        path = folder / 'shard-00000.bin'
        shutil.copy(path, self.workspace.path / 'good.bin')
        content = bytearray(path.read_bytes())
        content[100] ^= 1
        path.write_bytes(content)
        try:
            refused = self.train(2, 'shard', 'data.verify=true', '--resume', 'auto', code=BAD_INPUT)
            self.one_error(refused, 'shard-00000.bin: block 0, bytes 0 to ', 'XXH3: expected ',
                           '`phalanx data inspect data/prose/train --verify` says which')
            path.write_bytes(content[:-2])
            refused = self.train(2, 'shard', '--resume', 'auto', code=BAD_INPUT)
            self.one_error(refused, 'shard-00000.bin: size: expected ')
        finally:
            shutil.copy(self.workspace.path / 'good.bin', path)
        sidecar = folder / 'shard-00000.xxh3'
        sidecar.rename(folder / 'away')
        refused = self.train(1, 'shard', 'data.verify=true', '--resume', 'auto', code=BAD_INPUT)
        (folder / 'away').rename(sidecar)
        self.one_error(refused, 'shard-00000.xxh3: expected the hashes of shard-00000.bin')
        self.train(2, 'shard', 'data.verify=true', '--resume', 'auto')


if __name__ == '__main__':
    main()
