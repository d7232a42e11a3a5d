"""Synthetic problems with verified answers, made by generators of the package reasoning-gym 0.1.25.

Usage: problems.py FOLDER      writes FOLDER/documents.jsonl

Every answer is given to its generator's own score_answer and kept only at full marks; a problem is
kept once. The seed is fixed and nothing depends on the order of a set, so the bytes are the same
on every machine. There are few of them on purpose: a run sees them several times.
"""

import contextlib
import importlib
import importlib.util
import io
import itertools
import pathlib
import random
import sys
import types

from documents import write_documents

SEED = 20
# Module below reasoning_gym: (registered name, number of problems, settings).
GENERATORS = {
    'arithmetic.basic_arithmetic': ('basic_arithmetic', 110, {}),
    'arithmetic.chain_sum': ('chain_sum', 110, {}),
    'arithmetic.products': ('products', 90, {'max_digits': 3}),
    'arithmetic.gcd': ('gcd', 90, {}),
    'arithmetic.lcm': ('lcm', 90, {}),
    'arithmetic.fraction_simplification': ('fraction_simplification', 70, {}),
    'arithmetic.leg_counting': ('leg_counting', 30, {}),
    'arithmetic.calendar_arithmetic': ('calendar_arithmetic', 50, {}),
    'algebra.simple_equations': ('simple_equations', 110, {}),
    'algebra.complex_arithmetic': ('complex_arithmetic', 110, {}),
    'algorithmic.base_conversion': ('base_conversion', 40, {}),
    'algorithmic.number_filtering': ('number_filtering', 50, {}),
    'logic.syllogisms': ('syllogism', 90, {}),
    'logic.aiw': ('aiw', 50, {}),
    'logic.self_reference': ('self_reference', 20, {}),
    'code.bf': ('bf', 30, {'difficulty': 2}),
}


def open_package():
    """Makes reasoning_gym's modules importable one by one, without the package's own __init__.

    That one imports all generators, and with them eleven packages of which one has to be compiled.
    """
    spec = importlib.util.find_spec('reasoning_gym')
    if spec is None:
        sys.exit('package reasoning-gym 0.1.25 not found: run ./launch/setup.sh --quickstart')
    root = pathlib.Path(spec.origin).parent
    folders = ['coaching', 'data'] + sorted({name.split('.')[0] for name in GENERATORS})
    for name in ['reasoning_gym'] + [f'reasoning_gym.{folder}' for folder in folders]:
        package = types.ModuleType(name)
        package.__path__ = [str(root.joinpath(*name.split('.')[1:]))]
        sys.modules[name] = package
    coaching = sys.modules['reasoning_gym.coaching']
    for part in ('attributes', 'base_curriculum'):
        module = importlib.import_module(f'reasoning_gym.coaching.{part}')
        vars(coaching).update({k: v for k, v in vars(module).items() if not k.startswith('_')})
    return importlib.import_module('reasoning_gym.factory')


def problems(factory, module, name, count, settings):
    """`count` different problems of one generator, each with an answer that scores 1.0."""
    importlib.import_module(f'reasoning_gym.{module}')
    dataset = factory.create_dataset(name, seed=SEED, size=20 * count, **settings)
    seen = set()
    for index in range(20 * count):
        with contextlib.redirect_stdout(io.StringIO()):  # the bf interpreter prints progress dots
            entry = dataset[index]
        question, answer = entry['question'].strip(), str(entry['answer']).strip()
        if question in seen or dataset.score_answer(entry['answer'], entry) != 1.0:
            continue
        seen.add(question)
        yield f'{question}\n{answer}'
        if len(seen) == count:
            return
    sys.exit(f'reasoning-gym {name}: expected {count} verified problems, found {len(seen)}')


def main(folder):
    factory = open_package()
    found = list(itertools.chain.from_iterable(
        problems(factory, module, *arguments) for module, arguments in GENERATORS.items()))
    order = random.Random(SEED)  # sorted by random numbers: the shuffle itself may change
    keys = [order.random() for _ in found]
    write_documents(folder, [text for _, text in sorted(zip(keys, found))])


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
