"""Fuzzes a reader, or all of them, from the corpus beside this file.

Usage: run_fuzz.py FOLDER SECONDS [READER...]

FOLDER holds the programs READER_fuzz (config, shard, dataset, safetensors, checkpoint, tokenizer,
json_lines, metrics, store; default: all). An input that ends one is kept there as crash-* (or timeout-*,
oom-*), and its bytes are printed. Skipped where FOLDER is `none`: no clang 16 to build them.
"""

import base64
import pathlib
import re
import subprocess
import sys
import tempfile

READERS = ('config', 'shard', 'dataset', 'safetensors', 'checkpoint', 'tokenizer', 'json_lines',
           'metrics', 'store')
CORPUS = pathlib.Path(__file__).resolve().parent / 'corpus'
SKIPPED = 77
SHOWN_BYTES = 4096
# An input may take so long, and a process so much memory: a hang or a bomb counts as a crash.
SECONDS_OF_AN_INPUT, MIB = 10, 1024


def fuzz(folder, reader, seconds):
    """Whether nothing was found; says how much was tried."""
    before = set(folder.iterdir())
    with tempfile.TemporaryDirectory() as found:
        # Leaks are looked for with ptrace, which containers forbid.
        done = subprocess.run(
            [folder / f'{reader}_fuzz', found, CORPUS / reader, f'-max_total_time={seconds}',
             f'-timeout={SECONDS_OF_AN_INPUT}', f'-rss_limit_mb={MIB}', '-max_len=16384',
             '-seed=1', '-detect_leaks=0', '-print_final_stats=1',
             f'-artifact_prefix={folder}/{reader}-'],
            capture_output=True, text=True, errors='replace', check=False)
    inputs = re.search(r'number_of_executed_units: (\d+)', done.stderr)
    covered = re.findall(r' cov: (\d+)', done.stderr)
    print(f'{reader}: {inputs[1] if inputs else "?"} inputs in {seconds} s, '
          f'{covered[-1] if covered else "?"} edges covered', flush=True)
    if done.returncode == 0:
        return True
    print(done.stderr[-6000:])
    for path in sorted(set(folder.iterdir()) - before):
        data = path.read_bytes()[:SHOWN_BYTES]
        print(f'{path}: base64 {base64.b64encode(data).decode()}')
    return False


def main(folder, seconds, *readers):
    if folder == 'none':
        print('skipped: no clang 16 here to build the fuzz targets with: ./launch/setup.sh --tests')
        sys.exit(SKIPPED)
    results = [fuzz(pathlib.Path(folder), reader, int(seconds)) for reader in readers or READERS]
    sys.exit(0 if all(results) else 1)


if __name__ == '__main__':
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
