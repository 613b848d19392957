#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Damaged qcow2 images: each is refused or read with one clear line, within little memory; and
what can be repaired is. Prints TAP."""

import random
import resource
import struct
import subprocess
import tempfile
from pathlib import Path

from imgtest import Tap, arguments

CLUSTER = 65536
MEMORY = 64 << 20

# Header fields: offset and struct format.
VERSION, BACKING, BACKING_SIZE, BITS, SIZE, CRYPT, L1_SIZE, L1, REFTABLE, REFTABLE_CLUSTERS, \
    SNAPSHOTS, SNAPSHOTS_AT = ((4, '>I'), (8, '>Q'), (16, '>I'), (20, '>I'), (24, '>Q'),
                               (32, '>I'), (36, '>I'), (40, '>Q'), (48, '>Q'), (56, '>I'),
                               (60, '>I'), (64, '>Q'))
INCOMPATIBLE, AUTOCLEAR, ORDER, LENGTH, COMPRESSION = ((72, '>Q'), (88, '>Q'), (96, '>I'),
                                                       (100, '>I'), (104, '>B'))

# name, changes of fields, what the error must have
HEADERS = [
    ('version 1', {VERSION: 1}, 'version'),
    ('version 4', {VERSION: 4}, 'unsupported version'),
    ('tiny clusters', {BITS: 8}, 'cluster size'),
    ('huge clusters', {BITS: 63}, 'cluster size'),
    ('clusters of 2^32', {BITS: 32}, 'cluster size'),
    ('negative size', {SIZE: 1 << 63}, 'size'),
    ('size beyond the L1 table', {SIZE: 1 << 50}, 'L1 table'),
    ('largest size', {SIZE: (1 << 63) - 512}, 'too large'),
    ('unknown encryption', {CRYPT: 9}, 'encryption'),
    ('LUKS without a header', {CRYPT: 2}, 'encryption'),
    ('L1 table too large', {L1_SIZE: 0xffffffff}, 'L1 table'),
    ('L1 table beyond the end', {L1: 1 << 40}, 'beyond the end'),
    ('L1 table unaligned', {L1: 0x30200}, 'bad offset'),
    ('L1 table at 2^63', {L1: 1 << 63}, 'bad offset'),
    ('L1 table nowhere', {L1: 0}, 'bad offset'),
    ('L1 table long, beyond the end', {L1_SIZE: 4 << 20}, 'beyond the end'),
    ('refcount table too large', {REFTABLE_CLUSTERS: 0x7fffffff}, 'refcount table'),
    ('refcount table missing', {REFTABLE_CLUSTERS: 0}, 'refcount table'),
    ('refcount table unaligned', {REFTABLE: 0x10008}, 'bad offset'),
    ('refcount table beyond the end', {REFTABLE: 1 << 45}, 'beyond the end'),
    ('too many snapshots', {SNAPSHOTS: 0xffffffff, SNAPSHOTS_AT: 0x40000}, 'snapshots'),
    ('snapshots beyond the end', {SNAPSHOTS: 60000, SNAPSHOTS_AT: 1 << 40}, 'end'),
    ('snapshots in the header', {SNAPSHOTS: 5, SNAPSHOTS_AT: 0x30000}, 'snapshot'),
    ('snapshots nowhere', {SNAPSHOTS: 5, SNAPSHOTS_AT: 0}, 'bad offset'),
    ('unknown feature', {INCOMPATIBLE: 1 << 40}, 'feature'),
    ('subclusters with unknown feature', {INCOMPATIBLE: 0x30}, 'feature'),
    ('compression without type', {INCOMPATIBLE: 8}, 'compression'),
    ('type without compression', {COMPRESSION: 1}, 'compression'),
    ('unknown compression', {INCOMPATIBLE: 8, COMPRESSION: 7}, 'compression'),
    ('wide counts', {ORDER: 7}, 'width'),
    ('wider counts', {ORDER: 0xffffffff}, 'width'),
    ('short header', {LENGTH: 72}, 'header length'),
    ('endless header', {LENGTH: 0xfffffff8}, 'header length'),
    ('backing name too long', {BACKING: 0x200, BACKING_SIZE: 1024}, 'backing file name'),
    ('backing name outside', {BACKING: 0x20000, BACKING_SIZE: 10}, 'backing file name'),
    ('backing name at 2^64', {BACKING: (1 << 64) - 4, BACKING_SIZE: 10}, 'backing file name'),
    ('bitmaps without extension', {AUTOCLEAR: 1}, 'bitmaps'),
    ('corrupt', {INCOMPATIBLE: 2}, 'corrupt'),
]

# name, extension type, data, autoclear, what the error must have
EXTENSIONS = [
    ('bitmaps: short', 0x23852875, bytes(16), 1, 'length'),
    ('bitmaps: none', 0x23852875, struct.pack('>IIQQ', 0, 0, 24, 0x40000), 1, 'bitmaps'),
    ('bitmaps: too many', 0x23852875, struct.pack('>IIQQ', 1 << 20, 0, 24, 0x40000), 1,
     'bitmaps'),
    ('bitmaps: huge directory', 0x23852875, struct.pack('>IIQQ', 1, 0, 1 << 62, 0x40000), 1,
     'directory size'),
    ('bitmaps: unaligned', 0x23852875, struct.pack('>IIQQ', 1, 0, 24, 0x40001), 1,
     'directory offset'),
    ('bitmaps: beyond the end', 0x23852875, struct.pack('>IIQQ', 1, 0, 24, 1 << 40), 1,
     'beyond the end'),
    ('bitmaps: zeroes', 0x23852875, struct.pack('>IIQQ', 3, 0, 24, 0x30000), 1, 'entry'),
    ('encryption without method', 0x0537be77, struct.pack('>QQ', 0x40000, 4096), 0, 'LUKS'),
]


def limit():
    resource.setrlimit(resource.RLIMIT_DATA, (4 * MEMORY, 4 * MEMORY))


class Tests:
    def __init__(self, tap, build, folder):
        self.tap = tap
        self.img, self.io = build / 'tools/vireo-img', build / 'tools/vireo-io'
        self.folder = folder
        self.path = folder / 'test.qcow2'

    def point(self, name, ok, more=''):
        self.tap.result(ok, name, '\n'.join(str(more).splitlines()[:12]))

    def run(self, args):
        """Output, exit status, peak memory in bytes."""
        with open(self.folder / 'out', 'w+', encoding='utf-8', errors='replace') as out:
            process = subprocess.Popen([str(a) for a in args], stdout=out, stderr=out,
                                       preexec_fn=limit)
            _, status, usage = __import__('os').wait4(process.pid, 0)
            process.returncode = status
            out.seek(0)
            return out.read(), status, usage.ru_maxrss * 1024

    def fresh(self, *options):
        self.path.unlink(missing_ok=True)
        self.run([self.img, 'create', '-q', '-f', 'qcow2', *options, self.path, '64M'])
        self.run([self.io, '-f', 'qcow2', '-c', 'write -P 5 0 300k', self.path])
        return bytearray(self.path.read_bytes())

    def refused(self, name, image, wanted):
        self.path.write_bytes(image)
        # Damage to what is loaded shows at opening for writing in any case.
        text, status, memory = self.run([self.io, '-f', 'qcow2', '-c', 'read 0 64k', self.path])
        lines = [line for line in text.splitlines() if line]
        ok = (status == 256 and len(lines) == 1 and wanted.lower() in lines[0].lower() and
              memory < MEMORY)
        self.point(name, ok, f'status {status}, {memory} bytes of memory\n{text}')

    def headers(self):
        good = self.fresh()
        for name, changes, wanted in HEADERS:
            image = bytearray(good)
            for (offset, form), value in changes.items():
                struct.pack_into(form, image, offset, value)
            self.refused(name, image, wanted)

    def extensions(self):
        good = self.fresh()
        for name, kind, data, autoclear, wanted in EXTENSIONS:
            image = bytearray(good)
            image[112:1024] = bytes(912)
            struct.pack_into('>II', image, 112, kind, len(data))
            image[120:120 + len(data)] = data
            struct.pack_into('>Q', image, 88, autoclear)
            self.refused(name, image, wanted)
        image = bytearray(good)
        struct.pack_into('>II', image, 112, 0x1234, 0xffffffff)
        self.refused('extension without end', image, 'length')
        image = bytearray(good)
        struct.pack_into('>Q', image, 72, 1 << 50)
        image[112:512] = bytes(400)
        struct.pack_into('>II', image, 112, 0x6803f857, 48)
        image[120:122] = bytes([0, 50])
        image[122:131] = b'moon mode'
        self.refused('unknown feature with a name', image, 'moon mode')

    def writes(self):
        """Entries that point at metadata: nothing there may be overwritten."""
        for name, entry in (('data on the header', 1 << 63), ('data on the L1 table',
                                                              1 << 63 | 0x30000),
                            ('data on a refcount block', 1 << 63 | 0x20000),
                            ('data on its own L2 table', 1 << 63 | 0x40000),
                            ('data unaligned', 1 << 63 | 0x50200)):
            image = self.fresh()
            l2 = struct.unpack_from('>Q', image, 0x30000)[0] & 0xfffffffffffe00
            struct.pack_into('>Q', image, l2, entry)
            self.path.write_bytes(image)
            text, _, _ = self.run([self.io, '-f', 'qcow2', '-c', 'write -P 9 0 64k', self.path])
            after = self.path.read_bytes()
            same = all(after[c * CLUSTER + 512:(c + 1) * CLUSTER] ==
                       image[c * CLUSTER + 512:(c + 1) * CLUSTER] for c in (0, 2, 3))
            marked = struct.unpack_from('>Q', after, 72)[0] & 2
            unallocated = entry == 1 << 63
            self.point(name, same and (marked or unallocated), text)

    def check(self, *more):
        text, status, memory = self.run([self.img, 'check', *more, '-f', 'qcow2', self.path])
        return text, status >> 8, memory

    def repairs(self):
        def leak(image):
            struct.pack_into('>H', image, 0x20000 + 2 * 5, 3)

        def free(image):
            struct.pack_into('>H', image, 0x20000 + 2 * 5, 0)

        def flag(image):
            l2 = struct.unpack_from('>Q', image, 0x30000)[0] & 0xfffffffffffe00
            image[l2] &= 0x7f

        def lost_block(image):
            struct.pack_into('>Q', image, 0x10000, 0)

        def wild_block(image):
            struct.pack_into('>Q', image, 0x10000, 1 << 50)

        def block_on_l1(image):
            struct.pack_into('>Q', image, 0x10000, 0x30000)

        def dirty(image):
            struct.pack_into('>Q', image, 72, 1)
            struct.pack_into('>H', image, 0x20000 + 2 * 5, 0)

        for name, damage, first in (('leak', leak, 3), ('count too low', free, 2),
                                    ('wrong flag', flag, 2), ('lost block', lost_block, 2),
                                    ('wild block', wild_block, 2),
                                    ('block on the L1 table', block_on_l1, 2),
                                    ('dirty', dirty, 2)):
            image = self.fresh()
            damage(image)
            self.path.write_bytes(image)
            before, status, _ = self.check()
            text, _, _ = self.check('-r', 'all')
            after, clean, _ = self.check()
            data, ok, _ = self.run([self.io, '-r', '-f', 'qcow2', '-c', 'read -P 5 0 300k',
                                    self.path])
            self.point(f'repaired: {name}', status == first and clean == 0 and ok == 0 and
                       'failed' not in data, f'{status}\n{before}{text}{after}{data}')

    def rubbish(self, seed, count):
        """Random damage: no crash, little memory, an end."""
        rng = random.Random(seed)
        good = [self.fresh(), self.fresh('-o', 'cluster_size=512'),
                self.fresh('-o', 'extended_l2=on'), self.fresh('-o', 'compat=0.10')]
        problems = []
        for _ in range(count):
            image = bytearray(rng.choice(good))
            for _ in range(rng.randint(1, 12)):
                at = rng.choice([rng.randrange(128), rng.randrange(len(image)),
                                 rng.randrange(0x10000, min(len(image), 0x40100))
                                 if len(image) > 0x20000 else rng.randrange(len(image))])
                image[at] = rng.choice([0, 1, 0x7f, 0x80, 0xff, rng.randrange(256)])
            for args in ([self.img, 'check', '-f', 'qcow2'],
                         [self.img, 'info', '-f', 'qcow2'],
                         [self.io, '-f', 'qcow2', '-c', 'read 0 1M', '-c', 'write 100k 200k',
                          '-c', 'discard 0 128k', '-c', 'flush'],
                         [self.img, 'check', '-r', 'all', '-f', 'qcow2']):
                self.path.write_bytes(image)
                text, status, memory = self.run([*args, self.path])
                if status & 0x7f or memory > MEMORY:
                    (self.folder.parent / 'qcow2-problem.qcow2').write_bytes(image)
                    problems.append(f'{args[0].name} {args[1]}: status {status}, {memory} bytes\n'
                                    f'{text[-600:]}')
        self.point('random damage', not problems, '\n'.join(problems[:3]))


def main():
    options = arguments(__doc__, seed=1, count=60).parse_args()
    with tempfile.TemporaryDirectory(prefix='qcow2-malformed.') as folder:
        tap = Tap()
        tests = Tests(tap, options.build, Path(folder))
        tests.headers()
        tests.extensions()
        tests.writes()
        tests.repairs()
        tests.rubbish(options.seed, options.count)
    tap.finish()


if __name__ == '__main__':
    main()
