"""`phalanx import` and `phalanx export`, judged by transformers and safetensors."""

import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import unittest

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig

from hf_models import FAMILIES, make_folder
from support import BAD_INPUT, DONE, main

# Everything that transformers or Python would show a person who loads the folders.
LOAD = """\
import pathlib, sys, warnings
warnings.simplefilter('error')
from transformers import AutoModelForCausalLM, AutoTokenizer
for folder in sys.argv[1:]:
    print(AutoModelForCausalLM.from_pretrained(folder, dtype='auto').dtype)
    if pathlib.Path(folder, 'tokenizer.json').exists():
        tokenizer = AutoTokenizer.from_pretrained(folder)
        print(tokenizer.decode(tokenizer('t3 t4')['input_ids']))
"""

CARRIED = ('tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json',
           'chat_template.jinja', 'generation_config.json')


def tensors_of(folder):
    """{name: (dtype, shape, bytes)} of all files, and the file of each."""
    tensors, files = {}, {}
    for path in sorted(folder.glob('*.safetensors')):
        for name, tensor in load_file(path).items():
            tensors[name] = (tensor.dtype, tensor.shape, tensor.view(torch.uint8).numpy().tobytes())
            files[name] = path.name
    return tensors, files


def plain_config(folder):
    """What transformers makes of config.json, without what is said twice or follows."""
    config = AutoConfig.from_pretrained(folder).to_dict()
    if config['rope_parameters']['rope_type'] == 'default':
        config.pop('original_max_position_embeddings')  # not looked at
    for name in ('transformers_version', '_name_or_path', 'rope_theta', 'partial_rotary_factor',
                 'head_dim', 'attention_bias'):
        config.pop(name, None)
    return config


