"""Fails on what the house rules forbid and a program can see: sizes, marks of unfinished work, ranks
in model/, printing and exiting in libraries, two types of one name."""

import re

from tree import check_tree, expect_clean, expect_finding, sources, without_comments

FILE_LINES = 400
FUNCTION_LINES = 60
COLUMNS = 100
UNFINISHED = re.compile(r'\b(TO' r'DO|FIX' r'ME|XX' r'X|HA' r'CK)\b')
RANKS = re.compile(r'rank|all_reduce|nccl|MPI_')
PRINTS = re.compile(r'\bstd::(cout|cerr|clog|print|println)\b|\bfmt::print(ln)?\b|\bf?printf\s*\('
                    r'|\b(std::)?(exit|_exit|quick_exit)\s*\(')
ENVIRONMENT = re.compile(r'\b(secure_)?getenv\s*\(')
SHUFFLES = re.compile(r'\bstd::(shuffle\b|\w+_distribution\b)')
# Of namespace phalanx itself: what lies in another namespace or type is indented or named after it.
TYPE = re.compile(r'^(?:struct|class|union|enum(?: class)?)\s+(\w+)(?:\s+final)?\s*[:{]', re.M)
INNER_NAMESPACE = re.compile(r'^namespace phalanx::(\w+)', re.M)
THREAD_LOCAL = re.compile(r'\bthread_local\b')

SCOPE_HEAD = re.compile(r'\b(namespace|class|struct|union|enum|extern)\b[^()=]*$')
PARAMETERS_END = re.compile(
    r'\)\s*((const|noexcept|override|final|mutable|try|requires[^;]*|->[^;=]*|&&?)\s*)*$')
MEMBER_LIST = re.compile(r'\)\s*(noexcept\s*)?:[^:]')


def functions(text):
    """(first line, number of lines) of each function body; lambdas count as part of theirs."""
    code = without_comments(text)
    code = re.sub(r'^[ \t]*#(?:\\\n|[^\n])*', lambda match: '\n' * match[0].count('\n'), code,
                  flags=re.M)
    found, open_braces, head, line = [], [], '', 1
    for char in code:
        line += char == '\n'
        if char == '{':
            kind = 'block'
            if SCOPE_HEAD.search(head):
                kind = 'scope'
            elif all(outer == 'scope' for outer, _ in open_braces):
                if MEMBER_LIST.search(head) and re.search(r'[\w>]\s*$', head):
                    kind = 'member'  # member_{value}: the body comes later
                elif PARAMETERS_END.search(head) or MEMBER_LIST.search(head):
                    kind = 'function'
            open_braces.append((kind, line))
            head = head if kind == 'member' else ''
        elif char == '}' and open_braces:
            kind, first = open_braces.pop()
            if kind == 'function':
                found.append((first, line - first + 1))
            head = head + '}' if kind == 'member' else ''
        elif char == ';' and all(outer == 'scope' for outer, _ in open_braces):
            head = ''
        else:
            head += char
    return found


def size_findings(path, text):
    lines = text.splitlines()
    if len(lines) > FILE_LINES:
        yield f'{path}: {len(lines)} lines, at most {FILE_LINES} are allowed'
    for first, count in functions(text):
        if count > FUNCTION_LINES:
            yield f'{path}:{first}: function of {count} lines, at most {FUNCTION_LINES} are allowed'
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS:
            yield f'{path}:{number}: {len(line)} columns, at most {COLUMNS} are allowed'
        if not line.isascii():
            yield f'{path}:{number}: not ASCII'


def header_findings(path, text):
    if path.suffix != '.h':
        return
    lines = [line for line in text.splitlines() if line.strip()]
    code = [line for line in lines if not line.startswith('//')]
    if code[:1] != ['#pragma once']:
        yield f'{path}: expected #pragma once before all code'
    if not any(line.startswith('//') for line in lines[:2]):
        yield f'{path}: expected a comment on top that says what the header is for'


