"""Bad input ends all ranks within seconds with exit code 2 and one message that names the file or
field, the place, what was expected and what was found; what was saved before stays as it was."""

import os
import shutil
import struct

from support import BAD_INPUT, CONFIG, STOPPED, RunTest, Training, main

SECONDS = 30  # of a machine that does other things besides
RESUME = ('--resume', 'auto')


def snapshot(folder):
    return {path.relative_to(folder): path.read_bytes()
            for path in sorted(folder.rglob('*')) if path.is_file()}


class BadInput(RunTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.saved = cls.workspace.train(2, 'saved', 'run.stop_after_steps=10')
        if cls.saved.code != STOPPED:
            raise AssertionError(str(cls.saved))
        cls.workspace.program('checkpoint', 'verify', 'runs/saved/checkpoints/step-000010')
        cls.before = snapshot(cls.saved.checkpoint(10))

    def refuse(self, words, *arguments, name='saved', ranks=2, config='run.yaml'):
        """Trains; the one message must contain all `words`. With name='saved' the run has a
        checkpoint to lose."""
        result = self.workspace.train(ranks, name, *arguments, config=config, limit=SECONDS)
        self.assertEqual(result.code, BAD_INPUT, str(result))
        self.assertEqual(len(result.our_errors()), 1, str(result))
        for sign in ('MPI_ABORT', 'terminate called', 'Segmentation'):
            self.assertNotIn(sign, result.err)
        message = result.err.split('phalanx: ', 1)[1]
        self.assertTrue(message.startswith('error: '), message)
        for word in words:
            self.assertIn(word, message)
        self.assert_kept()
        return result

    def assert_kept(self):
        after = snapshot(self.saved.checkpoint(10))
        self.assertEqual(after.keys(), self.before.keys())
        self.assertEqual([path for path in after if after[path] != self.before[path]], [])

    def write_config(self, old, new):
        self.assertEqual(CONFIG.count(old), 1)
        text = CONFIG.replace(old, new)
        (self.workspace.path / 'bad.yaml').write_text(text)
        return next(i for i, line in enumerate(text.splitlines(), 1) if new in line)

    def copy_of_sums(self):
        """A data set to damage; the folder of its token files."""
        folder = self.workspace.path / 'damaged'
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.workspace.path / 'data' / 'sums', folder)
        return folder / 'train'

    DAMAGED = 'data.sources.sums.path=damaged'


