"""A headless Chromium that a test looks through: what a page says on its console, what it asks the
network for, what its elements hold, and what keys do. Spoken to over two pipes by the DevTools
protocol, so that nothing but the browser is needed.
"""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable')
KEYS = {'Tab': 9, 'Enter': 13, 'Escape': 27, ' ': 32, 'End': 35, 'Home': 36, 'ArrowLeft': 37,
        'ArrowUp': 38, 'ArrowRight': 39, 'ArrowDown': 40}


def find_browser():
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Browser:

    def __init__(self, width=1280, height=900):
        self.folder = tempfile.mkdtemp(prefix='phalanx-browser-')
        self.console, self.requests = [], []
        self._number, self._unread = 0, b''
        # Numbers above 10, so that none of them is 3 or 4 itself.
        inner_read, self._write = (self._move(end) for end in os.pipe())
        self._read, inner_write = (self._move(end) for end in os.pipe())

        def take_pipes():
            os.dup2(inner_read, 3)
            os.dup2(inner_write, 4)

        self.process = subprocess.Popen(
            [find_browser(), '--headless=new', '--no-sandbox', '--disable-gpu', '--no-first-run',
             '--disable-dev-shm-usage', '--disable-background-networking', '--disable-sync',
             '--disable-component-update', '--hide-scrollbars', f'--window-size={width},{height}',
             f'--user-data-dir={self.folder}', '--remote-debugging-pipe', 'about:blank'],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            close_fds=False, preexec_fn=take_pipes)
        os.close(inner_read)
        os.close(inner_write)
        self._session = None
        target = self.call('Target.createTarget', url='about:blank')['targetId']
        self._session = self.call('Target.attachToTarget', targetId=target,
                                  flatten=True)['sessionId']
        for domain in ('Page', 'Runtime', 'Log', 'Network'):
            self.call(f'{domain}.enable')
        self.call('Emulation.setDeviceMetricsOverride', width=width, height=height,
                  deviceScaleFactor=1, mobile=False)

    @staticmethod
    def _move(end):
        moved = fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10)
        os.close(end)
        return moved

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self._read)
        os.close(self._write)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _message(self, limit):
        end = time.monotonic() + limit
        while b'\0' not in self._unread:
            ready, _, _ = select.select([self._read], [], [], max(0, end - time.monotonic()))
            chunk = os.read(self._read, 1 << 20) if ready else b''
            if not chunk:
                raise AssertionError(f'the browser said nothing for {limit} s')
            self._unread += chunk
        text, _, self._unread = self._unread.partition(b'\0')
        return json.loads(text)

    def _note(self, message):
        method, values = message.get('method'), message.get('params', {})
        if method == 'Runtime.exceptionThrown':
            details = values['exceptionDetails']
            self.console.append(details.get('exception', {}).get('description', details['text']))
        elif method == 'Runtime.consoleAPICalled':
            self.console.append(f'{values["type"]}: {values["args"]}')
        elif method == 'Log.entryAdded':
            self.console.append(values['entry']['text'])
        elif method == 'Network.requestWillBeSent':
            self.requests.append(values['request']['url'])

    def call(self, method, limit=60, **values):
        self._number += 1
        request = {'id': self._number, 'method': method, 'params': values}
        if self._session:
            request['sessionId'] = self._session
        os.write(self._write, json.dumps(request).encode() + b'\0')
        while True:
            message = self._message(limit)
            if message.get('id') != self._number:
                self._note(message)
            elif 'error' in message:
                raise AssertionError(f'{method}: {message["error"]}')
            else:
                return message['result']

    def evaluate(self, expression):
        """Its value; a promise is waited for."""
        result = self.call('Runtime.evaluate', expression=expression, returnByValue=True,
                           awaitPromise=True)
        if 'exceptionDetails' in result:
            raise AssertionError(f'{expression}: {result["exceptionDetails"]}')
        return result['result'].get('value')

    def open(self, path, condition='document.readyState === "complete"', limit=60):
        self.call('Page.navigate', url=f'file://{path}')
        self.wait_for(condition, limit)

    def wait_for(self, condition, limit=30):
        end = time.monotonic() + limit
        while not self.evaluate(condition):
            if time.monotonic() > end:
                raise AssertionError(f'waited in vain for {condition}; console: {self.console}')
            time.sleep(0.05)

    def press(self, key):
        text = {'text': '\r'} if key == 'Enter' else {}  # without it nothing is pressed by Enter
        for kind in ('keyDown' if text else 'rawKeyDown', 'keyUp'):
            self.call('Input.dispatchKeyEvent', type=kind, key=key, code=key,
                      windowsVirtualKeyCode=KEYS[key], **(text if kind == 'keyDown' else {}))

    def move_pointer(self, x, y):
        self.call('Input.dispatchMouseEvent', type='mouseMoved', x=x, y=y)

    def scheme(self, name):
        self.call('Emulation.setEmulatedMedia',
                  features=[{'name': 'prefers-color-scheme', 'value': name}])

    def screenshot(self, path):
        """The whole page."""
        shot = self.call('Page.captureScreenshot', captureBeyondViewport=True, format='png')
        path.write_bytes(base64.b64decode(shot['data']))
