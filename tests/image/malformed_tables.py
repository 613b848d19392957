# SPDX-License-Identifier: Apache-2.0
"""What is damaged (malformed.py): rows of a name, changes (offset, struct format, value), what the
error must have, and who finds it: all ways of opening, or only `check` or a read."""

OPTIONS = {
    'luks': 'key-secret=secret,iter-time=10', 'vhdx': 'log_size=1M,block_size=1M',
    'vpc': 'force_size=on', 'qed': 'cluster_size=4096,table_size=2', 'parallels': 'cluster_size=4k',
}
SIZES = {'vdi': '4M', 'vhdx': '4M', 'vpc': '8M', 'bochs': '', 'cloop': '', 'dmg': ''}

U64 = (1 << 64) - 1
U32 = (1 << 32) - 1
TOP = 1 << 63


def le(at, value, width='I'):
    return at, '<' + width, value


def be(at, value, width='I'):
    return at, '>' + width, value


VMDK = [
    ('no magic', [le(0, 0)], 'vmdk'),
    ('version 0', [le(4, 0)], 'version'),
    ('version 9', [le(4, 9)], 'version'),
    ('spoilt newlines', [le(73, 0)], 'transfer'),
    ('capacity 0', [le(12, 0, 'Q')], 'capacity'),
    ('capacity 2^63', [le(12, TOP, 'Q')], 'capacity'),
    ('capacity huge', [le(12, 1 << 50, 'Q')], 'grain directory'),
    ('capacity of 64 TiB', [le(12, 1 << 37, 'Q')], 'grain directory'),
    ('grain 0', [le(20, 0, 'Q')], 'grain'),
    ('grain of 3', [le(20, 3, 'Q')], 'grain'),
    ('grain 2^63', [le(20, TOP, 'Q')], 'grain'),
    ('tables of 0', [le(44, 0)], 'grain tables'),
    ('tables of 2^32', [le(44, U32)], 'grain tables'),
    ('directory beyond the end', [le(56, 1 << 40, 'Q')], 'grain directory'),
    ('directory at 2^63', [le(56, TOP, 'Q')], 'grain directory'),
    ('redundant directory beyond the end', [le(48, 1 << 40, 'Q')], 'redundant grain directory'),
    ('metadata beyond the end', [le(64, 1 << 50, 'Q')], 'metadata'),
    ('unknown compression', [le(8, 1 << 16 | 3), le(77, 5, 'H')], 'compression'),
    ('stream without end', [le(8, 3 << 16 | 1), le(77, 1, 'H'), le(56, U64, 'Q')], 'footer'),
    ('descriptor beyond the end', [le(28, 1 << 40, 'Q')], 'descriptor'),
    ('descriptor huge', [le(36, 1 << 40, 'Q')], 'descriptor'),
    ('descriptor empty', [(512, '20s', b'')], 'descriptor'),
    ('table beyond the end', [(lambda i: 26 * 512, '<I', 0x7fffffff)], 'grain directory'),
    ('directory over the header', [le(56, 0, 'Q')], 'grain directory'),
    ('grain in use twice', [le(27 * 512 + 4, 128)], 'in use twice', 'check'),
]

VDI = [
    ('no signature', [le(64, 0)], 'signature'),
    ('version 2', [le(68, 0x20000)], 'version'),
    ('type 9', [le(76, 9)], 'image type'),
    ('differencing', [(440, '16s', b'x' * 16)], 'differencing'),
    ('sectors of 4096', [le(360, 4096)], 'sector size'),
    ('block size 0', [le(376, 0)], 'block size'),
    ('block size 2^31', [le(376, 1 << 31)], 'block size'),
    ('block size of 3', [le(376, 3 << 19)], 'block size'),
    ('extra data', [le(380, 512)], 'extra'),
    ('disk of 2^63', [le(368, TOP, 'Q')], 'disk size'),
    ('disk of 2^64', [le(368, U64, 'Q')], 'disk size'),
    ('too many blocks', [le(384, U32)], 'blocks'),
    ('many blocks, short file', [le(384, 1 << 24)], 'do not fit'),
    ('map beyond the end', [le(340, 1 << 30), le(344, 1 << 30 | 4096)], 'beyond the end'),
    ('map in the header', [le(340, 0)], 'do not fit'),
    ('map unaligned', [le(340, 513)], 'do not fit'),
    ('map over the header', [le(340, 256)], 'do not fit'),
    ('map behind the data', [le(340, 1 << 21)], 'do not fit'),
    ('block beyond the last', [le(512, 0x1000)], 'beyond the last block', 'read'),
    ('block used twice', [le(512, 0), le(516, 0)], 'in use twice', 'read'),
]