class BadConfig(BadInput):

    def test_a_command_line_that_cannot_be_read(self):
        self.refuse(["unknown option --resum; did you mean '--resume'?", '(see phalanx train --help)'],
                    '--resum', 'auto')
        self.refuse(['--skip-steps: expected a whole number from 1 on, found 0'], *RESUME,
                    '--skip-steps', '0', ranks=3)

    def test_ranks_with_different_command_lines(self):
        """The one that cannot read its own says so, and nobody waits for it."""
        train = [self.workspace.binary, 'train', 'run.yaml', 'run.name=mixed']
        mpirun = self.workspace.command(1)[:-2]
        command = [*mpirun, *train, ':', '-n', '1', *train, '--resum', 'auto']
        result = Training(self.workspace, command, self.workspace.run_folder('mixed')).finish(SECONDS)
        self.assertEqual(result.code, BAD_INPUT, str(result))
        self.assertEqual(len(result.our_errors()), 1, str(result))
        self.assertRegex(result.our_errors()[0], 'phalanx: error on rank 1: unknown option --resum;')

    def test_unknown_key(self):
        line = self.write_config('beta1: 0.9', 'beta_1: 0.9')
        self.refuse([f'bad.yaml:{line}', 'optimizer.beta_1', 'unknown key', "'beta1'"], *RESUME,
                    config='bad.yaml')

    def test_wrong_unit(self):
        line = self.write_config('interval: 0, keep_last', 'interval: 20 miles, keep_last')
        self.refuse([f'bad.yaml:{line}', 'checkpoint.interval', 'expected', '20 miles'], *RESUME,
                    config='bad.yaml')

    def test_mesh_that_does_not_match_the_ranks(self):
        self.refuse(['parallel.tensor_parallel_size', 'divisor of the 3 ranks', 'got 2'],
                    'parallel.tensor_parallel_size=2', *RESUME, ranks=3)

    def test_batch_that_the_replicas_do_not_divide(self):
        self.refuse(['stages[0].global_batch_size', 'expected a multiple', '3 data-parallel',
                     'got 8'], *RESUME, ranks=3)

    def test_mixture_that_needs_more_epochs(self):
        self.refuse(['sums', 'max_epochs', '3'], 'data.on_exhausted=error', name='epochs')

    def test_missing_file(self):
        self.refuse(['nowhere.yaml', 'No such file'], *RESUME, config='nowhere.yaml')

    def test_checkpoint_of_another_model(self):
        path = str(self.saved.checkpoint(10).relative_to(self.workspace.path))
        self.refuse([path, 'model.hidden_size', '32', '64'], 'model.hidden_size=64', *RESUME)

    def test_weights_that_are_not_there_or_of_another_model(self):
        self.refuse(['nowhere: expected a Hugging Face folder or a checkpoint, found none'],
                    'model.init_from=nowhere', '--dry-run', name='new')
        folder = self.workspace.path / 'theirs'
        folder.mkdir()
        (folder / 'config.json').write_text('{"architectures": ["LlamaForCausalLM"]}')
        self.refuse(['theirs/config.json', 'architectures', 'Phi3ForCausalLM', 'Llama'],
                    'model.init_from=theirs', name='new')

    def test_a_run_whose_checkpoints_are_all_damaged(self):
        run = self.workspace.run_folder('damaged')
        shutil.copytree(self.saved.folder, run)
        (run / 'checkpoints' / 'step-000010' / 'state.json').write_text('{}')
        result = self.refuse(['runs/damaged/checkpoints', 'none is valid'], *RESUME, name='damaged')
        self.assertIn('step-000010', result.err.split('phalanx: ')[0])
        self.assertIn('state.json', result.err.split('phalanx: ')[0])

    def test_a_run_that_is_there_is_not_begun_anew(self):
        self.refuse(['run.name', 'runs/saved', '--resume auto'])

    def test_checkpoint_that_is_not_there(self):
        self.refuse(['runs/saved/checkpoints/step-000099'], '--resume',
                    'runs/saved/checkpoints/step-000099')

    def test_folder_not_writable(self):
        """Below a regular file nobody can make a folder, root neither."""
        self.refuse(['run.yaml/runs', 'Not a directory'], 'run.dir=run.yaml/runs', name='new')
        if os.geteuid() != 0:
            folder = self.workspace.path / 'locked'
            folder.mkdir(mode=0o555)
            self.refuse(['locked', 'Permission denied'], 'run.dir=locked', name='new')


