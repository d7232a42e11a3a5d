"""A web server of a folder on the loopback, which misbehaves as a test asks it to.

It knows ranges and ETags, counts what it is asked for and keeps the headers of each request. A fault is
for the paths that end with a suffix, and for so many requests of each of them.
"""

import collections
import contextlib
import dataclasses
import http.server
import threading
import time

PIECE = 16 * 1024


@dataclasses.dataclass
class Fault:
    suffix: str
    kind: str  # status, drop, truncate, stall, slow, lie, shorter, longer, empty, no_range, cut, echo
    times: int = 10 ** 9  # of each path
    status: int = 503
    headers: dict = dataclasses.field(default_factory=dict)
    body: bytes = b'busy\n'
    after: int = 0  # bytes, before a transfer is cut off or stalls; 0: half of it
    rate: float = 0  # of slow, bytes a second


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def do_GET(self):
        store = self.server.store
        with store.lock:
            store.requests[self.path] += 1
            store.seen.append((self.path, {name.lower(): value
                                           for name, value in self.headers.items()}))
        fault = store.fault_of(self.path)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.answer(store, fault)

    def answer(self, store, fault):
        # A connection that is kept outlives the server.
        kind = 'drop' if store.closed.is_set() else fault.kind if fault else ''
        if kind == 'drop':
            self.close_connection = True
            return
        if kind == 'echo':
            self.plain(fault.status, ' '.join(self.headers.values()).encode())
            return
        if kind == 'status':
            self.plain(fault.status, fault.body, fault.headers)
            return
        file = store.folder / self.path.lstrip('/')
        if not file.is_file():
            self.plain(404, b'no such file\n')
            return
        self.send_body(store, fault, kind, file.read_bytes())

    def plain(self, status, body, headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def send_body(self, store, fault, kind, body):
        etag = f'"{len(body)}-{hash(body) & 0xffff}"'
        if kind == 'lie':
            body = bytes(byte ^ 1 for byte in body)
        elif kind == 'shorter':
            body = body[:len(body) // 2]
        elif kind == 'longer':
            body += b'more'
        elif kind == 'empty':
            body = b''
        begin, total = self.wanted(body, kind), len(body)
        if begin and begin[0] >= total:
            self.plain(416, b'', {'Content-Range': f'bytes */{total}'})
            return
        self.send_response(206 if begin else 200)
        if begin:
            body = body[begin[0]:begin[1]]
            self.send_header('Content-Range', f'bytes {begin[0]}-{begin[1] - 1}/{total}')
        self.send_header('ETag', etag)
        if kind == 'cut':  # no length: the end of the connection is the end of the body
            self.send_header('Connection', 'close')
            self.close_connection = True
        else:
            self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.transfer(store, fault, kind, body)

    def wanted(self, body, kind):
        """[begin, end) of the range that is asked for; nothing: the whole."""
        text = self.headers.get('Range', '')
        if kind == 'no_range' or not text.startswith('bytes='):
            return None
        first, _, last = text[len('bytes='):].partition('-')
        return int(first), min(len(body), int(last) + 1 if last else len(body))

    def transfer(self, store, fault, kind, body):
        if kind in ('truncate', 'cut', 'stall'):
            body = body[:fault.after or len(body) // 2]
        step = max(1, int(fault.rate / 20)) if kind == 'slow' else PIECE
        for begin in range(0, len(body), step):
            piece = body[begin:begin + step]
            self.wfile.write(piece)
            with store.lock:
                store.sent += len(piece)
            if kind == 'slow':
                time.sleep(len(piece) / fault.rate)
        self.wfile.flush()
        if kind == 'stall':
            store.closed.wait(60)
        if kind in ('truncate', 'cut', 'stall'):
            self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass  # a client that went away is what some tests do


class FaultyStore:
    """Serves `folder` at .url until close()."""

    def __init__(self, folder, port=0):
        self.folder = folder
        self.lock = threading.Lock()
        self.requests = collections.Counter()
        self.seen = []  # (path, headers) of each request
        self.sent = 0
        self.closed = threading.Event()
        self._faults = []
        self._met = collections.Counter()
        self._server = Server(('127.0.0.1', port), Handler)
        self._server.store = self
        self.port = self._server.server_address[1]
        self.url = f'http://127.0.0.1:{self.port}'
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.closed.set()
        self._server.shutdown()
        self._server.server_close()

    def add(self, suffix, kind, times=10 ** 9, **details):
        with self.lock:
            self._faults.append(Fault(suffix, kind, times, **details))

    def mend(self):
        with self.lock:
            self._faults.clear()
            self._met.clear()

    def fault_of(self, path):
        """The first fault that is left for this path, which is then met."""
        with self.lock:
            for number, fault in enumerate(self._faults):
                if not path.endswith(fault.suffix) or self._met[number, path] >= fault.times:
                    continue
                self._met[number, path] += 1
                return fault
        return None

    def num_met(self):
        """Faults that clients have met."""
        with self.lock:
            return sum(self._met.values())

    def count(self, suffix):
        with self.lock:
            return sum(n for path, n in self.requests.items() if path.endswith(suffix))