class Folders(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='phalanx-hf-')
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name)

    def phalanx(self, *arguments, code=DONE, **options):
        environment = os.environ | {'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}
        done = subprocess.run([os.environ['PHALANX_BINARY'], *map(str, arguments)], cwd=self.path,
                              env=environment, capture_output=True, text=True, timeout=120,
                              check=False, **options)
        self.assertEqual(done.returncode, code, f'{arguments}\n{done.stdout}\n{done.stderr}')
        return done

    def refuse(self, words, *arguments, **options):
        """Exit code 2, one message with all the words, and nothing is left of the target."""
        done = self.phalanx(*arguments, code=BAD_INPUT, **options)
        lines = [line for line in done.stderr.splitlines() if line.startswith('phalanx: ')]
        self.assertEqual(len(lines), 1, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertFalse((self.path / 'out').exists())
        self.assertFalse((self.path / 'out.tmp').exists())
        return done

    def load(self, *folders):
        """dtypes and a decoded text of each; nothing may be said beyond what was asked."""
        environment = os.environ | {'HF_HUB_OFFLINE': '1', 'TQDM_DISABLE': '1',
                                    'HF_HUB_DISABLE_PROGRESS_BARS': '1', 'OMP_NUM_THREADS': '1'}
        done = subprocess.run([sys.executable, '-B', '-c', LOAD, *folders],
                              cwd=self.path, capture_output=True, text=True, timeout=120,
                              check=False, env=environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr.replace('\r', '').strip(), '')
        return done.stdout.splitlines()


class RoundTrip(Folders):

    def round_trip(self, theirs, *export_options, out='out'):
        self.phalanx('import', theirs, f'{out}.ckpt')
        self.phalanx('checkpoint', 'verify', f'{out}.ckpt')
        self.phalanx('export', f'{out}.ckpt', out, *export_options)
        return tensors_of(self.path / theirs)[0], tensors_of(self.path / out)

    def test_every_family_comes_back_and_loads_without_a_warning(self):
        for family in FAMILIES:
            with self.subTest(family):
                folder = make_folder(self.path / family, family, torch.bfloat16)
                out = f'{family}-out'
                theirs, (ours, _) = self.round_trip(family, out=out)
                self.assertEqual(ours, theirs)
                for name in CARRIED:
                    self.assertEqual((self.path / out / name).read_bytes(),
                                     (folder / name).read_bytes(), name)
                self.assertEqual(plain_config(self.path / out), plain_config(folder))
        loaded = self.load(*(f'{family}-out' for family in FAMILIES))
        self.assertEqual(loaded, ['torch.bfloat16', 't3 t4'] * len(FAMILIES))

    def test_all_values_of_half_types_and_mixed_types_come_back(self):
        """Every finite fp16 and bf16 value, denormal ones and zeros of both signs included."""
        folder = make_folder(self.path / 'theirs', 'phi4', max_shard_size='60KB')
        for path in folder.glob('*.safetensors'):
            tensors = load_file(path)
            for name, tensor in tensors.items():
                if 'mlp' in name or 'embed' in name:
                    kind = torch.float16 if 'embed' in name else torch.bfloat16
                    bits = torch.arange(tensor.numel()).to(torch.int16).view(kind)
                    tensors[name] = torch.where(bits.isfinite(), bits, 1.5).view(tensor.shape)
            save_file(tensors, path, metadata={'format': 'pt'})
        theirs, (ours, _) = self.round_trip('theirs')
        self.assertEqual(ours, theirs)
        kinds = {dtype for dtype, _, _ in ours.values()}
        self.assertEqual(kinds, {torch.float32, torch.float16, torch.bfloat16})

    def test_shards_keep_to_their_size_and_the_index_to_the_shards(self):
        make_folder(self.path / 'theirs', 'phi4')
        theirs, (ours, files) = self.round_trip('theirs', '--max-shard-size', '50KB')
        self.assertEqual(ours, theirs)
        index = json.loads((self.path / 'out' / 'model.safetensors.index.json').read_text())
        self.assertEqual(index['weight_map'], files)
        self.assertEqual(index['metadata']['total_size'],
                         sum(len(data) for _, _, data in ours.values()))
        sizes = {}
        for name, file in files.items():
            sizes.setdefault(file, []).append(len(ours[name][2]))
        self.assertGreater(len(sizes), 3)
        for file, parts in sizes.items():
            self.assertTrue(sum(parts) <= 50_000 or len(parts) == 1, file)
        self.assertEqual(self.load('out'), ['torch.float32', 't3 t4'])

    def test_another_type_on_request(self):
        make_folder(self.path / 'theirs', 'phi4')
        for option, dtype in (('bf16', torch.bfloat16), ('fp16', torch.float16)):
            theirs, (ours, _) = self.round_trip('theirs', '--dtype', option, out=option)
            for name, (_, shape, data) in theirs.items():
                full = torch.frombuffer(bytearray(data), dtype=torch.float32)
                rounded = full.to(dtype).view(torch.uint8).numpy().tobytes()
                self.assertEqual(ours[name], (dtype, shape, rounded), name)
        self.assertEqual(self.load('bf16', 'fp16'),
                         ['torch.bfloat16', 't3 t4', 'torch.float16', 't3 t4'])

    def test_a_value_past_the_range_of_a_type(self):
        folder = make_folder(self.path / 'theirs', 'phi4')
        tensors = load_file(folder / 'model.safetensors')
        tensors['model.norm.weight'][3] = 1e6
        save_file(tensors, folder / 'model.safetensors')
        self.phalanx('import', 'theirs', 'ckpt')
        self.refuse(['norm.weight', 'element 3', 'F16 can hold', '1000000'], 'export', 'ckpt', 'out',
                    '--dtype', 'fp16')


class ModelSection(Folders):

    def test_what_import_and_config_print_is_a_configuration(self):
        """Of every family: the file trains from the folder it was printed for, as it stands."""
        for family in FAMILIES:
            with self.subTest(family):
                make_folder(self.path / family, family)
                printed = self.phalanx('import', family, f'{family}.ckpt').stdout
                section = printed[printed.index('\nmodel:\n') + 1:]
                self.assertEqual(section, self.phalanx('config', '--model', f'{family}.ckpt').stdout)
                self.assertIn(f'\n  init_from: {family}.ckpt\n', section)
                self.assertEqual(section.replace('.ckpt', ''),
                                 self.phalanx('config', '--model', family).stdout)
                rest = ('run: {name: x}\ndata: {tokenizer: t, sources: {a: {path: a, kind: '
                        'organic}}}\nstages: [{name: s, sequence_length: 8, global_batch_size: 1, '
                        'learning_rate: {peak: 1e-3}, phases: [{name: p, tokens: 80, mix: {a: 1}}]}]\n')
                (self.path / 'run.yaml').write_text(section + rest)
                resolved = self.phalanx('config', 'run.yaml').stdout
                for line in section.splitlines():
                    if not line.startswith('#'):
                        self.assertIn(f'\n{line}', '\n' + resolved)

    def test_there_is_one_thing_to_print(self):
        self.refuse(['either a configuration file, --model, --explain'], 'config', 'a.yaml',
                    '--model', 'x')
        self.refuse(['x: expected a Hugging Face folder or a checkpoint, found none'], 'config',
                    '--model', 'x')


class Refused(Folders):

    def setUp(self):
        super().setUp()
        make_folder(self.path / 'theirs', 'phi4')
        self.phalanx('import', 'theirs', 'ckpt')

    def test_target_that_is_there(self):
        """Nothing of it is touched, a file neither."""
        for name in ('theirs', 'ckpt', 'file'):
            if name == 'file':
                (self.path / name).write_text('mine')
            before = sorted(self.path.rglob('*'))
            for command in (('import', 'theirs', name), ('export', 'ckpt', f'./{name}/')):
                self.refuse([f'{name}: expected no such folder, found one'], *command)
            self.assertEqual(sorted(self.path.rglob('*')), before)
        self.assertEqual((self.path / 'file').read_text(), 'mine')

    def test_a_folder_that_happens_to_have_the_staging_name(self):
        (self.path / 'fresh.tmp').mkdir()
        (self.path / 'fresh.tmp' / 'mine').write_text('kept')
        for command in (('import', 'theirs', 'fresh'), ('export', 'ckpt', 'fresh')):
            self.refuse(['fresh.tmp: expected no such folder, found one'], *command)
        self.assertEqual((self.path / 'fresh.tmp' / 'mine').read_text(), 'kept')

    def test_what_is_no_source(self):
        (self.path / 'file').write_text('{}')
        (self.path / 'empty').mkdir()
        self.refuse(['file: expected a Hugging Face folder, found a file'], 'import', 'file', 'out')
        self.refuse(['empty: expected a Hugging Face folder, found a folder with neither '
                     'manifest.json nor config.json'], 'import', 'empty', 'out')
        self.refuse(['theirs: expected a checkpoint (with manifest.json), found a Hugging Face '
                     'folder'], 'export', 'theirs', 'out')
        self.refuse(['gone: expected a checkpoint (with manifest.json), found none'], 'export',
                    'gone', 'out')

    def test_a_folder_of_another_kind_is_named_with_what_may_be_meant(self):
        shutil.copytree(self.path / 'ckpt', self.path / 'run' / 'checkpoints' / 'step-000100')
        (self.path / 'run' / 'config.yaml').write_text('')
        (self.path / 'begun' / 'checkpoints').mkdir(parents=True)
        (self.path / 'web' / 'train').mkdir(parents=True)
        (self.path / 'web' / 'train' / 'dataset.json').write_text('{}')
        (self.path / 'words').mkdir()
        (self.path / 'words' / 'tokenizer.json').write_text('{}')
        newest = 'whose newest checkpoint is run/checkpoints/step-000100'
        for path, found in (
                ('run', f'the folder of a run, {newest}'),
                ('run/checkpoints', f'a folder of checkpoints, {newest}'),
                ('begun', 'the folder of a run without a checkpoint'),
                ('ckpt/manifest.json', 'a file of the checkpoint ckpt'),
                ('theirs/model.safetensors', 'a file of the Hugging Face folder theirs'),
                ('web', 'a data set'), ('words', 'the folder of a tokenizer')):
            self.refuse([f'{path}: expected a checkpoint (with manifest.json), found {found}\n'],
                        'export', path, 'out')
        self.refuse([f'run: expected a Hugging Face folder or a checkpoint, found the folder of a '
                     f'run, {newest}\n'], 'score', 'run', '--jsonl')
        self.refuse(['ckpt: expected a Hugging Face folder, found a checkpoint\n'], 'import', 'ckpt',
                    'out')

    def test_a_target_inside_a_checkpoint(self):
        before = sorted(self.path.rglob('*'))
        for target in ('ckpt/more', 'ckpt/../ckpt/deep/more'):
            for command in (('import', 'theirs', target), ('export', 'ckpt', target)):
                self.refuse(['expected a place outside of every checkpoint, found it inside '
                             f'{self.path / "ckpt"}\n'], *command)
        self.assertEqual(sorted(self.path.rglob('*')), before)

    def test_settings_that_are_no_json(self):
        for name, text, problem in (('generation_config.json', '{"eos_token_id": 5,', 'not valid JSON'),
                                    ('generation_config.json', '{"a": 1, "a": 2}', 'key a occurs twice'),
                                    ('tokenizer_config.json', '[]', 'expected a JSON object, found '
                                                                    'array')):
            path = self.path / 'theirs' / name
            before = path.read_text()
            path.write_text(text)
            self.refuse([f'theirs/{name}: {problem}'], 'import', 'theirs', 'out')
            path.write_text(before)

    def test_disk_that_is_full(self):
        """A limit on the size of files stands for it, which any machine has."""

        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

        for command, file in ((('import', 'theirs', 'out'), 'weights-00001.safetensors'),
                              (('export', 'ckpt', 'out'), 'model.safetensors')):
            self.refuse([f'out.tmp/{file}: File too large'], *command, preexec_fn=limit)
            self.phalanx(*command)
            shutil.rmtree(self.path / 'out')

    def test_damaged_checkpoint(self):
        (file,) = (self.path / 'ckpt').glob('weights-*.safetensors')
        data = bytearray(file.read_bytes())
        data[-5] ^= 1
        file.write_bytes(data)
        self.refuse(['checkpoint ckpt', 'weights-00001.safetensors', 'damaged'], 'export', 'ckpt',
                    'out')

    def test_sizes_and_types_that_are_none(self):
        self.refuse(['--max-shard-size', 'a size in bytes', 'big'], 'export', 'ckpt', 'out',
                    '--max-shard-size', 'big')
        self.refuse(['--dtype', 'int8'], 'export', 'ckpt', 'out', '--dtype', 'int8')

    def test_help_shows_an_example(self):
        for command in ('import', 'export', 'score'):
            text = self.phalanx(command, '--help').stdout
            self.assertIn(f'phalanx {command} ', text[text.index('Example'):])


if __name__ == '__main__':
    main()
