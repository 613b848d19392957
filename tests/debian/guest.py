# SPDX-License-Identifier: Apache-2.0
"""A whole Debian (scripts/make-debian) in a machine, spoken to over its serial port.

Only the standard library is used, because it also runs inside the KVM lab.
"""

import hashlib
import http.server
import os
import random
import re
import socket
import sys
import threading
import time

sys.path[1:1] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'boot')]
from vmdriver import Machine, VmError  # noqa: E402 (found through the line above)

PAYLOAD_SIZE = 3 << 20
ASK_AGAIN_SECONDS = 0.2
# The host, as guests of user networks see it.
HOST_ADDRESS = '10.0.2.2'
# What the kernel of a healthy machine says at level "err" or above: it misses firmware of wireless
# networks, which Debian does not install by itself.
HARMLESS = re.compile(r'regulatory\.db|firmware_class: See https://wiki\.debian\.org/Firmware')

__all__ = ['Guest', 'Machine', 'VmError', 'WebServer', 'forwarded_port', 'payload']


def payload(seed, size=PAYLOAD_SIZE):
    return random.Random(seed).randbytes(size)


class WebServer:
    """Serves one piece of data on a port of the host's loopback."""

    def __init__(self, data):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # noqa: N802 (the base class's name)
                self.send_response(200)
                self.send_header('Content-Length', str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def forwarded_port(vm):
    """Where the host listens for a rule hostfwd=tcp:127.0.0.1:0-:80: a port that was free."""
    text = vm.command('human-monitor-command', {'command-line': 'info usernet'})
    found = re.search(r'TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s+\S+\s+80\s', text)
    if not found:
        raise VmError(f'no forwarded port in: {text}')
    return int(found[1])


def fetch(port, path, seconds):
    """What a web server of the guest answers, with its headers."""
    with socket.create_connection(('127.0.0.1', port), seconds) as connection:
        connection.sendall(f'GET {path} HTTP/1.0\r\n\r\n'.encode())
        pieces = []
        while piece := connection.recv(1 << 16):
            pieces.append(piece)
    return b''.join(pieces)


class Guest:
    """The shell of a Debian that booted or is booting."""

    def __init__(self, vm, seconds):
        self.vm = vm
        self.seconds = seconds
        self._commands = 0

    def login(self):
        """From power-on or reset to a shell; returns the seconds to the prompt."""
        started = time.monotonic()
        self.vm.expect('debian login: ', self.seconds)
        seconds = time.monotonic() - started
        self.vm.send('root\n')
        self.vm.expect('root@debian:', self.seconds)
        # A shell that neither echoes nor prompts: what comes is what commands say.
        self.vm.send("stty -echo; echo she''ll; exec env PS1= TERM=dumb sh\n")
        self.vm.expect('shell\r\n', self.seconds)
        self.run('dmesg -n 1')
        return seconds

    def attempt(self, command, seconds=None):
        """Run a command; its exit status and its output, both streams of it."""
        self._commands += 1
        mark = f'<{self._commands}:'
        self.vm.send(f'echo "{mark}begin>"; {{ {command}\n}} 2>&1 </dev/null; '
                     f'echo "{mark}end $?>"\n')
        self.vm.expect(f'{mark}begin>\r\n', seconds or self.seconds)
        output = self.vm.expect(f'{mark}end ', seconds or self.seconds).replace('\r\n', '\n')
        return int(self.vm.expect('>', self.seconds)), output

    def run(self, command, seconds=None):
        """Run a command that must succeed; what it said."""
        status, output = self.attempt(command, seconds)
        if status != 0:
            raise VmError(f'in the guest: {command}: status {status}: {output}')
        return output.strip()

    def wait_for(self, command, what):
        """Ask until a command succeeds; what it said then."""
        deadline = time.monotonic() + self.seconds
        while True:
            status, output = self.attempt(command)
            if status == 0:
                return output.strip()
            if time.monotonic() > deadline:
                raise VmError(f'in the guest: waited for {what}: {output}')
            time.sleep(ASK_AGAIN_SECONDS)

    # --- what a healthy system is

    def check_health(self):
        """All units came up, and the kernel met no errors; returns its warnings."""
        state = self.wait_for('systemctl is-system-running --wait; test $? -lt 2', 'systemd')
        if state != 'running':
            raise VmError(f'systemd is {state}: ' + self.run('systemctl --failed --no-legend'))
        errors = [line for line in self.kernel_log('emerg,alert,crit,err')
                  if not HARMLESS.search(line)]
        if errors:
            raise VmError('the kernel complained: ' + '; '.join(errors))
        return self.kernel_log('warn')

    def kernel_log(self, levels):
        return self.run(f'dmesg --notime --level={levels}').splitlines()

    # --- network

    def wait_address(self, prefix):
        """An interface got an address by DHCP; returns the interface."""
        line = self.wait_for(f'ip -4 -oneline address show scope global | grep " {prefix}"',
                             f'an address {prefix}*')
        return line.split()[1]

    def check_download(self, seed):
        """The guest fetches a file from the host, and its sum is right."""
        data = payload(seed)
        with WebServer(data) as server:
            said = self.run(f'busybox wget -q -O - http://{HOST_ADDRESS}:{server.port}/file'
                            ' | sha256sum')
        if said.split()[0] != hashlib.sha256(data).hexdigest():
            raise VmError(f'a wrong sum of what the guest fetched: {said}')

    def check_upload(self, port):
        """The host fetches a file that the guest made, and its sum is right."""
        said = self.run(f'head -c {PAYLOAD_SIZE} /dev/urandom > /srv/www/file; '
                        'sha256sum /srv/www/file')
        head, _, body = fetch(port, '/file', self.seconds).partition(b'\r\n\r\n')
        if b' 200 ' not in head.split(b'\r\n')[0]:
            raise VmError(f'the web server of the guest says {head!r}')
        if hashlib.sha256(body).hexdigest() != said.split()[0]:
            raise VmError(f'a wrong sum of {len(body)} bytes fetched from the guest')