def word_findings(path, text):
    """Words that some folder may not use, in code (comments apart)."""
    folder = path.parts[0]
    rules = []
    if folder != 'tests':
        rules += [(SHUFFLES, 'differs between standard libraries'), (THREAD_LOCAL, 'hides state')]
    if folder not in ('tests', 'launch'):
        rules += [(ENVIRONMENT, 'only launch/ reads the environment')]
        if not (folder == 'trainer' and path.parts[1].startswith('metrics')):
            rules += [(PRINTS, 'libraries neither print nor exit')]
    for number, line in enumerate(without_comments(text).splitlines(), 1):
        for pattern, why in rules:
            for match in pattern.finditer(line):
                yield f'{path}:{number}: {match[0].strip()}: {why}'
    for number, line in enumerate(text.splitlines(), 1):
        if UNFINISHED.search(line):
            yield f'{path}:{number}: mark of unfinished work'
        if folder == 'model' and RANKS.search(line):
            yield f'{path}:{number}: model/ knows no ranks: {line.strip()}'


class TypeNames:
    """Two types of one name that meet in a program are one to the linker, which takes the functions
    of either for both."""

    def __init__(self):
        self.places = {}

    def findings(self, path, text):
        if path.suffix != '.h' or path.parts[0] == 'tests':
            return
        inner = INNER_NAMESPACE.search(text)
        for match in TYPE.finditer(without_comments(text)):
            name = f'{inner[1]}::{match[1]}' if inner else match[1]
            if name in self.places:
                yield f'{path}: {name} is a type of {self.places[name]} too'
            self.places.setdefault(name, path)


def check(root):
    findings = []
    names = TypeNames()
    for path in sources(root):
        text = (root / path).read_text(encoding='utf-8', errors='replace')
        findings += [*size_findings(path, text), *header_findings(path, text),
                     *word_findings(path, text), *names.findings(path, text)]
    return findings


def self_check():
    body = '  int x = 0;\n' * (FUNCTION_LINES - 2)
    expect_clean(check, {'data/a.cc': 'int f(int a) {\n' + body + '}\n'})
    expect_finding(check, {'data/a.cc': 'int f(int a) {\n' + body + '  x++;\n}\n'}, 'function of 61')
    expect_finding(check, {'data/a.cc': 'namespace p {\nC::C(int a)\n    : a_{a},\n      b_(1) {\n' +
                           body + '  if (x) {\n  }\n}\n}\n'}, 'function of 62')
    expect_finding(check, {'data/a.cc': 'int x;\n' * (FILE_LINES + 1)}, 'lines, at most 400')
    expect_finding(check, {'data/a.cc': '// ' + 'x' * COLUMNS + '\n'}, 'columns')
    expect_finding(check, {'data/a.cc': '// caf\u00e9\n'}, 'not ASCII')
    expect_finding(check, {'data/a.cc': '// TO' + 'DO: later\n'}, 'unfinished')
    expect_finding(check, {'data/a.h': '#pragma once\nint f();\n'}, 'what the header is for')
    expect_clean(check, {'data/a.h': '// What it is.\n#pragma once\nint f();\n'})
    expect_finding(check, {'data/a.h': '// What it is.\nint f();\n#pragma once\n'}, 'before all')
    header = '// What it is.\n#pragma once\nstruct A {\n  int b;\n};\n'
    expect_finding(check, {'data/a.h': header, 'launch/b.h': header}, 'A is a type of data/a.h too')
    expect_clean(check, {'data/a.h': header, 'launch/b.h': '// B.\n#pragma once\nstruct A;\n',
                         'tests/b.h': header})
    expect_finding(check, {'model/a.cc': 'int rank = 0;\n'}, 'knows no ranks')
    expect_finding(check, {'data/a.cc': 'void f() { std::cout << 1; }\n'}, 'neither print nor exit')
    expect_finding(check, {'data/a.cc': 'auto f() { return getenv("A"); }\n'}, 'environment')
    expect_finding(check, {'data/a.cc': 'std::uniform_int_distribution<int> d;\n'}, 'differs')
    expect_clean(check, {'data/a.cc': '// std::cout and getenv( are words here\n'
                         'const char* kText = "printf(";\n'})


if __name__ == '__main__':
    self_check()
    check_tree(check)
