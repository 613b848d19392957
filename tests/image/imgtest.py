# SPDX-License-Identifier: Apache-2.0
"""What the tests of the image tools share: running both sides, TAP, images to work on."""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

OURS = {'img': os.environ.get('VIREO_IMG', 'vireo-img'),
        'io': os.environ.get('VIREO_IO', 'vireo-io')}
PEER = {'img': 'qemu-img', 'io': 'qemu-io'}


class Skip(Exception):
    """A test cannot run here: why."""


class Tap:
    """Numbered results; the exit status says whether all were good."""

    def __init__(self):
        self.count = 0
        self.failed = 0

    def result(self, ok, name, detail=''):
        self.count += 1
        self.failed += not ok
        print(f'{"ok" if ok else "not ok"} {self.count} - {name}', flush=True)
        for line in '' if ok else str(detail).splitlines():
            print(f'# {line}')

    def skip(self, name, why):
        self.count += 1
        print(f'ok {self.count} - {name} # SKIP {why}', flush=True)

    def run(self, name, test, *arguments):
        """test raises AssertionError or CalledProcessError if it fails."""
        try:
            test(*arguments)
        except subprocess.CalledProcessError as error:
            self.result(False, name, f'{error}\n{error.stdout}{error.stderr}')
        except Skip as skip:
            self.skip(name, skip)
        except (AssertionError, OSError) as error:
            self.result(False, name, error)
        else:
            self.result(True, name)

    def finish(self):
        print(f'1..{self.count}')
        sys.exit(self.failed > 0)


def arguments(doc, **numbers):
    """A parser that knows --build, and an option for each of these numbers with its default."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument('--build', type=Path, default=Path('build'))
    for name, default in numbers.items():
        parser.add_argument(f'--{name}', type=int, default=default)
    return parser


def both_sides(build):
    """The programs for requests and for images, of either side."""
    return {'qemu': (PEER['io'], PEER['img']),
            'vireo': (build / 'tools/vireo-io', build / 'tools/vireo-img')}


def need_peer():
    if not shutil.which(PEER['img']):
        print('1..0 # SKIP there is no qemu-img to compare with')
        sys.exit(0)


def has_module(name):
    """Modules stand where the build put them, in its folder `block`."""
    return (Path(OURS['img']).resolve().parents[1] / 'block' / f'{name}.so').exists()


def need_module(name):
    if not has_module(name):
        print(f'1..0 # SKIP this build has no module {name}')
        sys.exit(0)


def execute(command, cwd=None, check=False):
    return subprocess.run([str(word) for word in command], cwd=cwd, check=check, text=True,
                          capture_output=True, errors='replace', stdin=subprocess.DEVNULL)


def work_directory(in_memory=False):
    """in_memory: where there is room, for what waits for the disk only as others use it too."""
    shared = '/dev/shm'
    roomy = in_memory and os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > 1 << 30
    return tempfile.TemporaryDirectory(prefix='vireo-image-', dir=shared if roomy else None)


def formats_of(program):
    """What this build can do: tests of formats that it lacks are skipped."""
    text = execute([program, '--help']).stdout
    line = next(line for line in text.splitlines() if line.startswith('Supported formats:'))
    return line.split(':')[1].split()


def patchwork(seed, size, unit=4096):
    """Bytes like those of a disk: runs of zeroes, of one letter and of noise, of uneven lengths."""
    source = random.Random(seed)
    content = bytearray(size)
    at = 0
    while at < size:
        length = min(size - at, source.choice([unit, unit * 3, 65536, 300 * 1024, 1000]))
        kind = source.randrange(3)
        if kind == 1:
            content[at:at + length] = bytes([source.randrange(1, 256)]) * length
        elif kind == 2:
            content[at:at + length] = source.randbytes(length)
        at += length
    return bytes(content)


def write_sparse(path, content, unit=4096):
    """Zeroes become holes."""
    with open(path, 'wb') as file:
        file.truncate(len(content))
        for at in range(0, len(content), unit):
            part = content[at:at + unit]
            if part.count(0) != len(part):
                file.seek(at)
                file.write(part)


def read_back(tool, fmt, path, size, cwd=None):
    """An image's bytes, as the tool shows them."""
    flat = Path(cwd or '.') / 'read-back.raw'
    execute([tool['img'], 'convert', '-f', fmt, '-O', 'raw', path, flat.name], cwd, check=True)
    content = flat.read_bytes()
    flat.unlink()
    return content[:size]
