#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A Linux guest of QEMU's, whose disk is a vhost-user-blk export of vireo-storage-daemon: it reads,
writes and discards while the daemon is killed and comes back. Prints TAP.

Needs qemu-system-x86_64 and what scripts/fetch-guest fetches (which it calls)."""

import argparse
import hashlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent.parent.parent / 'scripts'
SIZE = 64 << 20
# What the guest does: what it reads is compared with checksums on its command line's behalf here.
RUN = r'''
sum() { dd if=/dev/vda bs=1M skip=$1 count=$2 2>/dev/null | sha256sum | cut -d' ' -f1; }
echo "SIZE $(cat /sys/block/vda/size) QUEUES $(ls /sys/block/vda/mq | wc -l)"
echo "READ $(sum 0 16)"
echo "BEGIN"
for i in $(seq 1 20); do
    dd if=/dev/vda of=/dev/vda bs=64k skip=$((i * 3)) seek=$((256 + i)) count=1 conv=fsync \
        2>/dev/null || echo BAD
    echo "STEP $i"
done
blkdiscard -o $((32 << 20)) -l $((1 << 20)) /dev/vda && echo "DISCARDED"
dd if=/dev/urandom of=/tmp/noise bs=1M count=4 2>/dev/null
dd if=/tmp/noise of=/dev/vda bs=1M seek=48 conv=fsync 2>/dev/null
echo 3 > /proc/sys/vm/drop_caches
echo "NOISE $(sha256sum /tmp/noise | cut -d' ' -f1) $(sum 48 4)"
echo "END"
'''
WORDS = re.compile(r'(SIZE|READ|STEP|BAD|DISCARDED|NOISE|END)\b(.*)')


class Failure(Exception):
    pass


class Daemon:
    def __init__(self, program, folder):
        self.command = [program, '--blockdev',
                        f'driver=file,filename={folder}/disk,node-name=f,discard=unmap',
                        '--export', 'vhost-user-blk,id=e,node-name=f,writable=on,num-queues=2,'
                        f'addr.type=unix,addr.path={folder}/vhost']
        self.socket = folder / 'vhost'
        self.process = None

    def start(self):
        self.process = subprocess.Popen(self.command)
        while not self.socket.exists():
            if self.process.poll() is not None:
                raise Failure(f'the daemon ends with {self.process.returncode}')
            time.sleep(0.02)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.socket.unlink(missing_ok=True)

    def end(self):
        self.process.terminate()
        return self.process.wait()


def make_initrd(folder, guest):
    version = next((guest / 'lib/modules').iterdir())
    modules = [name for name in ('virtio_pci', 'virtio_blk')
               if any(version.rglob(f'{name}.ko*'))]
    subprocess.run([SCRIPTS / 'make-initrd', '-o', folder / 'initrd', '--guest', guest, '--run',
                    RUN, *[word for name in modules for word in ('--module', name)]], check=True)


def start_guest(folder, guest):
    return subprocess.Popen(
        ['qemu-system-x86_64', '-accel', 'tcg', '-m', '256', '-smp', '2', '-nographic',
         '-no-reboot', '-nodefaults', '-serial', 'stdio',
         '-object', 'memory-backend-memfd,id=m,size=256M,share=on',
         '-machine', 'q35,memory-backend=m',
         '-chardev', f'socket,id=c,path={folder}/vhost,reconnect=1',
         '-device', 'vhost-user-blk-pci,chardev=c,num-queues=2',
         '-kernel', guest / 'vmlinuz', '-initrd', folder / 'initrd',
         '-append', 'console=ttyS0 quiet panic=-1'],
        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, errors='replace')


def check_words(words, folder, data):
    """What the guest said, and what the disk has now."""
    def digest(content):
        return hashlib.sha256(content).hexdigest()
    disk = (folder / 'disk').read_bytes()
    expected = bytearray(data)
    for i in range(1, 21):
        expected[(256 + i) << 16:(257 + i) << 16] = data[i * 3 << 16:(i * 3 + 1) << 16]
    expected[32 << 20:33 << 20] = bytes(1 << 20)
    expected[48 << 20:52 << 20] = disk[48 << 20:52 << 20]
    if words.get('SIZE') != [str(SIZE // 512), 'QUEUES', '2']:
        raise Failure(f'size and queues: {words.get("SIZE")}')
    if words.get('READ') != [digest(data[:16 << 20])]:
        raise Failure('the guest reads something else')
    if words.get('NOISE') != [digest(disk[48 << 20:52 << 20])] * 2:
        raise Failure('what the guest wrote is not what it reads')
    if 'DISCARDED' not in words or 'BAD' in words or 'END' not in words:
        raise Failure(f'the guest said: {sorted(words)}')
    if disk != bytes(expected):
        raise Failure('the disk differs')


def run(daemon, folder, guest, kill_at):
    data = random.Random(7).randbytes(SIZE)
    (folder / 'disk').write_bytes(data)
    make_initrd(folder, guest)
    daemon.start()
    machine = start_guest(folder, guest)
    words = {}
    try:
        for line in machine.stdout:
            # The firmware leaves control characters before the first word.
            match = WORDS.search(line)
            if not match:
                continue
            first, rest = match.group(1), match.group(2).split()
            words[first] = rest
            if first == 'STEP' and int(rest[0]) in kill_at:
                daemon.kill()
                time.sleep(0.3)
                daemon.start()
            if first == 'END':
                break
        machine.wait()
    finally:
        machine.kill()
        machine.wait()
    if daemon.end():
        raise Failure('the daemon fails in the end')
    check_words(words, folder, data)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--build', type=Path, required=True)
    build = parser.parse_args().build.resolve()
    guest = build / 'guest'
    if not shutil.which('qemu-system-x86_64'):
        print('1..0 # SKIP no qemu-system-x86_64')
        return
    if not (guest / 'complete').exists() and \
            subprocess.run([SCRIPTS / 'fetch-guest', guest], check=False).returncode:
        print('1..0 # SKIP there is no guest to boot')
        return
    failed = False
    print('1..2')
    for number, (name, kill_at) in enumerate([('a guest', ()), ('a guest, and a daemon that dies',
                                                                (3, 8, 15))], start=1):
        with tempfile.TemporaryDirectory() as folder:
            daemon = Daemon(build / 'tools/vireo-storage-daemon', Path(folder))
            try:
                run(daemon, Path(folder), guest, kill_at)
                print(f'ok {number} - {name}', flush=True)
            except (Failure, OSError, subprocess.CalledProcessError) as error:
                failed = True
                print(f'not ok {number} - {name}\n# {error}', flush=True)
                if daemon.process and daemon.process.poll() is None:
                    daemon.kill()
    sys.exit(failed)


if __name__ == '__main__':
    main()
