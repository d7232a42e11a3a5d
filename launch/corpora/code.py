"""Organic code: the standard library of the Python that runs this, one module a document.

Usage: code.py FOLDER      writes FOLDER/documents.jsonl
"""

import pathlib
import sys
import sysconfig

from documents import write_documents

# Tests and demos repeat themselves, encodings and pydoc_data are tables, and tkinter and distutils
# are not in every Python; the rest is plenty.
SKIPPED_FOLDERS = {
    'site-packages', 'dist-packages', '__pycache__', 'test', 'tests', 'idle_test', 'idlelib',
    'lib2to3', 'turtledemo', 'tkinter', 'distutils', 'encodings', 'pydoc_data', 'lib-dynload',
    'ensurepip'
}
LONGEST_BYTES = 200_000
TOTAL_BYTES = 8_000_000


def modules(root):
    """Paths of the library's modules, relative to `root`, in an order that no machine changes."""
    paths = (path.relative_to(root) for path in root.rglob('*.py'))
    return sorted((path for path in paths if not SKIPPED_FOLDERS & set(path.parts)
                   and not path.name.startswith('_sysconfigdata')), key=lambda path: path.as_posix())


def code():
    root = pathlib.Path(sysconfig.get_paths()['stdlib'])
    total = 0
    for path in modules(root):
        text = (root / path).read_text(encoding='utf-8', errors='replace')
        size = len(text.encode())
        if size > LONGEST_BYTES or not text.strip():
            continue
        total += size
        if total > TOTAL_BYTES:
            return
        yield f'# {path.as_posix()}\n{text}'


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write_documents(sys.argv[1], code())
