"""Fuzzes a reader, or all of them, from the corpus beside this file.

Usage: run_fuzz.py FOLDER SECONDS [READER...]

FOLDER holds the programs READER_fuzz (config, shard, dataset, safetensors, checkpoint, tokenizer,
json_lines, metrics, hang_notes, state, store; default: all). An input that ends one is kept there as
crash-* (or timeout-*, oom-*, leak-*), and its bytes are printed. Shipped configurations and the table of
safetensors files are tried beside the corpus. Skipped where FOLDER is `none`: no clang 16 to build them.
"""

import base64
import pathlib
import re
import subprocess
import sys
import tempfile

READERS = ('config', 'shard', 'dataset', 'safetensors', 'checkpoint', 'tokenizer', 'json_lines',
           'metrics', 'hang_notes', 'state', 'store')
SOURCE = pathlib.Path(__file__).resolve().parents[2]
CORPUS = SOURCE / 'tests/fuzz/corpus'
SKIPPED = 77
SHOWN_BYTES = 4096
# An input may take so long, a process so much memory, and one allocation: a hang or a bomb counts as a
# crash. On a busy machine the slowest inputs made by hand took 3 s; a configuration whose aliases make a
# million nodes took 10 s (a tenth is allowed now), and a tokenizer with the greatest id, 64 MiB in one allocation, 3 s.
SECONDS_OF_AN_INPUT = dict.fromkeys(READERS, 10) | {'config': 20, 'tokenizer': 20}
MIB, MIB_AT_ONCE, MAX_BYTES = 1024, 128, 16384


def seeds(reader):
    """Bytes of good and bad files that the tree has anyway."""
    if reader == 'config':
        return [path.read_bytes() for path in sorted((SOURCE / 'configs').rglob('*.yaml'))]
    if reader == 'safetensors':
        sys.path.append(str(SOURCE / 'tests/trainer/checkpoint'))
        import safetensors_cases as cases
        files = [*cases.GOOD.values(), *(file for file, _ in (cases.BAD | cases.STRICTER).values())]
        return [file for file in files if len(file) <= MAX_BYTES]
    return []


def finds_leaks(program):
    """They are looked for with ptrace, which containers may forbid."""
    done = subprocess.run(
        [program, '-runs=1', '-detect_leaks=1', '-exact_artifact_path=/dev/null'],
        capture_output=True, check=False)
    return b'LeakSanitizer has encountered a fatal error' not in done.stderr


def fuzz(folder, reader, seconds):
    """Whether nothing was found; says how much was tried."""
    before = set(folder.iterdir())
    with tempfile.TemporaryDirectory() as found, tempfile.TemporaryDirectory() as others:
        for i, data in enumerate(seeds(reader)):
            pathlib.Path(others, str(i)).write_bytes(data)
        program = folder / f'{reader}_fuzz'
        done = subprocess.run(
            [program, found, CORPUS / reader, others,
             f'-max_total_time={seconds}', f'-timeout={SECONDS_OF_AN_INPUT[reader]}',
             f'-rss_limit_mb={MIB}', f'-malloc_limit_mb={MIB_AT_ONCE}',
             f'-max_len={MAX_BYTES}', f'-detect_leaks={int(finds_leaks(program))}', '-seed=1',
             '-print_final_stats=1', f'-artifact_prefix={folder}/{reader}-'],
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
