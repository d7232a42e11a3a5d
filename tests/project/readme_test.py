"""Fails when a command that the documentation shows does not exist: scripts, configurations, files,
and subcommands of build/phalanx."""

import re
import sys

from tree import ROOT, expect_clean, expect_finding

PAGES = ('README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'data/shards/FORMAT.md',
         'trainer/CHECKPOINT.md', 'trainer/METRICS.md', 'configs/REFERENCE.md')
SCRIPT = re.compile(r'(?:\./)?(launch/[\w/-]+\.(?:sh|py))')
CONFIG = re.compile(r'\b(configs/[\w/.-]+\.yaml)')
LINK = re.compile(r'\]\((?!https?:|#)([^)#\s]+)[^)]*\)')
COMMAND = re.compile(r'\bbuild/phalanx ([a-z]+)')
REGISTERED = re.compile(r'add_subcommand\(\s*"([a-z]+)"')


def check(root):
    findings = []
    commands = {name for path in (root / 'launch').rglob('*.cc')
                for name in REGISTERED.findall(path.read_text(errors='replace'))}
    for page in PAGES:
        if not (root / page).is_file():
            findings.append(f'{page}: expected this page, found none')
            continue
        text = (root / page).read_text()
        for name in sorted({*SCRIPT.findall(text), *CONFIG.findall(text)}):
            if not (root / name).is_file():
                findings.append(f'{page}: names {name}, which does not exist')
        for name in sorted(set(LINK.findall(text))):
            if not ((root / page).parent / name).exists():
                findings.append(f'{page}: links to {name}, which does not exist')
        for name in sorted(set(COMMAND.findall(text)) - commands):
            findings.append(f'{page}: shows build/phalanx {name}, which launch/ does not register')
    return findings


def self_check():
    pages = {page: 'text\n' for page in PAGES}
    main = {'launch/main.cc': 'app.add_subcommand("train", "...");\n'}
    expect_clean(check, pages | main | {'README.md': '`build/phalanx train x`'})
    expect_finding(check, pages | main | {'README.md': '`build/phalanx fly`'}, 'phalanx fly')
    expect_finding(check, pages | {'README.md': 'run ./launch/gone.sh'}, 'launch/gone.sh')
    expect_finding(check, pages | {'README.md': 'see configs/gone.yaml'}, 'configs/gone.yaml')
    expect_finding(check, pages | {'README.md': '[tour](GONE.md)'}, 'GONE.md')


if __name__ == '__main__':
    self_check()
    found = check(ROOT)
    print('\n'.join(found) or 'every command, file and link that the pages show exists')
    sys.exit(1 if found else 0)
