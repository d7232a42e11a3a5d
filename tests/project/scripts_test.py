"""Tests of the shell scripts and of the quickstart's text.

Usage: scripts_test.py syntax|setup|skips|problems
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from tree import ROOT, output_of, skip

SCRIPTS = [*sorted((ROOT / 'launch').glob('*.sh')), ROOT / '.ci' / 'run']


def expect(condition, message):
    if not condition:
        sys.exit(message)


def syntax():
    """The scripts parse, explain themselves, refuse what they do not know, and pass shellcheck."""
    expect(len(SCRIPTS) >= 4, f'expected four scripts, found {SCRIPTS}')
    for script in SCRIPTS:
        code, output = output_of('bash', '-n', str(script))
        expect(code == 0, output)
        expect(os.access(script, os.X_OK), f'{script}: not executable')
    for name in ('setup.sh', 'quickstart.sh', 'test.sh'):
        code, output = output_of(str(ROOT / 'launch' / name), '--help')
        expect(code == 0 and 'Usage: launch/' in output, f'{name} --help: {code} {output}')
    for name in ('setup.sh', 'quickstart.sh'):
        code, output = output_of(str(ROOT / 'launch' / name), '--no-such-thing')
        expect(code == 2 and output.count('\n') == 1 and '--no-such-thing' in output,
               f'{name} with an unknown argument: {code} {output}')
    for option, value in (('--sanitize', 'memory'), ('--fuzz', 'long'), ('--fuzz', None)):
        code, output = output_of(str(ROOT / 'launch' / 'test.sh'),
                                 *[word for word in (option, value) if word])
        expect(code == 2 and output.count('\n') == 1 and f"{option}: expected" in output,
               f'test.sh {option} {value}: {code} {output}')
    if shutil.which('shellcheck') is None:
        skip('no shellcheck here')
    code, output = output_of('shellcheck', *map(str, SCRIPTS))
    expect(code == 0, output)


def setup():
    """Without root, a missing Debian package ends the set-up with one line and nothing half done."""
    if shutil.which('dpkg-query') is None:
        skip('no Debian package manager here')
    drop = []
    if os.geteuid() == 0:
        if shutil.which('setpriv') is None:
            skip('no setpriv here to give up root with')
        drop = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        folder.chmod(0o755)
        (folder / 'launch').mkdir()
        shutil.copy(ROOT / 'launch' / 'setup.sh', folder / 'launch')
        bin_folder = folder / 'bin'
        bin_folder.mkdir()
        stubs = {'dpkg-query': 'case "$*" in *libfmt-dev*) exit 1 ;; esac\nprintf installed\n',
                 'sudo': 'exit 1\n', 'apt-get': 'echo apt-get was run; exit 9\n'}
        for name, body in stubs.items():
            (bin_folder / name).write_text('#!/bin/bash\n' + body)
            (bin_folder / name).chmod(0o755)
        environment = {'PATH': f'{bin_folder}:/usr/bin:/bin', 'PHALANX_DEPS': str(folder / 'deps')}
        done = subprocess.run([*drop, 'bash', str(folder / 'launch' / 'setup.sh')], env=environment,
                              cwd='/', capture_output=True, text=True, check=False)
        expect(done.returncode == 2, f'expected exit code 2: {done}')
        expect(done.stdout == '' and done.stderr.count('\n') == 1 and 'libfmt-dev' in done.stderr
               and 'apt-get install' in done.stderr and 'libzstd-dev' not in done.stderr,
               f'expected one line that names libfmt-dev only: {done}')
        expect(not (folder / 'deps').exists(), 'expected nothing half done, found a deps folder')


def skips():
    """A skipped test is counted with its reason, a fault with its kind if its test passed."""
    project = '''
cmake_minimum_required(VERSION 3.25)
project(skips NONE)
enable_testing()
add_test(NAME passes COMMAND ${CMAKE_COMMAND} -E true)
add_test(NAME python_like COMMAND sh -c "echo 'skipped: no GPU here'; exit 77")
add_test(NAME python_like_again COMMAND sh -c "echo 'skipped: no GPU here'; exit 77")
set_tests_properties(python_like python_like_again PROPERTIES SKIP_RETURN_CODE 77)
add_test(NAME gtest_like COMMAND sh -c "echo 'a_test.cc:3: Skipped'; echo 'two GPUs needed'; exit 77")
set_tests_properties(gtest_like PROPERTIES SKIP_RETURN_CODE 77)
add_test(NAME some_cases COMMAND sh -c "echo 'b_test.cc:5: Skipped'; echo 'no GPU here'; seq 3000;
  echo 'b_test.cc:9: Skipped'; echo 'no disk'; echo 'faults: 3 ranks killed'")
add_test(NAME bears COMMAND sh -c "echo 'faults: 2 ranks killed'; echo 'faults: 1200 of a disk'")
add_test(NAME breaks COMMAND sh -c "echo 'faults: 7 ranks killed'; exit 1")
'''
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / 'CMakeLists.txt').write_text(project)
        code, output = output_of('cmake', '-S', folder, '-B', f'{folder}/build')
        expect(code == 0, output)
        report = f'{folder}/report.xml'
        code, output = output_of('ctest', '--test-dir', f'{folder}/build', '--output-junit', report,
                                 '--test-output-size-passed', '10000000')
        expect(code != 0, output)
        code, output = output_of(sys.executable, '-B', str(ROOT / 'launch' / 'test_summary.py'),
                                 report)
    expected = ('5 tests skipped (3 x no GPU here; no disk; two GPUs needed)\n'
                '1205 faults made and borne (1200 of a disk, 5 ranks killed)\n')
    expect((code, output) == (0, expected), f'expected {expected!r}, got {code} {output!r}')


def problems():
    """The synthetic problems are the same bytes whatever Python's hash seed is."""
    if output_of(sys.executable, '-c', 'import bfi, sympy, importlib.util as u; '
                 'assert u.find_spec("reasoning_gym")')[0] != 0:
        skip('no reasoning-gym here: ./launch/setup.sh --quickstart')
    made = []
    for seed in ('1', '2'):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [sys.executable, '-B', str(ROOT / 'launch/corpora/problems.py'), folder],
                env=os.environ | {'PYTHONHASHSEED': seed}, capture_output=True, text=True,
                check=False)
            expect(done.returncode == 0, done.stderr)
            made.append((pathlib.Path(folder) / 'documents.jsonl').read_bytes())
    expect(made[0] == made[1], 'expected the same bytes for two hash seeds')
    expect(100_000 < len(made[0]) < 300_000, f'expected some 180 KB, got {len(made[0])}')


if __name__ == '__main__':
    tests = {'syntax': syntax, 'setup': setup, 'skips': skips, 'problems': problems}
    if len(sys.argv) != 2 or sys.argv[1] not in tests:
        sys.exit(__doc__)
    tests[sys.argv[1]]()