HEAD, HEAD2, REGI, META = 0x10000, 0x20000, 0x30000, 0x300000


def both(at, value, width='I'):
    """In both headers."""
    return [le(HEAD + at, value, width), le(HEAD2 + at, value, width)]


def region(at, value, width='I'):
    return [le(REGI + at, value, width), le(REGI + 0x10000 + at, value, width)]


VHDX = [
    ('no signature', [le(0, 0, 'Q')], 'signature'),
    ('wrong checksums', [le(HEAD + 4, 0), le(HEAD2 + 4, 0)], 'header'),
    ('wrong checksums of the region tables', region(4, 0), 'region table'),
    ('version 2', both(66, 2, 'H'), 'version'),
    ('log version 1', both(64, 1, 'H'), 'log version'),
    ('log at 0', both(72, 0, 'Q'), 'log'),
    ('log at 2^63', both(72, TOP, 'Q'), 'log'),
    ('log unaligned', both(72, 0x100200, 'Q'), 'log'),
    ('log of 4 GiB', both(68, 0xfff00000), 'log'),
    ('2^32 regions', region(8, U32), 'region'),
    ('no regions', region(8, 0), 'region'),
    ('region at 2^63', region(32, TOP, 'Q'), 'region'),
    ('region of 4 GiB', region(40, 0xfff00000), 'region'),
    ('unknown required region', region(16, 0x1234), 'region'),
    ('regions overlap', region(32, META, 'Q') + region(64, META, 'Q'), 'overlap'),
    ('region over the log', region(32, 0x100000, 'Q'), 'not possible'),
    ('region over the headers', region(32, HEAD, 'Q'), 'not possible'),
    ('log over the headers', both(72, HEAD, 'Q'), 'not possible'),
    ('metadata without signature', [le(META, 0, 'Q')], 'metadata'),
    ('2^16 metadata entries', [le(META + 10, 0xffff, 'H')], 'metadata'),
]

VPC = [
    ('no cookies', [be(0, 0, 'Q'), (lambda i: len(i) - 512, '>Q', 0)], 'vpc'),
    ('wrong checksums', [be(64, 0), (lambda i: len(i) - 512 + 64, '>I', 0)], '', 'sound'),
    ('wrong checksum of the dynamic header', [be(512 + 36, 1)], '', 'sound'),
    ('version 2', [be(12, 0x20000), (lambda i: len(i) - 500, '>I', 0x20000)], 'version'),
    ('type 9', [be(60, 9), (lambda i: len(i) - 452, '>I', 9)], 'type'),
    ('differencing', [be(60, 4), (lambda i: len(i) - 452, '>I', 4)], "without its parent's name"),
    ('size 2^63', [be(48, TOP, 'Q'), (lambda i: len(i) - 464, '>Q', TOP)], 'size'),
    ('dynamic header beyond the end',
     [be(16, 1 << 50, 'Q'), (lambda i: len(i) - 496, '>Q', 1 << 50)], 'header'),
    ('dynamic header at 2^63', [be(16, TOP, 'Q'), (lambda i: len(i) - 496, '>Q', TOP)], 'header'),
    ('no dynamic header', [be(512, 0, 'Q')], 'header'),
    ('dynamic header version', [be(512 + 24, 7)], 'version'),
    ('table beyond the end', [be(512 + 16, 1 << 50, 'Q')], 'table'),
    ('table at 2^63', [be(512 + 16, TOP, 'Q')], 'table'),
    ('2^32 entries', [be(512 + 28, U32)], 'table'),
    ('no entries', [be(512 + 28, 0)], 'entries'),
    ('block size 0', [be(512 + 32, 0)], 'block'),
    ('block size of 3', [be(512 + 32, 3 << 19)], 'block'),
    ('block size 2^31', [be(512 + 32, 1 << 31)], 'block'),
    ('block beyond the end', [be(1536, 0x7fffffff)], 'block table'),
    ('table over the dynamic header', [be(512 + 16, 512, 'Q')], 'table'),
    ('table over the footer', [be(512 + 16, 0, 'Q')], 'table at 0'),
    ('dynamic header over the footer', [be(16, 0, 'Q'), (lambda i: len(i) - 496, '>Q', 0)],
     'header'),
    ('block in use twice', [be(1540, 4)], 'two blocks', 'check'),
    ('block over the table', [be(1536, 2)], 'structures', 'check'),
]