class BadData(BadInput):

    def test_vocabulary_smaller_than_the_tokenizer(self):
        self.refuse(['model.vocab_size', 'at least the 512 tokens', 'tokenizer', 'got 400'],
                    'model.vocab_size=400', name='narrow')

    def test_token_id_above_the_vocabulary(self):
        path = self.copy_of_sums() / 'shard-00000.bin'
        data = bytearray(path.read_bytes())
        data[2 * 300:2 * 301] = struct.pack('<H', 60000)
        path.write_bytes(data)
        self.refuse(['damaged/train/shard-00000.bin', 'token 300', 'below the vocabulary\'s 512',
                     'found 60000'], self.DAMAGED, 'checkpoint.interval=1 steps', *RESUME)

    def test_data_set_that_is_not_there(self):
        self.refuse(['data.sources.code.path', 'dataset.json', 'found nothing at nowhere'],
                    'data.sources.code.path=nowhere', *RESUME)

    def test_damage_in_a_held_out_part(self):
        """Found before the first step, on two tensor-parallel ranks that read the same rows."""
        path = self.copy_of_sums().parent / 'validation' / 'shard-00000.bin'
        whole = path.read_bytes()
        path.write_bytes(whole[:-2])
        self.refuse(['damaged/validation/shard-00000.bin', f'expected {len(whole)} bytes'],
                    self.DAMAGED, 'parallel.tensor_parallel_size=2', *RESUME)
        path.write_bytes(struct.pack('<H', 60000) + whole[2:])
        self.refuse(['damaged/validation/shard-00000.bin', 'token 0', 'found 60000'],
                    self.DAMAGED, 'parallel.tensor_parallel_size=2', *RESUME)

    def test_a_device_that_is_not_there(self):
        self.refuse(['parallel.device', 'expected cpu', 'got cuda'], 'parallel.device=cuda',
                    name='device')

    def test_truncated_shard(self):
        path = self.copy_of_sums() / 'shard-00000.bin'
        size = path.stat().st_size
        path.write_bytes(path.read_bytes()[:-2])
        self.refuse(['damaged/train/shard-00000.bin', f'expected {size} bytes',
                     f'found {size - 2} bytes'], self.DAMAGED, *RESUME)

    def test_overlong_shard(self):
        path = self.copy_of_sums() / 'shard-00000.bin'
        size = path.stat().st_size
        path.write_bytes(path.read_bytes() + b'\1\0')
        self.refuse(['damaged/train/shard-00000.bin', f'expected {size} bytes',
                     f'found {size + 2} bytes'], self.DAMAGED, *RESUME)

    def test_index_whose_counts_exceed_the_file(self):
        for offset, what in ((18, 'sequence count'), (26, 'document count')):
            path = self.copy_of_sums() / 'shard-00000.idx'
            data = bytearray(path.read_bytes())
            data[offset:offset + 8] = struct.pack('<Q', 1 << 60)
            path.write_bytes(data)
            with self.subTest(what):
                self.refuse(['damaged/train/shard-00000.idx', what, 'expected',
                             f'{len(data)} bytes', f'found {1 << 60}'], self.DAMAGED, *RESUME)

    def test_tokenizer_that_is_not_the_shards(self):
        self.workspace.train_tokenizer('other', 500)
        fingerprints = [line.split()[1] for folder in ('other', 'tokenizer') for line in
                        self.workspace.program('tokenizer', 'info', folder).splitlines()
                        if line.startswith('fingerprint')]
        self.refuse(['data.sources.code.path', 'data/code', f'expected {fingerprints[0]}',
                     f'found {fingerprints[1]}'], 'data.tokenizer=other', *RESUME)

    def test_manifest_that_is_not_json(self):
        path = self.copy_of_sums() / 'dataset.json'
        path.write_text(path.read_text()[:-20])
        self.refuse(['damaged/train/dataset.json'], self.DAMAGED, *RESUME)

    def test_a_damaged_checkpoint_is_passed_over(self):
        """The newest is damaged: the one before is taken, and a line says why."""
        source = self.workspace.run_folder('saved')
        folder = self.workspace.run_folder('two')
        shutil.copytree(source, folder)
        run = self.train(2, 'two', 'run.stop_after_steps=12', *RESUME, code=STOPPED)
        newest = run.checkpoint(12) / 'rank-00001.safetensors'
        data = bytearray(newest.read_bytes())
        data[len(data) // 2] ^= 1
        newest.write_bytes(data)
        again = self.train(2, 'two', 'run.stop_after_steps=11', *RESUME, code=STOPPED)
        notes = [line for line in again.err.splitlines() if line.startswith('passed over: ')]
        self.assertEqual(len(notes), 1, again.err)
        for word in ('step-000012', 'rank-00001.safetensors', 'expected hash', 'found'):
            self.assertIn(word, notes[0])
        self.assertEqual([line['step'] for line in again.metrics()], [*range(1, 13), 11])


if __name__ == '__main__':
    main()
