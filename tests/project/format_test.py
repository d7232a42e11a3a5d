"""Fails on a source that clang-format would change. Skipped without clang-format 14: other versions
lay lines out differently."""

import collections
import pathlib
import re
import shutil
import tempfile

from tree import ROOT, check_tree, output_of, skip, sources

VERSION = 14


def find_clang_format():
    for name in (f'clang-format-{VERSION}', 'clang-format'):
        program = shutil.which(name)
        if program and re.search(rf'version {VERSION}\.', output_of(program, '--version')[1]):
            return program
    return None


def findings(program, root, paths):
    style = f'--style=file:{ROOT / ".clang-format"}'
    _, output = output_of(program, style, '--dry-run', *(str(root / path) for path in paths))
    places = collections.Counter(re.findall(
        r'^(.+):\d+:\d+: warning: code should be clang-formatted', output, re.M))
    for path, count in sorted(places.items()):
        path = pathlib.Path(path).relative_to(root)
        yield f'{path}: {count} places to lay out; {pathlib.Path(program).name} -i {path} does it'


def self_check(program):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / 'bad.cc').write_text('int  f( ) {return 1 ;}\n')
        (root / 'good.cc').write_text('int f() { return 1; }\n')
        found = list(findings(program, root, ['bad.cc', 'good.cc']))
    assert len(found) == 1 and found[0].startswith('bad.cc: '), f'self-check: {found}'


if __name__ == '__main__':
    clang_format = find_clang_format()
    if clang_format is None:
        skip(f'no clang-format {VERSION} here')
    self_check(clang_format)
    check_tree(lambda root: list(findings(clang_format, root, sources(root))))
