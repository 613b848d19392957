#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""NBD with the other implementations as peers, both ways, over UNIX sockets; prints TAP.

Needs qemu-nbd and qemu-io, nbdkit, libnbd's tools and psktool; what is missing is skipped."""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from imgtest import Skip, Tap, arguments

SIZE = 8 << 20
WORK = ['-c', 'write -P 0x55 1M 1M', '-c', 'write -P 7 511 1026', '-c', 'write -z 3M 64k',
        '-c', 'write -z -u 4M 1M', '-c', 'discard 6M 64k', '-c', 'write -f -P 9 7M 4k',
        '-c', 'aio_write -P 1 64k 40k', '-c', 'aio_write -P 2 128k 300k', '-c', 'aio_flush',
        '-c', 'flush']
CHECK = ['-c', 'read -P 0x55 1M 1M', '-c', 'read -P 7 511 1026', '-c', 'read -P 0 3M 64k',
         '-c', 'read -P 0 4M 1M', '-c', 'read -P 9 7M 4k', '-c', 'read -P 1 64k 40k',
         '-c', 'read -P 2 128k 300k']


class Failure(AssertionError):
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

    def server_bitmaps_and_depth(self):
        """Both servers say the same of a chain with dirty bitmaps, to both clients."""
        need('qemu-img', 'qemu-nbd', 'nbdinfo')
        base, top = self.dir / 'base.qcow2', self.dir / 'top.qcow2'
        run('qemu-img', 'create', '-q', '-f', 'qcow2', base, SIZE)
        run('qemu-img', 'bitmap', '--add', '-g', '64k', base, 'below')
        run('qemu-io', '-c', 'write 1M 256k', base)
        run('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', base, '-F', 'qcow2', top)
        run('qemu-img', 'bitmap', '--add', '-g', '64k', top, 'mine')
        run('qemu-io', '-c', 'write 0 64k', '-c', 'write 192k 128k', '-c', 'write 7M 1M', top)
        told = {}
        for server in (self.nbd, 'qemu-nbd'):
            for bitmap in ('mine', 'below'):
                with Server(self.socket, server, '-k', self.socket, '-f', 'qcow2', '-r', '-t', '-e',
                            8, '-A', '-B', bitmap, top):
                    context = f'qemu:dirty-bitmap:{bitmap}'
                    told.setdefault(server, []).append(
                        [run('nbdinfo', f'--map={name}', self.uri())
                         for name in (context, 'qemu:allocation-depth')] +
                        [run(self.img, 'map', '--output=json', '--image-opts',
                             f'driver=nbd,server.type=unix,server.path={self.socket},'
                             f'x-dirty-bitmap={name}')
                         for name in (context, 'qemu:allocation-depth')])
        if told[self.nbd] != told['qemu-nbd']:
            raise Failure(str(told))
        if 'dirty' not in told[self.nbd][0][0] or 'backing depth 2' not in told[self.nbd][0][1]:
            raise Failure(str(told[self.nbd]))
        text = run(self.nbd, '-k', self.socket, '-f', 'qcow2', '-B', 'none', top, status=1)
        if "'none' is not found" not in text:
            raise Failure(text)

    def server_in_the_background(self):
        """--fork returns when it serves; it ends with the last client, unless it is persistent."""
        need('nbdinfo')
        self.fresh_image()
        pid_file = self.dir / 'pid'
        for options in ([], ['--persistent']):
            run(self.nbd, '--fork', '--pid-file', pid_file, '-k', self.socket, '-f', 'raw',
                *options, self.image)
            pid = int(pid_file.read_text())
            run('nbdinfo', '--size', self.uri())
            if options:
                run('nbdinfo', '--size', self.uri())
                os.kill(pid, signal.SIGTERM)
            while pid_file.exists():
                time.sleep(0.02)
            if self.socket.exists():
                raise Failure('the socket is still there')
        text = run(self.nbd, '--fork', '-k', self.socket, '-f', 'qcow2', self.image, status=1)
        if 'qcow2' not in text:
            raise Failure(text)

    def server_caps_connections(self):
        """With room for one client a second one waits for its greeting until the first left."""
        self.fresh_image()
        with Server(self.socket, self.nbd, '-k', self.socket, '-f', 'raw', '-t', '-e', 1,
                    self.image):
            first, second = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
            first.connect(str(self.socket))
            if first.recv(8) != b'NBDMAGIC':
                raise Failure('no greeting')
            second.connect(str(self.socket))
            second.setblocking(False)
            time.sleep(0.2)
            try:
                raise Failure(f'the second gets {second.recv(8)}')
            except BlockingIOError:
                pass
            first.close()
            second.setblocking(True)
            if second.recv(8) != b'NBDMAGIC':
                raise Failure('no greeting for the second')
            second.close()

    def server_to_many(self):
        need('nbdcopy')
        copy = self.dir / 'copy.raw'
        with self.ours():
            run('nbdcopy', '--connections=4', '--threads=4', '--request-size=65536', self.uri(),
                copy)
            run('nbdcopy', '--connections=4', '--threads=4', '--flush', copy, self.uri())
        if copy.read_bytes() != self.image.read_bytes():
            raise Failure('the copy differs')

    def server_to_the_kernel(self):
        device = Path('/dev/nbd0')
        self.fresh_image()
        if not device.exists():
            for options in (['-c', device, self.image], ['-d', device]):
                if '/dev/nbd0' not in run(self.nbd, '-f', 'raw', *options, status=1):
                    raise Failure('the error does not name the device')
            raise Skip('no /dev/nbd0: only the refusal was tried')
        run(self.nbd, '-c', device, '-f', 'raw', '-r', self.image)
        try:
            with open(device, 'rb') as file:
                if file.read(SIZE) != self.image.read_bytes():
                    raise Failure('the device differs')
        finally:
            run(self.nbd, '-d', device)

    def server_with_a_label(self):
        if Path('/sys/fs/selinux/enforce').exists():
            raise Skip('SELinux is here, and which labels it takes is not ours to know')
        self.fresh_image()
        text = run(self.nbd, '--selinux-label=a:b:c:d', '-k', self.socket, '-f', 'raw', self.image,
                   status=1)
        if 'SELinux' not in text:
            raise Failure(text)

    # ---- Our client ----

    def client_waits_for_the_server(self):
        """open-timeout: the server comes when the client is already there."""
        self.fresh_image()
        client = subprocess.Popen(
            [self.io, '--image-opts', '-c', 'write -P 3 0 1M',
             f'driver=nbd,server.type=unix,server.path={self.socket},open-timeout=300'],
            stdout=subprocess.PIPE, text=True)
        time.sleep(0.5)
        with Server(self.socket, self.nbd, '-k', self.socket, '-f', 'raw', '-t', self.image):
            text = client.stdout.read()
            if client.wait() or '1048576/1048576' not in text:
                raise Failure(f'exit {client.returncode}\n{text}')
        text = run(self.img, 'info', '--image-opts',
                   f'driver=nbd,server.type=unix,server.path={self.socket},open-timeout=1',
                   status=1)
        if str(self.socket) not in text:
            raise Failure(text)

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

    def client_with_old_options(self):
        """host and port, or path, as before there was a schema."""
        with self.theirs():
            run(self.img, 'compare', '-U', '--image-opts', f'driver=nbd,path={self.socket}',
                f'driver=raw,file.filename={self.image}')
        refused = (('host=127.0.0.1,port=1', "cannot connect to '127.0.0.1:1'"),
                   ('port=1', 'needs'), ('host=h,path=/x', 'UNIX socket'),
                   ('host=h,server.type=unix,server.path=/x', 'both'))
        for options, error in refused:
            for program in (self.img, 'qemu-img'):
                text = run(program, 'info', '--image-opts', f'driver=nbd,{options}', status=1)
                if program == self.img and error not in text:
                    raise Failure(f'{options}: {text}')

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
    build = arguments(__doc__).parse_args().build.resolve()
    names = [name for name in vars(Tests) if name.split('_')[0] in
             ('server', 'client', 'lists') or name in ('tls_server', 'tls_client')]
    tap = Tap()
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            tap.run(name, getattr(Tests(build, Path(folder)), name))
    tap.finish()


if __name__ == '__main__':
    main()
