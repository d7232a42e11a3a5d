"""`phalanx config --schema`, judged by the library jsonschema: a schema by its own rules, it accepts
every configuration that comes with the project and all that the reader accepts of a field, and
refuses what the reader refuses.

Usage: json_schema_test.py PHALANX
"""

import copy
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import jsonschema
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = sys.argv.pop(1)


class Yaml12(yaml.SafeLoader):
    """Scalars as YAML 1.2 reads them, and editors with it: `off` is a text, 3e-4 a number."""


Yaml12.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
        ('bool', r'^(?:true|True|TRUE|false|False|FALSE)$', list('tTfF')),
        ('null', r'^(?:~|null|Null|NULL|)$', ['~', 'n', 'N', '']),
        ('int', r'^[-+]?[0-9]+$', list('-+0123456789')),
        ('float', r'^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$',
         list('-+.0123456789'))):
    Yaml12.add_implicit_resolver(f'tag:yaml.org,2002:{_tag}', re.compile(_pattern), _first)

RUN = yaml.load("""
run: {name: a}
model: {preset: phi4-10m}
data:
  tokenizer: t
  sources: {web: {path: w, kind: organic}, sums: {path: s, kind: synthetic}}
stages:
  - name: p
    sequence_length: 64
    global_batch_size: 4
    learning_rate: {peak: 3e-4}
    phases: [{name: q, tokens: 4096, mix: {web: rest, sums: 0.5}}]
""", Yaml12)

# Of a path: a text as it stands in YAML, and whether both, reader and schema, accept it.
VALUES = (
    ('stages[0].phases[0].tokens', ('4096', '4M', '1.5B', '2e9'), ('0', '-1', '4X', '1.5')),
    ('stages[0].learning_rate.peak', ('3e-4', '1'), ('0', '-1', 'fast', "'1'")),
    ('data.on_exhausted', ('error', 'renormalize'), ('cosine', '1')),
    ('stages[0].global_batch_size', ('4', '8'), ('0', '4K', "'4'", '1.5')),
    ('stages[0].batch_ramp', ('[]',), ('3', '[{from_tokens: 64}]')),
    ('stages[0].name', ('p', 'p-1', '7'), ('a/b', '.a', "''")),
    ('checkpoint.interval', ('200 steps', '2B', '20min', '0', '2B tokens'), ('20 years', 'often')),
    ('checkpoint.asynchronous', ('true', 'false'), ('yes', '1')),
    ('evaluation.interval', ('200 steps', '1 step', '150K'), ('20min', '-3')),
    ('reproducible', ('off', 'same_mesh'), ('false', 'always')),
    ('watchdog.timeout', ('auto', '90s', '0', '1.5h'), ('90', 'none')),
    ('data.seed', ('0', '18446744073709551615'), ('-1', '18446744073709551616')),
    ('logging.tensorboard', ('false',), ('off',)),
    ('model.rope_short_factor', ('[]',), ('[0]', '[a]', '1')),
    ('optimizer.beta1', ('0', '0.9'), ('1', '-0.1')),
    ('data.sources.web.max_epochs', ('2', '0.5'), ('0',)),
)


def read(path):
    return yaml.load(path.read_text(), Yaml12)


def with_value(path, value):
    """RUN with `value` at a path such as stages[0].name."""
    config = copy.deepcopy(RUN)
    keys = [int(key) if key.isdigit() else key for key in re.findall(r'[\w-]+', path)]
    place = config
    for key in keys[:-1]:
        place = place.setdefault(key, {}) if isinstance(place, dict) else place[key]
    place[keys[-1]] = value
    return config


class Schema(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        text = subprocess.run([BINARY, 'config', '--schema'], check=True, capture_output=True,
                              text=True).stdout
        cls.schema = json.loads(text)
        cls.validator = jsonschema.Draft7Validator(cls.schema)

    def accepts(self, config):
        return self.validator.is_valid(config)

    def test_is_a_schema(self):
        jsonschema.Draft7Validator.check_schema(self.schema)
        self.assertEqual(self.schema['$schema'], 'http://json-schema.org/draft-07/schema#')

    def test_every_shipped_configuration_is_valid(self):
        paths = [path for path in (ROOT / 'configs').glob('*.yaml') if path.name != 'gpus.yaml']
        self.assertGreater(len(paths), 1)
        for path in paths:
            with self.subTest(path.name):
                self.validator.validate(read(path))

    def test_so_is_what_the_program_prints(self):
        path = ROOT / 'configs' / 'quickstart.yaml'
        resolved = subprocess.run([BINARY, 'config', str(path)], check=True, capture_output=True,
                                  text=True).stdout
        self.validator.validate(yaml.load(resolved, Yaml12))

    def test_every_field_has_a_meaning(self):
        explained = subprocess.run([BINARY, 'config', '--explain'], check=True, capture_output=True,
                                   text=True).stdout
        fields = re.findall(r'^(\w[^: ]*): (.*)\n    accepts', explained, flags=re.M)
        self.assertGreater(len(fields), 100)
        for path, meaning in fields:
            place = self.schema
            for key in path.split('.'):
                name = key.removesuffix('[]')
                place = (place['additionalProperties'] if name == '<name>'
                         else place['properties'][name])
                place = place['items'] if key.endswith('[]') else place
            self.assertTrue(place['description'].startswith(meaning), path)

    def test_names_that_are_unknown_or_missing_are_refused(self):
        self.assertTrue(self.accepts(RUN))
        for path, value in (('optimizer.beta3', 1), ('speed', 1), ('data.sources.web.paht', 'w'),
                            ('stages[0].phases[0].weight', 1), ('data.sources', {}), ('stages', []),
                            ('data.sources', {'a b': {'path': 'x'}})):
            self.assertFalse(self.accepts(with_value(path, value)), path)
        for path in ('run.name', 'data.tokenizer', 'stages[0].sequence_length',
                     'data.sources.web.path'):
            config = with_value(path, None)
            parent = config
            keys = [int(key) if key.isdigit() else key for key in re.findall(r'[\w-]+', path)]
            for key in keys[:-1]:
                parent = parent[key]
            del parent[keys[-1]]
            self.assertFalse(self.accepts(config), path)
        for section in ('run', 'model', 'data', 'stages'):
            rest = {key: RUN[key] for key in RUN if key != section}
            self.assertFalse(self.accepts(rest), section)
        self.assertFalse(self.accepts(RUN | {'model': {'hidden_size': 64}}))
        self.assertTrue(self.accepts(RUN | {'evaluation': None, 'optimizer': {}}))

    def test_values_are_judged_as_the_reader_judges_them(self):
        """Several fields a call: the reader names all that it refuses at once."""
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, 'run.yaml')
            file.write_text(yaml.dump(RUN))
            for group in (1, 2):  # the good values, then the bad ones
                for turn in range(max(len(entry[group]) for entry in VALUES)):
                    values = {entry[0]: entry[group][turn] for entry in VALUES
                              if turn < len(entry[group])}
                    self.compare(file, values, expected=group == 1)

    def compare(self, file, values, expected):
        done = subprocess.run([BINARY, 'config', str(file),
                               *(f'{path}={text}' for path, text in values.items())],
                              check=False, capture_output=True, text=True)
        for path, text in values.items():
            with self.subTest(path=path, text=text):
                refused = re.search(rf'{re.escape(path)}\S*: (expected|missing)', done.stderr)
                self.assertEqual(refused is None, expected, done.stderr)
                value = yaml.load(text, Yaml12)
                self.assertEqual(self.accepts(with_value(path, value)), expected)


if __name__ == '__main__':
    unittest.main(verbosity=2)
