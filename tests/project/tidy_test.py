"""Runs clang-tidy 16 with the settings of .clang-tidy.

Usage: tidy_test.py BUILD_FOLDER [--all]

Without --all only the sources that hold no tensors: a file that includes LibTorch takes most of a
minute. Skipped without clang-tidy 16.
"""

import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import shutil
import sys
import tempfile

from tree import FOLDERS, ROOT, output_of, skip

VERSION = 16
# LibTorch behind any include makes a file slow; these folders and files are free of it.
QUICK = re.compile(r'^(configs|data/(tokenizer|shards))/\w+\.cc$|^data/(file|block_hash)\.cc$'
                   r'|^parallel/(mesh|shard_spec)\.cc$')
QUICK_FILES = 4


def find_clang_tidy():
    for name in (f'clang-tidy-{VERSION}', 'clang-tidy'):
        program = shutil.which(name)
        if program and re.search(rf'version {VERSION}\.', output_of(program, '--version')[1]):
            return program
    return None


def compile_commands(build):
    """{source: command words} of the tree's sources, tests apart, as the build folder has them."""
    database = build / 'compile_commands.json'
    if not database.is_file():
        sys.exit(f'{database}: expected the compile commands of a configured build, found no file')
    commands = {}
    for entry in json.loads(database.read_text()):
        path = (pathlib.Path(entry['directory']) / entry['file']).resolve()
        if path.suffix == '.cc' and path.is_relative_to(ROOT):
            folder = path.relative_to(ROOT).parts[0]
            if folder in FOLDERS and folder != 'tests':
                commands[path.relative_to(ROOT)] = shlex.split(entry['command'])
    return dict(sorted(commands.items()))


def write_commands(folder, commands):
    """Writes the commands for clang: it cannot read gcc's precompiled headers (it takes one when it
    lies beside the header), nor does it know all of gcc's warnings."""
    entries = []
    for number, (path, words) in enumerate(commands.items()):
        words = [word for word in words if not word.startswith('-W')]
        for place in [i + 1 for i, word in enumerate(words) if word == '-include']:
            copy = folder / f'{number}-{place}.h'
            shutil.copy(words[place], copy)
            words[place] = str(copy)
        entries.append({'directory': str(ROOT), 'file': str(ROOT / path), 'arguments': words})
    (folder / 'compile_commands.json').write_text(json.dumps(entries))


def findings(program, build, path):
    code, output = output_of(program, '--quiet', f'--config-file={ROOT / ".clang-tidy"}', '-p',
                             str(build), str(path))
    lines = re.findall(r'^.*: (?:error|warning): .*$', output, re.M)
    return lines or ([f'{path}: clang-tidy ended with {code}: {output[-300:]}'] if code else [])


def self_check(program):
    with tempfile.TemporaryDirectory() as folder:
        bad = pathlib.Path(folder) / 'bad.cc'
        bad.write_text('#include <string>\n#include <utility>\n'
                       'int f(std::string a) {\n  std::string b = std::move(a);\n'
                       '  return static_cast<int>(a.size() + b.size());\n}\n')
        command = [{'directory': folder, 'file': str(bad), 'command': f'c++ -std=c++20 -c {bad}'}]
        (pathlib.Path(folder) / 'compile_commands.json').write_text(json.dumps(command))
        found = findings(program, pathlib.Path(folder), bad)
    assert any('bugprone-use-after-move' in line for line in found), f'self-check: {found}'


def main(build, everything):
    program = find_clang_tidy()
    if program is None:
        skip(f'no clang-tidy {VERSION} here')
    self_check(program)
    commands = compile_commands(build)
    if not everything:
        paths = [path for path in commands if QUICK.match(path.as_posix())]
        # Spread over the folders; which ones does not depend on anything but the list.
        paths = paths[::max(1, len(paths) // QUICK_FILES)][:QUICK_FILES]
        commands = {path: commands[path] for path in paths}
    if not commands:
        sys.exit(f'{build}: expected sources to check, found none')
    with tempfile.TemporaryDirectory() as folder:
        write_commands(pathlib.Path(folder), commands)
        with concurrent.futures.ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
            lists = list(pool.map(lambda path: findings(program, folder, ROOT / path), commands))
    found = list(dict.fromkeys(line for lines in lists for line in lines))
    print('\n'.join(found))
    print(f'{len(found)} findings in {len(commands)} files: {", ".join(map(str, commands))}')
    sys.exit(1 if found else 0)


if __name__ == '__main__':
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]).resolve(), '--all' in sys.argv[2:])
