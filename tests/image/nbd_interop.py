#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""NBD with the other implementations as peers, both ways, over UNIX sockets; prints TAP.

Needs qemu-nbd and qemu-io, nbdkit, libnbd's tools and psktool; what is missing is skipped."""

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIZE = 8 << 20
WORK = ['-c', 'write -P 0x55 1M 1M', '-c', 'write -P 7 511 1026', '-c', 'write -z 3M 64k',
        '-c', 'write -z -u 4M 1M', '-c', 'discard 6M 64k', '-c', 'write -f -P 9 7M 4k',
        '-c', 'aio_write -P 1 64k 40k', '-c', 'aio_write -P 2 128k 300k', '-c', 'aio_flush',
        '-c', 'flush']
CHECK = ['-c', 'read -P 0x55 1M 1M', '-c', 'read -P 7 511 1026', '-c', 'read -P 0 3M 64k',
         '-c', 'read -P 0 4M 1M', '-c', 'read -P 9 7M 4k', '-c', 'read -P 1 64k 40k',
         '-c', 'read -P 2 128k 300k']


class Failure(Exception):
    pass


class Skip(Exception):
    pass


def need(*tools):
    for tool in tools:
        if not shutil.which(tool):
            raise Skip(f'no {tool}')


def run(*args, status=0):
    result = subprocess.run(list(map(str, args)), capture_output=True, text=True, check=False)
    text = result.stdout + result.stderr
    if result.returncode != status or 'verification failed' in text.lower():
        raise Failure(f'{" ".join(map(str, args))}: exit {result.returncode}\n{text}')
    return text


class Server:
    """A server in a process of its own, until the end of the `with` block."""

    def __init__(self, socket, *command):
        self.socket, self.command, self.process = Path(socket), list(map(str, command)), None

    def __enter__(self):
        self.socket.unlink(missing_ok=True)
        self.process = subprocess.Popen(self.command)
        while not self.socket.exists():
            if self.process.poll() is not None:
                raise Failure(f'{" ".join(self.command)}: ended with {self.process.returncode}')
            time.sleep(0.02)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


