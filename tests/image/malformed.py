#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Damaged images of every format but qcow2 (qcow2_malformed.py): `info` and `check` refuse each, or
find its damage, with one clear line, in little memory and without hanging. Prints TAP."""

import argparse
import os
import resource
import struct
import subprocess
import sys
from array import array
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from imgtest import OURS, Tap, need_peer, work_directory  # noqa: E402
import malformed_tables as tables  # noqa: E402
import samples  # noqa: E402

MEMORY = 64 << 20


def crc32c_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82f63b78 if value & 1 else 0)
        table.append(value)
    return table


CRC = crc32c_table()


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc = CRC[(crc ^ byte) & 0xff] ^ crc >> 8
    return crc ^ 0xffffffff


def mend_sum(image, at, length, field):
    if at + length <= len(image):
        struct.pack_into('>I', image, at + field, 0)
        struct.pack_into('>I', image, at + field, ~sum(image[at:at + length]) & 0xffffffff)


def mend_vpc(image):
    mend_sum(image, 0, 512, 64)
    mend_sum(image, 512, 1024, 36)
    mend_sum(image, len(image) - 512, 512, 64)


def mend_vhdx(image):
    for at, length in ((0x10000, 4096), (0x20000, 4096), (0x30000, 0x10000), (0x40000, 0x10000)):
        struct.pack_into('<I', image, at + 4, 0)
        struct.pack_into('<I', image, at + 4, crc32c(image[at:at + length]))


MEND = {'vpc': mend_vpc, 'vhdx': mend_vhdx}


def limit():
    resource.setrlimit(resource.RLIMIT_DATA, (4 * MEMORY, 4 * MEMORY))


class Image:
    def __init__(self, fmt, folder, tap):
        self.fmt, self.folder, self.tap = fmt, folder, tap
        self.options = tables.OPTIONS.get(fmt, '')
        self.path = samples.make(fmt, folder, self.options, tables.SIZES.get(fmt, '1M'))
        self.good = self.path.read_bytes()

    def run(self, *args):
        """Output, exit status, peak memory in bytes."""
        with open(self.folder / 'out', 'w+', encoding='utf-8', errors='replace') as out:
            process = subprocess.Popen(args, stdout=out, stderr=out, cwd=self.folder,
                                       preexec_fn=limit)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = status
            out.seek(0)
            return out.read(), status, usage.ru_maxrss * 1024

    def target(self):
        if self.fmt == 'luks':
            return [*samples.SECRET, '--image-opts',
                    f'driver=luks,file.filename={self.path.name},key-secret=secret']
        return ['-f', self.fmt, self.path.name]

    def looks(self):
        """What each way of looking at the image said."""
        return [self.run(OURS['img'], 'info', *self.target()),
                self.run(OURS['img'], 'check', *self.target()),
                self.run(OURS['io'], '-r', '-c', 'read 0 8k', *self.target())]

    def damaged(self, name, image, wanted, where):
        """where: 'open' if all ways must refuse it; 'check', 'read' if that one finds it."""
        self.path.write_bytes(image)
        found = self.looks()
        problems = [f'status {status}, {memory} bytes of memory\n{text}'
                    for text, status, memory in found if status & 0x7f or memory > MEMORY]
        ways = {'open': (0, 1, 2), 'check': (1,), 'read': (2,), 'sound': ()}[where]
        for way in ways:
            text, status, _ = found[way]
            lines = [line for line in text.splitlines() if line]
            right = any(wanted.lower() in line.lower() for line in lines)
            # A check that could begin lists what it found, and ends with 2.
            brief = len(lines) == 1 or (way == 1 and os.waitstatus_to_exitcode(status) == 2)
            if status == 0 or not right or (where == 'open' and not brief):
                problems.append(f'{("info", "check", "read")[way]}: status {status}\n{text}')
        self.tap.result(not problems, f'{self.fmt}: {name}', '\n'.join(problems))

    def change(self, name, changes, wanted, where='open'):
        image = bytearray(self.good)
        for offset, form, value in changes:
            at = offset(image) if callable(offset) else offset
            if at + struct.calcsize(form) > len(image):
                image.extend(bytes(at + struct.calcsize(form) - len(image)))
            struct.pack_into(form, image, at, value)
        if self.fmt in MEND and 'checksum' not in name:
            MEND[self.fmt](image)
        self.damaged(name, image, wanted, where)

    def cut(self, length, wanted, where='open'):
        """A file that ends at this border."""
        length = len(self.good) + length if length < 0 else length
        self.damaged(f'cut at {length}', self.good[:length], wanted, where)


def one_format(fmt, folder, tap):
    image = Image(fmt, folder, tap)
    text = ''.join(look[0] for look in image.looks())
    tap.result('rror' not in text.replace('No errors', ''), f'{fmt}: undamaged', text)
    for row in tables.CHANGES[fmt]:
        image.change(*row)
    for row in tables.CUTS[fmt]:
        image.cut(*row)


def loops(folder, tap):
    """Chains that come back to themselves."""
    for fmt in ('qcow2', 'qcow', 'qed', 'vmdk'):
        for names in (['a'], ['a', 'b']):
            image = Image(fmt, folder, tap)
            for name, backing in zip(names, names[1:] + names[:1]):
                (folder / backing).touch()
                form = image.options + ',' * bool(image.options)
                tool = OURS if fmt in ('qcow2', 'vmdk') else samples.PEER
                subprocess.run([tool['img'], 'create', '-q', '-u', '-f', fmt, '-o',
                                f'{form}backing_file={backing}' +
                                (f',backing_fmt={fmt}' if fmt != 'vmdk' else ''), name, '1M'],
                               cwd=folder, check=False, capture_output=True)
            problems = []
            for args in (['info', '--backing-chain'], ['map'], ['check'], ['info']):
                text, status, memory = image.run(OURS['img'], *args, '-f', fmt, names[0])
                lines = [line for line in text.splitlines() if line]
                chained = args[0] == 'map' or len(args) > 1
                if status & 0x7f or memory > MEMORY or (chained and (status == 0 or
                                                                     len(lines) != 1)):
                    problems.append(f'{args}: status {status}, {memory} bytes\n{text}')
            tap.result(not problems, f'{fmt}: a loop of {len(names)}', '\n'.join(problems))


def write_long_vdi(path, blocks):
    """A map of so many entries, all in use; the data stays a hole."""
    header = bytearray(path.read_bytes()[:512])
    struct.pack_into('<II', header, 340, 512, 512 + 4 * blocks)
    struct.pack_into('<Q', header, 368, blocks << 20)
    struct.pack_into('<II', header, 384, blocks, blocks)
    with open(path, 'wb') as file:
        file.write(header)
        file.write(array('I', range(blocks)).tobytes())


def write_long_vpc(path, entries):
    """Blocks of 512 KiB, each with a sector of bitmap in front."""
    headers = bytearray(path.read_bytes()[:1536])
    struct.pack_into('>Q', headers, 48, entries << 19)
    struct.pack_into('>II', headers, 512 + 28, entries, 512 << 10)
    mend_sum(headers, 0, 512, 64)
    mend_sum(headers, 512, 1024, 36)
    first = (1536 + 4 * entries + 511) // 512
    table = array('I', range(first, first + 1025 * entries, 1025))
    table.byteswap()
    with open(path, 'wb') as file:
        file.write(headers)
        file.write(table.tobytes())
        file.seek((first + 1025 * entries) * 512)
        file.write(headers[:512])


def long_maps(folder, tap):
    """As many entries as there may be, which the file has, in bounded memory; and more."""
    for fmt, write, entries in (('vdi', write_long_vdi, 16 << 20),
                                ('vpc', write_long_vpc, 4096000)):
        image = Image(fmt, folder, tap)
        write(image.path, entries)
        problems = [f'status {status}, {memory} bytes of memory\n{text}'
                    for text, status, memory in image.looks() if status or memory > MEMORY]
        tap.result(not problems, f'{fmt}: a map of {entries} entries', '\n'.join(problems))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('formats', nargs='*', help='default: all')
    options = parser.parse_args()
    need_peer()
    tap = Tap()
    for fmt in options.formats or tables.CHANGES:
        with work_directory() as work:
            one_format(fmt, Path(work), tap)
    if not options.formats:
        with work_directory() as work:
            loops(Path(work), tap)
            long_maps(Path(work), tap)
    tap.finish()


if __name__ == '__main__':
    main()
