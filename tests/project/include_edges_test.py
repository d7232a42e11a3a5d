"""Fails on an include, or a linked library, from one folder to another outside the design:

    launch -> configs -> trainer -> { model -> parallel, data, parallel }     tests -> everything
"""

import re

from tree import FOLDERS, check_tree, expect_clean, expect_finding, sources

MAY_USE = {
    'launch': {'configs', 'trainer', 'model', 'data', 'parallel'},
    'configs': {'trainer', 'model', 'data', 'parallel'},
    'trainer': {'model', 'data', 'parallel'},
    'model': {'parallel'},
    'data': set(),
    'parallel': set(),
    'tests': set(FOLDERS),
}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.M)
LIBRARY = re.compile(r'\bphalanx_(' + '|'.join(FOLDERS) + r')\b')


def included_file(root, path, quote, name):
    """The file of the tree that an include of `path` means, relative to `root`, or None."""
    candidates = [root / name] if quote == '<' else [(root / path).parent / name, root / name]
    for candidate in candidates:
        if candidate.is_file() and candidate.resolve().is_relative_to(root.resolve()):
            return candidate.resolve().relative_to(root.resolve())
    return None


def include_findings(root):
    for path in sources(root):
        folder = path.parts[0]
        for quote, name in INCLUDE.findall((root / path).read_text(errors='replace')):
            target = included_file(root, path, quote, name)
            if target is None:
                if quote == '"':
                    yield f'{path}: includes "{name}", which is no file of this tree'
            elif target.parts[0] not in MAY_USE[folder] | {folder}:
                yield f'{path}: {folder}/ may not include {target}'


def link_findings(root):
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob('CMakeLists.txt')):
            text = re.sub(r'#[^\n]*', '', path.read_text())
            for library in sorted(set(LIBRARY.findall(text)) - MAY_USE[folder] - {folder}):
                yield f'{path.relative_to(root)}: {folder}/ may not link phalanx_{library}'


def check(root):
    return [*include_findings(root), *link_findings(root)]


def self_check():
    header = '#pragma once\n'
    expect_finding(check, {'parallel/a.h': header, 'data/b.cc': '#include "parallel/a.h"\n'},
                   'data/ may not include parallel/a.h')
    expect_finding(check, {'trainer/a.h': header, 'model/b.h': '#  include <trainer/a.h>\n'},
                   'model/ may not include trainer/a.h')
    expect_finding(check, {'data/a.h': header, 'model/b.h': '#include "../data/a.h"\n'},
                   'model/ may not include data/a.h')
    expect_finding(check, {'data/b.cc': '#include "gone.h"\n'}, 'no file of this tree')
    expect_finding(check, {'data/CMakeLists.txt': 'target_link_libraries(x phalanx_parallel)\n'},
                   'may not link phalanx_parallel')
    expect_clean(check, {'parallel/a.h': header, 'data/c.h': header,
                         'trainer/b.cc': '#include "parallel/a.h"\n#include "data/c.h"\n',
                         'tests/model/d.cc': '#include "data/c.h"\n#include <vector>\n'})


if __name__ == '__main__':
    self_check()
    check_tree(check)
