"""Writes documents as JSON lines, {"text": ...} each, in one atomic step."""

import json
import os
import sys


def write_documents(folder, documents):
    """Writes `documents` (strings, in their order) to folder/documents.jsonl and says how much it is.

    The file appears whole or not at all. No documents at all is an error: a source that is empty
    would only be noticed when the mixture is planned.
    """
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, 'documents.jsonl')
    count = size = 0
    with open(path + '.tmp', 'w', encoding='utf-8', newline='\n') as out:
        for text in documents:
            out.write(json.dumps({'text': text}, ensure_ascii=False) + '\n')
            count += 1
            size += len(text.encode())
    if count == 0:
        sys.exit(f'{path}: expected at least one document, found none')
    os.replace(path + '.tmp', path)
    print(f'{path}: {count} documents, {size / 1e6:.2f} MB')
