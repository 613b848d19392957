# SPDX-License-Identifier: Apache-2.0
"""Starts a virtual machine and follows what it says: its first serial port on stdin/stdout, and QMP
on a Unix socket. Works with any program that takes QEMU's command line.

Everything waits with a deadline and raises VmError with the tail of what was seen, so that a failed
test explains itself. Only the standard library is used, because it also runs inside the KVM lab.
"""

import json
import os
import select
import shutil
import socket
import subprocess
import tempfile
import time

READ_SIZE = 65536
TAIL_SIZE = 3000


class VmError(Exception):
    """The machine did not do what was expected of it."""


class Machine:
    """One running machine; a context manager that ends the process it started."""

    def __init__(self, command, qmp=True):
        self.console = ''
        self.events = []
        self._seen = 0
        self._qmp = None
        self._qmp_buffer = b''
        self._directory = tempfile.mkdtemp(prefix='vm-')
        self._errors = open(os.path.join(self._directory, 'stderr'), 'w+', encoding='utf-8',
                            errors='replace')
        command = list(command) + ['-serial', 'stdio']
        if qmp:
            self._qmp_path = os.path.join(self._directory, 'qmp')
            command += ['-qmp', f'unix:{self._qmp_path},server=on,wait=off']
        self.started = time.monotonic()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self._errors)
        os.set_blocking(self.process.stdout.fileno(), False)
        if qmp:
            try:
                self._connect(20)
            except BaseException:
                self.close()
                raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        if self._qmp:
            self._qmp.close()
        self._errors.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    # --- QMP

    def _connect(self, seconds):
        deadline = time.monotonic() + seconds
        while True:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.connect(self._qmp_path)
                break
            except OSError:
                connection.close()
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise VmError(self.explain('no QMP socket')) from None
                time.sleep(0.02)
        connection.setblocking(False)
        self._qmp = connection
        self._wait_message(lambda message: 'QMP' in message, 'the QMP greeting', deadline)
        self.command('qmp_capabilities')

    def command(self, name, arguments=None, seconds=30):
        """Run a QMP command and return its value; an error reply raises VmError."""
        request = {'execute': name, 'id': name}
        if arguments:
            request['arguments'] = arguments
        self._qmp.sendall(json.dumps(request).encode() + b'\n')
        reply = self._wait_message(lambda message: message.get('id') == name,
                                   f'a reply to {name}', time.monotonic() + seconds)
        if 'error' in reply:
            raise VmError(f'{name}: {reply["error"]}')
        return reply['return']

    def wait_event(self, name, seconds):
        """The first event of that name that nobody waited for yet."""
        deadline = time.monotonic() + seconds
        while True:
            for index, event in enumerate(self.events):
                if event['event'] == name:
                    return self.events.pop(index)
            if not self._pump(deadline):
                raise VmError(self.explain(f'no {name} event within {seconds} s'))

    def _wait_message(self, wanted, what, deadline):
        while True:
            message = self._next_message()
            if message is None:
                if not self._pump(deadline):
                    raise VmError(self.explain(f'{what} did not come'))
            elif 'event' in message:
                self.events.append(message)
            elif wanted(message):
                return message

    def _next_message(self):
        line, newline, rest = self._qmp_buffer.partition(b'\n')
        if not newline:
            return None
        self._qmp_buffer = rest
        return json.loads(line)

    # --- the serial console

    def send(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def expect(self, text, seconds):
        """Wait until the console says `text` beyond earlier finds; return what led to it."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.console.find(text, self._seen)
            if found >= 0:
                before = self.console[self._seen:found]
                self._seen = found + len(text)
                return before
            if not self._pump(deadline):
                raise VmError(self.explain(f'the console did not say {text!r} within {seconds} s'))

    def wait_exit(self, seconds):
        """The process's exit status, with the rest of the console read."""
        deadline = time.monotonic() + seconds
        while self._pump(deadline):
            pass
        try:
            return self.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise VmError(self.explain(f'still running after {seconds} s')) from None

    # --- both

    def _pump(self, deadline):
        """Take in what arrives before the deadline; False when nothing more will come."""
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            return False
        poller = select.poll()
        console = self.process.stdout.fileno()
        if not self.process.stdout.closed:
            poller.register(console, select.POLLIN)
        if self._qmp and self._qmp.fileno() >= 0:
            poller.register(self._qmp, select.POLLIN)
        alive = False
        for descriptor, _ in poller.poll(remaining * 1000):
            if descriptor == console:
                alive |= self._read_console()
            else:
                alive |= self._read_qmp()
        return alive

    def _read_console(self):
        data = self.process.stdout.read(READ_SIZE)
        if data:
            self.console += data.decode(errors='replace')
        return bool(data)

    def _read_qmp(self):
        try:
            data = self._qmp.recv(READ_SIZE)
        except OSError:
            data = b''
        if not data:
            self._qmp.close()
            return True
        self._qmp_buffer += data
        kept = []
        while (message := self._next_message()) is not None:
            if 'event' in message:
                self.events.append(message)
            else:
                kept.append(json.dumps(message).encode() + b'\n')
        self._qmp_buffer = b''.join(kept) + self._qmp_buffer
        return True

    def explain(self, problem):
        """A problem with what the machine had said by then."""
        self._errors.flush()
        self._errors.seek(0)
        status = self.process.poll()
        state = 'running' if status is None else f'ended with status {status}'
        return '\n'.join([f'{problem} (process {state})', '--- stderr:',
                          self._errors.read()[-TAIL_SIZE:], '--- console:',
                          self.console[-TAIL_SIZE:]])
