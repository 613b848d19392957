# SPDX-License-Identifier: Apache-2.0
"""Small good images of every format: what fuzzing begins with, and what malformed images are made
of by damage. Formats that vireo-img does not create come from qemu-img or are put together here."""

import base64
import struct
import zlib

from imgtest import OURS, PEER, execute

HALF = 4096


def _zlib_pair():
    return zlib.compress(b'A' * HALF), zlib.compress(bytes(HALF))


def bochs():
    """A growing redolog of 8 KiB: 4 KiB of 'A', and nothing."""
    image = bytearray(520 + 512 + HALF)
    image[0:22] = b'Bochs Virtual HD Image'
    image[32:39], image[48:55] = b'Redolog', b'Growing'
    struct.pack_into('<IIIII', image, 64, 0x20000, 512, 2, 1, HALF)
    struct.pack_into('<Q', image, 88, 2 * HALF)
    struct.pack_into('<II', image, 512, 0, 0xffffffff)
    image[520] = 0xff
    image[520 + 512:] = b'A' * HALF
    return bytes(image)


def cloop():
    first, second = _zlib_pair()
    head = bytearray(160)
    head[:23] = b'#!/bin/sh\n#V2.0 Format\n'
    struct.pack_into('>II', head, 128, HALF, 2)
    struct.pack_into('>QQQ', head, 136, 160, 160 + len(first), 160 + len(first) + len(second))
    return bytes(head) + first + second


def _dmg_chunk(kind, sector, count, at, length):
    return struct.pack('>IIQQQQ', kind, 0, sector, count, at, length)


def dmg():
    first, _ = _zlib_pair()
    mish = bytearray(204)
    mish[:4] = b'mish'
    struct.pack_into('>Q', mish, 16, 2 * HALF // 512)
    struct.pack_into('>I', mish, 200, 3)
    mish += _dmg_chunk(0x80000005, 0, HALF // 512, 0, len(first))
    mish += _dmg_chunk(2, HALF // 512, HALF // 512, 0, 0)
    mish += _dmg_chunk(0xffffffff, 2 * HALF // 512, 0, 0, 0)
    xml = (b'<plist><dict><key>blkx</key><array><dict><key>Data</key><data>\n' +
           base64.b64encode(mish) + b'\n</data></dict></array></dict></plist>')
    koly = bytearray(512)
    koly[:4] = b'koly'
    struct.pack_into('>QQ', koly, 0xd8, len(first), len(xml))
    struct.pack_into('>Q', koly, 0x1ec, 2 * HALF // 512)
    return first + xml + bytes(koly)


HANDMADE = {'bochs': bochs, 'cloop': cloop, 'dmg': dmg}
# Of those that only QEMU makes: create options.
PEER_MADE = {'qcow': '', 'qed': 'cluster_size=4096', 'parallels': ''}
SECRET = ['--object', 'secret,id=secret,data=geheim']


def make(fmt, folder, options='', size='1M', name=None, commands=('write -P 65 0 4k',)):
    """An image with some data in it; its path. Several files may have been made."""
    path = folder / (name or f'sample.{fmt}')
    path.unlink(missing_ok=True)
    if fmt in HANDMADE:
        path.write_bytes(HANDMADE[fmt]())
        return path
    tool = PEER if fmt in PEER_MADE else OURS
    secret, target = [], ['-f', fmt, path.name]
    if 'secret' in options:
        key = 'key-secret' if fmt == 'luks' else 'encrypt.key-secret'
        secret = SECRET
        target = ['--image-opts', f'driver={fmt},file.filename={path.name},{key}=secret' +
                  ('' if fmt == 'luks' else ',encrypt.format=luks')]
    create = [tool['img'], 'create', '-q', '-f', fmt, *secret]
    options = options or PEER_MADE.get(fmt, '')
    if options:
        create += ['-o', options]
    execute([*create, path.name, size], folder, check=True)
    words = [word for command in commands for word in ('-c', command)]
    result = execute([tool['io'], *secret, *words, *target], folder, check=True)
    assert 'failed' not in result.stdout + result.stderr, result.stdout + result.stderr
    return path