class Tests:
    def __init__(self, build, folder):
        self.img = build / 'tools/vireo-img'
        self.io = build / 'tools/vireo-io'
        self.nbd = build / 'tools/vireo-nbd'
        self.dir = folder
        self.socket = folder / 's'
        self.image = folder / 'image.raw'

    def fresh_image(self):
        data = bytearray(SIZE)
        data[2 << 20:3 << 20] = random.Random(1).randbytes(1 << 20)
        with open(self.image, 'wb') as f:
            for at in range(0, SIZE, 1 << 20):
                if any(data[at:at + (1 << 20)]):
                    f.seek(at)
                    f.write(data[at:at + (1 << 20)])
            f.truncate(SIZE)

    def uri(self, export=''):
        return f'nbd+unix:///{export}?socket={self.socket}'

    def ours(self, *options):
        self.fresh_image()
        return Server(self.socket, self.nbd, '-k', self.socket, '-f', 'raw', '-t', '-e', 8,
                      *options, self.image)

    def theirs(self, *options):
        self.fresh_image()
        return Server(self.socket, 'qemu-nbd', '-k', self.socket, '-f', 'raw', '-t', '-e', 8,
                      *options, self.image)

    # ---- Our server ----

    def server_and_qemu_io(self):
        need('qemu-io')
        with self.ours('-x', 'e'):
            run('qemu-io', '-f', 'raw', *WORK, *CHECK, self.uri('e'))
        run('qemu-io', '-f', 'raw', *CHECK, self.image)

    def server_and_nbdcopy(self):
        need('nbdcopy')
        copy = self.dir / 'copy.raw'
        with self.ours():
            run('nbdcopy', self.uri(), copy)
            if copy.read_bytes() != self.image.read_bytes():
                raise Failure('the copy differs')
            other = self.dir / 'other.raw'
            other.write_bytes(random.Random(2).randbytes(SIZE))
            run('nbdcopy', '--flush', other, self.uri())
        if other.read_bytes() != self.image.read_bytes():
            raise Failure('what was written differs')

    def server_and_nbdinfo(self):
        need('nbdinfo')
        with self.ours('-x', 'e', '-D', 'words', '-A'):
            text = run('nbdinfo', self.uri('e'))
            for part in ('description: words', 'base:allocation', 'qemu:allocation-depth',
                         f'export-size: {SIZE}', 'can_multi_conn: true', 'is_read_only: false'):
                if part not in text:
                    raise Failure(f'no "{part}" in\n{text}')
            extents = [line.split() for line in run('nbdinfo', '--map', self.uri('e')).splitlines()]
            expected = [['0', str(2 << 20), '3', 'hole,zero'], [str(2 << 20), str(1 << 20), '0',
                        'data'], [str(3 << 20), str(5 << 20), '3', 'hole,zero']]
            if extents != expected:
                raise Failure(f'extents: {extents}')
            run('nbdinfo', self.uri('none'), status=1)

    def server_read_only(self):
        need('qemu-io')
        with self.ours('-r'):
            run('qemu-io', '-r', '-f', 'raw', '-c', 'read 0 1M', self.uri())
            run('qemu-io', '-f', 'raw', '-c', 'write 0 1M', self.uri(), status=1)

    def lists_agree(self):
        need('qemu-nbd')
        with self.ours('-x', 'e', '-D', 'words'):
            if run(self.nbd, '-L', '-k', self.socket) != run('qemu-nbd', '-L', '-k', self.socket):
                raise Failure('the two lists of one server differ')

    # ---- Our client ----

    def client_and_qemu_nbd(self):
        need('qemu-nbd')
        with self.theirs('-x', 'e'):
            run(self.io, '-f', 'raw', *WORK, *CHECK, self.uri('e'))
            ours = run(self.img, 'map', '-f', 'raw', '--output=json', self.uri('e'))
            if ours.strip() != run('qemu-img', 'map', '-f', 'raw', '--output=json',
                                   self.uri('e')).strip():
                raise Failure('the two maps differ')
            text = run(self.img, 'info', self.uri('none'), status=1)
            if 'Requested export not available' not in text:
                raise Failure(text)
        run(self.io, '-f', 'raw', *CHECK, self.image)

    def client_and_nbdkit(self):
        need('nbdkit')
        for options in ([], ['--no-sr'], ['--mask-handshake=0', '--no-sr']):
            self.fresh_image()
            with Server(self.socket, 'nbdkit', '-f', '-U', self.socket, *options, 'file',
                        self.image):
                run(self.io, '-f', 'raw', *WORK, *CHECK, self.uri())
            run(self.io, '-f', 'raw', *CHECK, self.image)

    def client_and_oldstyle(self):
        """nbdkit refuses some of what it offers there, so that only plain data is tried."""
        need('nbdkit')
        self.fresh_image()
        with Server(self.socket, 'nbdkit', '-f', '-o', '-U', self.socket, 'file', self.image):
            run(self.io, '-f', 'raw', '-c', 'write -P 5 1k 1M', '-c', 'read -P 5 1k 1M',
                self.uri())

    def client_reconnects(self):
        """The server is killed between two requests, and comes back while the second waits."""
        with self.ours() as first:
            client = subprocess.Popen(
                [self.io, '--image-opts', '-c', 'write -P 3 0 1M', '-c', 'sleep 1000',
                 '-c', 'write -P 4 1M 1M', '-c', 'read -P 4 1M 1M',
                 f'driver=nbd,server.type=unix,server.path={self.socket},reconnect-delay=300'],
                stdout=subprocess.PIPE, text=True)
            line = client.stdout.readline()
            first.process.kill()
            first.process.wait()
        with Server(self.socket, self.nbd, '-k', self.socket, '-f', 'raw', '-t', self.image):
            text = line + client.stdout.read()
            if client.wait() or text.count('1048576/1048576') != 3:
                raise Failure(f'exit {client.returncode}\n{text}')

    # ---- TLS ----

    def psk(self, end):
        need('psktool')
        keys = self.dir / 'keys.psk'
        if not keys.exists():
            run('psktool', '-u', 'me', '-p', keys)
        return ['--object', f'tls-creds-psk,id=t,endpoint={end},dir={self.dir}' +
                (',username=me' if end == 'client' else '')]

    def tls_image(self):
        return f'driver=nbd,server.type=unix,server.path={self.socket},tls-creds=t'

    def tls_server(self):
        need('qemu-io')
        with self.ours(*self.psk('server'), '--tls-creds', 't'):
            run('qemu-io', *self.psk('client'), '--image-opts', *WORK, *CHECK, self.tls_image())
            run('qemu-io', '-f', 'raw', '-c', 'read 0 512', self.uri(), status=1)

    def tls_client(self):
        need('qemu-nbd')
        with self.theirs(*self.psk('server'), '--tls-creds', 't'):
            run(self.io, *self.psk('client'), '--image-opts', *WORK, *CHECK, self.tls_image())
            text = run(self.img, 'info', self.uri(), status=1)
            if 'TLS' not in text:
                raise Failure(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--build', type=Path, required=True)
    build = parser.parse_args().build.resolve()
    names = [name for name in vars(Tests) if name.split('_')[0] in
             ('server', 'client', 'lists') or name in ('tls_server', 'tls_client')]
    failed = False
    print(f'1..{len(names)}')
    for number, name in enumerate(names, start=1):
        with tempfile.TemporaryDirectory() as folder:
            try:
                getattr(Tests(build, Path(folder)), name)()
                print(f'ok {number} - {name}', flush=True)
            except Skip as skip:
                print(f'ok {number} - {name} # SKIP {skip}', flush=True)
            except (Failure, OSError) as error:
                failed = True
                print(f'not ok {number} - {name}')
                for line in str(error).splitlines():
                    print(f'# {line}', flush=True)
    sys.exit(1 if failed else 0)


if __name__ == '__main__':
    main()
