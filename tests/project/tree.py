"""What the checks of the source tree share: which files there are, and how a check ends."""

import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ('data', 'parallel', 'model', 'trainer', 'configs', 'launch', 'tests')
SOURCE = {'.h', '.cc', '.cu', '.cuh'}
SKIPPED = 77  # SKIP_RETURN_CODE of these tests


def sources(root):
    """Paths of the C++ and CUDA files below the folders of `root`, relative to it, sorted."""
    paths = (path for folder in FOLDERS for path in (root / folder).rglob('*'))
    return sorted(path.relative_to(root) for path in paths if path.suffix in SOURCE)


def without_comments(text):
    """`text` with comments and string contents blanked; line breaks stay where they are."""
    token = (r'//[^\n]*|/\*.*?\*/|R"(?P<mark>[^(\s]*)\(.*?\)(?P=mark)"'
             r'|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'')
    return re.sub(token, lambda match: ' ' + '\n' * match[0].count('\n'), text, flags=re.S)


def skip(reason):
    print(f'skipped: {reason}')
    sys.exit(SKIPPED)


def check_tree(check):
    """Ends the program: with 0 when check(ROOT) finds nothing, else with 1 and its findings."""
    if not sources(ROOT):
        sys.exit(f'no sources below {ROOT}: the check would pass whatever it does')
    findings = check(ROOT)
    for finding in findings:
        print(finding)
    print(f'{len(findings)} findings in {len(sources(ROOT))} files')
    sys.exit(1 if findings else 0)


def expect_finding(check, files, words):
    """The check must find something that contains `words` in a tree of `files` {path: text}."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        findings = check(root)
    if not any(words in finding for finding in findings):
        sys.exit(f'self-check: expected a finding with "{words}" in {list(files)}, got {findings}')


def expect_clean(check, files):
    """The check must find nothing in a tree of `files` {path: text}."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        findings = check(root)
    if findings:
        sys.exit(f'self-check: expected no finding in {list(files)}, got {findings}')


def output_of(*command):
    """(exit code, stdout and stderr together) of a command."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors='replace', check=False)
    return done.returncode, done.stdout