LUKS = [
    ('no magic', [be(0, 0)], 'luks'),
    ('version 9', [be(6, 9, 'H')], 'version'),
    ('unknown cipher', [(8, '32s', b'rot13')], 'rot13'),
    ('unknown mode', [(40, '32s', b'foo-bar')], 'foo'),
    ('unknown hash', [(72, '32s', b'sum')], 'sum'),
    ('name without end', [(8, '32s', b'x' * 32)], 'cipher'),
    ('payload at 0', [be(104, 0)], 'data at sector 0'),
    ('payload beyond the end', [be(104, U32)], 'beyond the end'),
    ('key of 0', [be(108, 0)], 'key'),
    ('key of 2^32', [be(108, U32)], 'key'),
    ('no rounds', [be(164, 0)], 'iteration'),
    ('slot without rounds', [be(212, 0)], 'iteration'),
    ('slot beyond the end', [be(248, U32)], 'slot'),
    ('slot in the header', [be(248, 0)], 'slot'),
    ('slots overlap', [be(256, 0xac71f3), be(260, 1000), be(296, 8), be(300, 4000)], 'overlap'),
    ('no stripes', [be(252, 0)], 'stripes'),
    ('2^32 stripes', [be(252, U32)], 'stripes'),
    ('slot neither on nor off', [be(208, 5)], 'slot'),
]

QCOW = [
    ('no magic', [be(0, 0)], 'qcow'),
    ('version 7', [be(4, 7)], 'qcow format'),
    ('backing name too long', [be(8, 100, 'Q'), be(16, U32)], 'backing file name'),
    ('backing name beyond the end', [be(8, 1 << 50, 'Q'), be(16, 10)], 'backing file name'),
    ('size 0', [be(24, 0, 'Q')], 'size'),
    ('size 2^63', [be(24, TOP, 'Q')], 'size'),
    ('size 2^64', [be(24, U64, 'Q')], 'size'),
    ('clusters of 1', [be(32, 0, 'B')], 'cluster size'),
    ('clusters of 2^64', [be(32, 64, 'B')], 'cluster size'),
    ('tables of 2^255', [be(33, 255, 'B')], 'L2 table size'),
    ('unknown encryption', [be(36, 7)], 'encryption'),
    ('L1 table at 2^63', [be(40, TOP, 'Q')], 'L1 table'),
    ('L1 table beyond the end', [be(40, 1 << 50, 'Q')], 'L1 table'),
    ('L2 table beyond the end', [be(48, 1 << 50, 'Q')], 'rror', 'read'),
    ('L2 table at 2^63', [be(48, TOP, 'Q')], 'rror', 'read'),
]

QED = [
    ('no magic', [le(0, 0)], 'QED'),
    ('clusters of 0', [le(4, 0)], 'cluster size'),
    ('clusters of 2^31', [le(4, 1 << 31)], 'cluster size'),
    ('tables of 0', [le(8, 0)], 'table size'),
    ('tables of 2^31', [le(8, 1 << 31)], 'table size'),
    ('unknown features', [le(16, 1 << 40, 'Q')], 'features'),
    ('L1 table at 2^63', [le(40, TOP, 'Q')], 'L1 table'),
    ('L1 table in the header', [le(40, 0, 'Q')], 'L1 table'),
    ('size 2^63', [le(48, TOP, 'Q')], 'size'),
    ('size unaligned', [le(48, 1000, 'Q')], 'size'),
    ('backing name too long', [le(16, 1, 'Q'), le(56, 64), le(60, U32)], 'backing file name'),
    ('backing name outside', [le(16, 1, 'Q'), le(56, 1 << 30), le(60, 9)], 'backing file name'),
    ('L2 table at 2^63', [le(4096, TOP, 'Q')], 'rror', 'read'),
    ('L2 table beyond the end', [le(4096, 1 << 40, 'Q')], 'rror', 'read'),
]

PARALLELS = [
    ('no magic', [le(0, 0)], 'Parallels'),
    ('version 9', [le(16, 9)], 'Parallels'),
    ('clusters of 0', [le(28, 0)], 'clusters'),
    ('clusters of 2^32', [le(28, U32)], 'possible'),
    ('2^32 entries', [le(32, U32)], 'beyond the end'),
    ('no entries', [le(32, 0)], '', 'sound'),
    ('size 2^63', [le(36, TOP, 'Q')], 'too large'),
    ('cluster beyond the end', [le(64, U32)], '', 'sound'),
    ('cluster in use twice', [le(68, 1)], '', 'check'),
]

