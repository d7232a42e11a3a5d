"""model.init_from starts from the weights of a Hugging Face folder or a checkpoint, on any mesh."""

import shutil

import torch
from transformers import Phi3Config, Phi3ForCausalLM

from support import BAD_INPUT, STOPPED, RunTest, main, relative

MODEL = 'model.head_dim=4'
TWO_STEPS = 'run.stop_after_steps=2'


def make_folder(folder):
    config = Phi3Config(vocab_size=512, hidden_size=32, intermediate_size=80, num_hidden_layers=2,
                        num_attention_heads=8, num_key_value_heads=2, max_position_embeddings=64,
                        rope_theta=10000.0, pad_token_id=0, bos_token_id=1, eos_token_id=2)
    torch.manual_seed(1)
    model = Phi3ForCausalLM(config)
    for parameter in model.parameters():
        # Norms around 1, so that the logits, and with them the first loss, are far from those of
        # phalanx's own first weights, whatever the rows are.
        torch.nn.init.normal_(parameter, mean=float(parameter.dim() == 1), std=0.2)
    model.save_pretrained(folder)


class InitFrom(RunTest):

    def test_starts_from_a_folder_at_one_and_two_ranks(self):
        make_folder(self.workspace.path / 'theirs')
        random = self.train(1, 'random', MODEL, TWO_STEPS, code=STOPPED).metrics()
        options = (MODEL, TWO_STEPS, 'model.init_from=theirs')
        one = self.train(1, 'one', *options, code=STOPPED).metrics()
        two = self.train(2, 'two', *options, 'parallel.tensor_parallel_size=2',
                         code=STOPPED).metrics()
        self.assertGreater(relative(one[0]['loss'], random[0]['loss']), 1e-2)
        self.assert_close(two, one)

    def test_resumes_without_the_folder(self):
        """Once saved, the weights are the checkpoint's."""
        make_folder(self.workspace.path / 'gone')
        options = (MODEL, 'model.init_from=gone')
        self.train(1, 'resumed', *options, TWO_STEPS, code=STOPPED)
        (self.workspace.path / 'gone').rename(self.workspace.path / 'elsewhere')
        self.train(1, 'resumed', *options, 'run.stop_after_steps=3', '--resume', 'auto',
                   code=STOPPED)


    def test_imported_weights_are_those_of_the_folder(self):
        make_folder(self.workspace.path / 'source')
        self.workspace.program('import', 'source', 'imported')
        folder = self.train(2, 'from-folder', MODEL, TWO_STEPS, 'model.init_from=source',
                            'parallel.tensor_parallel_size=2', code=STOPPED).metrics()
        options = (MODEL, TWO_STEPS, 'model.init_from=imported')
        imported = self.train(2, 'imported', *options, 'parallel.tensor_parallel_size=2',
                              code=STOPPED).metrics()
        self.assertEqual([line['loss'] for line in imported], [line['loss'] for line in folder])
        replicas = self.train(2, 'replicas', *options, code=STOPPED).metrics()
        self.assert_close(replicas, folder)

    def test_imported_weights_are_no_run(self):
        make_folder(self.workspace.path / 'weights')
        self.workspace.program('import', 'weights', 'no-run')
        expected = ('expected a checkpoint of a run, found imported weights, without optimizer '
                    'state')
        for options in (('--resume', 'no-run'), ('fork.from=no-run',)):
            result = self.train(1, 'refused', MODEL, *options, code=BAD_INPUT)
            self.assertEqual(len(result.our_errors()), 1, str(result))
            self.assertIn('no-run: ' + expected, result.our_errors()[0])
            self.assertIn('start a new run from them with model.init_from', str(result))

    def test_the_tokenizer_is_that_of_the_folder_or_of_what_was_imported(self):
        folder = self.workspace.path / 'with-tokenizer'
        make_folder(folder)
        shutil.copy(self.workspace.path / 'tokenizer' / 'tokenizer.json', folder)
        self.workspace.program('import', 'with-tokenizer', 'with-tokenizer.ckpt')
        for number, tokenizer in enumerate((
                'with-tokenizer', 'with-tokenizer.ckpt', 'with-tokenizer.ckpt/hf.tokenizer.json')):
            packed = f'data/prose-{number}'
            self.workspace.program('data', 'pack', '--input', 'text/prose', '--kind', 'organic',
                                   '--tokenizer', tokenizer, '--output', packed)
            self.train(1, f'by-{number}', MODEL, TWO_STEPS, f'data.tokenizer={tokenizer}',
                       f'data.sources.prose.path={packed}', code=STOPPED)
            exported = self.workspace.path / f'exported-{number}'
            self.workspace.program('export', f'runs/by-{number}/checkpoints/step-000002',
                                   str(exported))
            self.assertEqual((exported / 'tokenizer.json').read_bytes(),
                             (folder / 'tokenizer.json').read_bytes())

    def test_weights_of_another_model(self):
        make_folder(self.workspace.path / 'other')
        self.workspace.program('import', 'other', 'other-imported')
        for folder in ('other', 'other-imported'):
            for dry in ((), ('--dry-run',)):
                result = self.train(1, 'refused', f'model.init_from={folder}',
                                    'model.intermediate_size=96', *dry, code=BAD_INPUT)
                self.assertEqual(len(result.our_errors()), 1, str(result))
                self.assertIn(f'model.init_from: {folder}: expected the model of the '
                              'configuration, found another:\n'
                              '  model.intermediate_size: the configuration has 96, '
                              f'{folder} has 80\n'
                              f'  model.head_dim: the configuration has 8, {folder} has 4\n',
                              result.err)
                self.assertNotIn('plan: ', result.err)


if __name__ == '__main__':
    main()
