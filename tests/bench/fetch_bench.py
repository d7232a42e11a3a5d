"""How fast a data set comes from a store: fetch_bench against curl, over the same connections from the same
server on the loopback, to the same disk; then how long a training waits for data that it streams.

    PHALANX_BINARY=build/phalanx .deps/bin/python tests/bench/fetch_bench.py [BUILD] [CONNECTIONS]

curl neither hashes nor syncs what it writes; a line of it with a sync of the files stands beside.
"""

import http.server
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tests' / 'launch' / 'e2e'))
from support import Workspace  # noqa: E402

TOKENS, SHARD_TOKENS = 150_000_000, 25_000_000


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def copyfile(self, source, outputfile):
        outputfile.flush()
        size, offset = os.fstat(source.fileno()).st_size, 0
        while offset < size:
            offset += os.sendfile(self.connection.fileno(), source.fileno(), offset, size - offset)


def serve(folder):
    server = http.server.ThreadingHTTPServer(
        ('127.0.0.1', 0), lambda *a: Handler(*a, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f'http://127.0.0.1:{server.server_address[1]}'


def make_data(workspace):
    """A corpus in Megatron's layout, adopted."""
    folder = workspace.path / 'long'
    folder.mkdir()
    prefixes = []
    for shard in range(TOKENS // SHARD_TOKENS):
        # Each shard another, since a cache knows files by their contents.
        block = b''.join(bytes((byte, 0)) for byte in os.urandom(1 << 19))  # ids below 256
        prefix = folder / f'part-{shard}'
        prefixes.append(str(prefix))
        with open(f'{prefix}.bin', 'wb') as file:
            for _ in range(SHARD_TOKENS * 2 // len(block)):
                file.write(block)
            size = file.tell()
        length, lengths = 1024, size // 2048
        with open(f'{prefix}.idx', 'wb') as file:
            file.write(b'MMIDIDX\x00\x00' + (1).to_bytes(8, 'little') + b'\x08')
            file.write(lengths.to_bytes(8, 'little') + (lengths + 1).to_bytes(8, 'little'))
            file.write(length.to_bytes(4, 'little') * lengths)
            file.write(b''.join((i * 2048).to_bytes(8, 'little') for i in range(lengths)))
            file.write(b''.join(i.to_bytes(8, 'little') for i in range(lengths + 1)))
    workspace.program('data', 'convert', '--adopt', *prefixes, '--tokenizer', 'tokenizer', '--kind',
                      'organic', '--shuffled')
    return folder


def timed(action):
    begin = time.monotonic()
    action()
    return time.monotonic() - begin


def curl(url, files, target, connections, sync):
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    wanted = [word for file in files for word in ('-o', str(target / file), f'{url}/{file}')]
    subprocess.run(['curl', '-s', '--no-progress-meter', '--parallel', '--parallel-max', str(connections), *wanted],
                   check=True)
    if sync:
        subprocess.run(['sync', *(str(target / file) for file in files)], check=True)


def main():
    build = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / 'build').resolve()
    connections = int(sys.argv[2]) if len(sys.argv) > 2 else 4
    os.environ['PHALANX_BINARY'] = str(pathlib.Path(os.environ['PHALANX_BINARY']).resolve())
    workspace = Workspace()
    folder = make_data(workspace)
    url = serve(folder)
    files = sorted(path.name for path in folder.iterdir() if path.suffix in ('.bin', '.idx'))
    size = sum((folder / file).stat().st_size for file in files) / 1e6
    with tempfile.TemporaryDirectory(prefix='phalanx-bench-', dir='/var/tmp') as scratch:
        target, cache = pathlib.Path(scratch) / 'curl', pathlib.Path(scratch) / 'cache'
        for round_ in range(3):
            plain = timed(lambda: curl(url, files, target, connections, False))
            synced = timed(lambda: curl(url, files, target, connections, True))
            shutil.rmtree(cache, ignore_errors=True)
            done = subprocess.run([build / 'tests/bench/fetch_bench', url, cache, str(connections)],
                                  check=True, capture_output=True, text=True)
            mine = float(done.stdout.split()[2])
            print(f'round {round_ + 1}: {size:.0f} MB; phalanx {size / mine:.0f} MB/s, hashed and '
                  f'synced; curl {size / plain:.0f} MB/s, with sync {size / synced:.0f} MB/s; '
                  f'ratio {plain / mine:.2f}, to curl with sync {synced / mine:.2f}', flush=True)
    workspace.close()


if __name__ == '__main__':
    main()