BOCHS = [
    ('no magic', [(0, '8s', b'')], 'Bochs'),
    ('version 9', [le(64, 9)], 'Bochs'),
    ('header beyond the end', [le(68, U32)], 'beyond the end'),
    ('2^32 entries', [le(72, U32)], 'catalog'),
    ('no entries', [le(72, 0)], 'too small'),
    ('bitmaps of 0', [le(76, 0)], 'bitmaps'),
    ('bitmaps of 2^32', [le(76, U32)], 'bitmaps'),
    ('extents of 0', [le(80, 0)], 'extents'),
    ('extents of 2^32', [le(80, U32)], 'extents'),
    ('size 2^63', [le(88, TOP, 'Q')], 'size'),
    ('extent beyond the end', [le(512, 0xfffffff0)], 'rror', 'read'),
]

CLOOP = [
    ('blocks of 0', [be(128, 0)], 'blocks of'),
    ('blocks of 2^31', [be(128, 1 << 31)], 'blocks of'),
    ('2^32 blocks', [be(132, U32)], 'blocks'),
    ('no blocks', [be(132, 0)], 'rror', 'read'),
    ('block at 2^63', [be(136, TOP, 'Q')], 'rror', 'read'),
    ('block backwards', [be(144, 0, 'Q')], 'rror', 'read'),
    ('block huge', [be(144, 1 << 60, 'Q')], 'rror', 'read'),
    ('block is rubbish', [be(164, U64, 'Q')], 'rror', 'read'),
]


def koly(at, value, width='Q'):
    return [(lambda image: len(image) - 512 + at, '>' + width, value)]


DMG = [
    ('no trailer', koly(0, 0, 'I'), 'trailer'),
    ('list of chunks beyond the end', koly(0xd8, 1 << 50), 'property list'),
    ('list of chunks at 2^63', koly(0xd8, TOP), 'property list'),
    ('list of chunks of 2^63', koly(0xe0, TOP), 'property list'),
    ('list of chunks empty', koly(0xe0, 1), 'property list'),
    ('size 2^64', koly(0x1ec, U64), '', 'sound'),
    ('chunk is rubbish', [be(4, U64, 'Q')], 'rror', 'read'),
]

CHANGES = {
    'vmdk': VMDK, 'vdi': VDI, 'vhdx': VHDX, 'vpc': VPC, 'luks': LUKS, 'qcow': QCOW, 'qed': QED,
    'parallels': PARALLELS, 'bochs': BOCHS, 'cloop': CLOOP, 'dmg': DMG,
}

# A length (negative: from the end), what the error must have, and who finds it.
CUTS = {
    'vmdk': [(0, 'vmdk'), (100, 'vmdk'), (512, 'descriptor'), (1000, 'descriptor'),
             (512 * 21, 'beyond the end'), (512 * 26, 'beyond the end')],
    'vdi': [(0, 'vdi'), (68, 'vdi'), (400, 'vdi'), (512, 'beyond the end')],
    'vhdx': [(0, 'vhdx'), (8, 'vhdx'), (0x10000, 'header'), (0x20000, 'log'),
             (0x30000, 'log'), (0x100000, 'log'), (0x200000, 'region table')],
    'vpc': [(0, 'vpc'), (100, 'vpc'), (512, 'header'), (1536, 'table'), (1536 + 4, 'table')],
    'luks': [(0, 'luks'), (6, 'luks'), (208, 'luks'), (592, 'end'), (4096, 'end'),
             (0x1000 * 32, 'end')],
    'qcow': [(0, 'qcow'), (47, 'qcow'), (48, 'L1 table')],
    'qed': [(0, 'QED'), (63, 'QED'), (4096, 'L1 table')],
    'parallels': [(0, 'Parallels'), (63, 'Parallels'), (64, 'beyond the end')],
    'bochs': [(0, 'Bochs'), (100, 'Bochs'), (512, 'beyond the end')],
    'cloop': [(0, 'cloop'), (130, 'cloop'), (136, 'too many for this file')],
    'dmg': [(0, 'trailer'), (100, 'trailer'), (-1, 'trailer')],
}
