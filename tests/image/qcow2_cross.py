#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""qcow2 images that vireo and QEMU's tools write in turn, compared with a model; prints TAP.

The model is one byte a sector: what the sector is filled with. After every round both tools read
all of the disk and compare it with the model, and both check the image."""

import itertools
import random
import subprocess
from pathlib import Path

import readers
from imgtest import Tap, arguments, both_sides, need_peer, work_directory

SECTOR = 512

# name, size in bytes, create options, more
VARIANTS = [
    ('default', 8 << 20, '', {}),
    ('v2', 8 << 20, 'compat=0.10', {}),
    ('small clusters', 1 << 20, 'cluster_size=512', {}),
    ('large clusters', 24 << 20, 'cluster_size=2M', {}),
    ('1-bit counts', 2 << 20, 'refcount_bits=1,cluster_size=4k', {}),
    ('64-bit counts', 1 << 20, 'refcount_bits=64,cluster_size=512', {}),
    ('4-bit counts', 4 << 20, 'refcount_bits=4,cluster_size=8k', {}),
    ('lazy counts', 8 << 20, 'lazy_refcounts=on', {}),
    ('backing', 8 << 20, '', {'backing': True}),
    ('v2 backing', 4 << 20, 'compat=0.10,cluster_size=16k', {'backing': True}),
    ('small clusters, backing', 1 << 20, 'cluster_size=1k', {'backing': True}),
    ('subclusters', 8 << 20, 'extended_l2=on', {}),
    ('subclusters, backing', 8 << 20, 'extended_l2=on,cluster_size=128k', {'backing': True}),
    ('small subclusters', 2 << 20, 'extended_l2=on,cluster_size=16k', {'backing': True}),
    ('zlib', 8 << 20, '', {'compressed': True}),
    ('zlib, small', 1 << 20, 'cluster_size=4k,refcount_bits=8', {'compressed': True}),
    ('zlib, 1-bit counts', 2 << 20, 'cluster_size=16k,refcount_bits=1', {'compressed': True}),
    ('zstd', 8 << 20, 'compression_type=zstd', {'compressed': True, 'backing': True}),
    ('zstd, subclusters', 8 << 20, 'compression_type=zstd,extended_l2=on', {'compressed': True}),
    ('metadata', 4 << 20, 'preallocation=metadata', {}),
    ('falloc', 4 << 20, 'preallocation=falloc', {}),
    ('full', 4 << 20, 'preallocation=full,cluster_size=32k', {}),
    ('data file', 4 << 20, 'data_file={dir}/data.raw', {'own_file': True}),
    ('raw data file', 4 << 20, 'data_file={dir}/data.raw,data_file_raw=on', {'own_file': True}),
    ('data file, allocated', 4 << 20, 'data_file={dir}/data.raw,preallocation=falloc',
     {'own_file': True}),
    ('luks', 4 << 20, 'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10',
     {'encrypted': True}),
    ('luks, backing', 2 << 20, 'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10,'
     'cluster_size=4k', {'encrypted': True, 'backing': True}),
]

# Values of options that are combined at random; of those that do not go together the later yields.
CLUSTERS = [512 << i for i in range(13)]
FACTORS = {
    'refcount_bits': [1, 2, 4, 8, 16, 32, 64],
    'kind': ['v3', 'v2', 'lazy', 'subclusters', 'v3'],
    'compression_type': ['zlib', 'zstd'],
    'data_file': ['', '', 'own', 'raw'],
    'backing': [False, True],
    'preallocation': ['', '', 'metadata', 'falloc', 'full'],
}


def combination(cluster, choice):
    """A row like those of VARIANTS; choice: a value of each factor."""
    more = {'backing': choice['backing'] and choice['data_file'] != 'raw',
            'own_file': bool(choice['data_file']) and choice['kind'] != 'v2'}
    # Version 2 cannot hide a backing file's clusters again, and QEMU compresses over nothing else.
    more['compressed'] = not more['own_file'] and not (more['backing'] and choice['kind'] == 'v2')
    options = [f'cluster_size={cluster}']
    if choice['kind'] == 'v2':
        options.append('compat=0.10')
    else:
        options += [f'refcount_bits={choice["refcount_bits"]}',
                    f'compression_type={choice["compression_type"]}']
    if choice['kind'] == 'lazy':
        options.append('lazy_refcounts=on')
    if choice['kind'] == 'subclusters' and cluster >= 16384:
        options.append('extended_l2=on')
    if more['own_file']:
        options.append('data_file={dir}/data.raw')
        if choice['data_file'] == 'raw':
            options.append('data_file_raw=on')
    # QEMU alone loses its way in a version 2 image that was preallocated and then grown.
    if choice['preallocation'] and not more['backing'] and choice['kind'] != 'v2':
        options.append(f'preallocation={choice["preallocation"]}')
    text = ','.join(options)
    name = text.replace('{dir}/', '') + (', backing' if more['backing'] else '')
    return name, max(1 << 20, cluster * 12) + 5 * SECTOR, text, more


def combinations(rng, count):
    """Each value of each factor comes before one comes again."""
    def endless(values):
        while True:
            yield from rng.sample(values, len(values))

    columns = {name: endless(values) for name, values in FACTORS.items()}
    for cluster in itertools.islice(endless(CLUSTERS), count):
        yield combination(cluster, {name: next(column) for name, column in columns.items()})


class Failure(AssertionError):
    pass


def run(args, accept=(0,)):
    result = subprocess.run(args, capture_output=True, text=True, check=False)
    if result.returncode not in accept:
        raise Failure(f'{" ".join(map(str, args))}: exit {result.returncode}\n{result.stdout}'
                      f'{result.stderr}')
    return result.stdout + result.stderr


class Image:
    """An image, its model, and the tools of either side."""

    def __init__(self, folder, variant, tools, rng):
        self.name, self.size, self.options, self.more = variant
        self.folder, self.tools, self.rng = folder, tools, rng
        self.path = folder / 'test.qcow2'
        self.sectors = self.size // SECTOR
        self.model = bytearray(self.sectors)
        self.snapshots = {}

    def opts(self):
        if not self.more.get('encrypted'):
            return ['-f', 'qcow2', str(self.path)]
        return ['--object', 'secret,id=s,data=geheim', '--image-opts',
                f'driver=qcow2,file.filename={self.path},encrypt.format=luks,'
                'encrypt.key-secret=s']

    def create(self, side):
        options = self.options.format(dir=self.folder)
        args = ['create', '-q', '-f', 'qcow2']
        if self.more.get('encrypted'):
            args += ['--object', 'secret,id=s,data=geheim']
        if options:
            args += ['-o', options]
        if self.more.get('backing'):
            self.make_backing()
            args += ['-b', str(self.folder / 'base.raw'), '-F', 'raw']
        run([self.tools[side][1], *args, str(self.path), str(self.size)])

    def make_backing(self):
        """Shorter than the image, so that its end is met too."""
        sectors = self.sectors * 3 // 4
        with open(self.folder / 'base.raw', 'wb') as out:
            while sectors:
                n = min(sectors, self.rng.randint(1, 200))
                fill = self.rng.choice([0, self.rng.randint(1, 255)])
                at = self.sectors * 3 // 4 - sectors
                self.model[at:at + n] = bytes([fill]) * n
                out.write(bytes([fill]) * (n * SECTOR))
                sectors -= n

    def io(self, side, commands):
        args = [self.tools[side][0]]
        for command in commands:
            args += ['-c', command]
        output = run([*args, *self.opts()], accept=(0, 1))
        for line in output.splitlines():
            if any(word in line for word in ('failed', 'rror', 'nvalid', "can't", 'Parameter')):
                raise Failure(f'{self.tools[side][0]}: {line}\n{commands}')

    def random_range(self, unit=1):
        units = self.sectors // unit
        n = min(units, self.rng.choice([1, 1, 2, self.rng.randint(1, 64),
                                        self.rng.randint(1, max(units // 4, 1))]))
        start = self.rng.randint(0, units - n)
        return start * unit, n * unit

    def one_command(self):
        kind = self.rng.choice(['write'] * 5 + ['zero', 'unmap', 'discard', 'compressed', 'flush'])
        if kind == 'flush':
            return 'flush'
        unit = 1
        if kind == 'compressed':
            if not self.more.get('compressed'):
                return 'flush'
            unit = self.cluster() // SECTOR
        if kind == 'discard':
            unit = self.cluster() // SECTOR
        start, n = self.random_range(unit)
        where = f'{start * SECTOR} {n * SECTOR}'
        fill = self.rng.randint(1, 255) if kind in ('write', 'compressed') else 0
        if kind == 'discard' and 'compat=0.10' in self.options and self.more.get('backing'):
            return 'flush'
        self.model[start:start + n] = bytes([fill]) * n
        return {'write': f'write -P {fill} {where}', 'zero': f'write -z {where}',
                'unmap': f'write -z -u {where}', 'discard': f'write -z -u {where}',
                'compressed': f'write -c -P {fill} {where}'}[kind]

    def cluster(self):
        for option in self.options.split(','):
            if option.startswith('cluster_size='):
                text = option.split('=')[1]
                return int(text.rstrip('kM')) << {'k': 10, 'M': 20}.get(text[-1], 0)
        return 65536

    def write(self, side, count):
        commands = []
        for _ in range(count):
            command = self.one_command()
            if command.startswith('write -c'):
                # QEMU does not compress over what is there.
                commands += ['write -z -u ' + ' '.join(command.split()[4:])] * (side == 'qemu')
                commands += self.split(command)
            else:
                commands.append(command)
        self.io(side, commands)

    def split(self, command):
        """Compressed requests go a cluster at a time."""
        words = command.split()
        start, n, cluster = int(words[4]), int(words[5]), self.cluster()
        return [f'write -c -P {words[3]} {at} {min(cluster, start + n - at)}'
                for at in range(start, start + n, cluster)]

    def verify(self, side):
        commands, at = [], 0
        while at < self.sectors:
            n = 1
            while at + n < self.sectors and self.model[at + n] == self.model[at] and n < 65536:
                n += 1
            commands.append(f'read -P {self.model[at]} {at * SECTOR} {n * SECTOR}')
            at += n
        for i in range(0, len(commands), 400):
            self.io(side, commands[i:i + 400])

    def verify_by_others(self):
        """What else can read it, and what is there of it."""
        content = b''.join(bytes([value]) * SECTOR for value in self.model)
        for reader in readers.of_format('qcow2', self.options, self.more.get('backing')):
            seen = reader.read(self.path, len(content))
            if seen != content:
                raise Failure(f'{reader.name} reads something else')

    def resize(self, side):
        """To another size, whatever that cuts off. In whole clusters: where a cluster was cut and
        grows again, QEMU shows what was there."""
        if 'compat=0.10' in self.options and self.snapshots:
            return
        cluster = self.cluster() // SECTOR
        sectors = self.rng.randint(self.size // SECTOR // 2,
                                   self.size // SECTOR * 3 // 2) // cluster * cluster
        run([self.tools[side][1], 'resize', '-q', '--shrink', '-f', 'qcow2', str(self.path),
             str(sectors * SECTOR)])
        self.model = self.model[:sectors] + bytes(max(sectors - self.sectors, 0))
        self.sectors = sectors

    def check(self, side):
        secret = (['--object', 'secret,id=s,data=geheim'] if self.more.get('encrypted') else [])
        opts = [o for o in self.opts() if o not in secret]
        run([self.tools[side][1], 'check', '-q', *secret, *opts])

    def counts_are_few(self):
        """Too narrow for snapshots; compressed clusters that share a host cluster count too."""
        bits = next((int(option.split('=')[1]) for option in self.options.split(',')
                     if option.startswith('refcount_bits=')), 16)
        return bits <= (4 if self.more.get('compressed') else 2)

    def snapshot(self, side):
        """Take, go back to or drop an internal snapshot."""
        if self.more.get('own_file') or self.more.get('encrypted') or self.counts_are_few():
            return
        verb = self.rng.choice(['take', 'take', 'apply', 'drop', 'none'])
        args = [self.tools[side][1], 'snapshot']
        if verb == 'take' and len(self.snapshots) < 4:
            name = f's{self.rng.randint(0, 10 ** 9)}'
            run([*args, '-c', name, str(self.path)])
            self.snapshots[name] = bytes(self.model)
        elif verb == 'apply' and self.snapshots:
            name = self.rng.choice(sorted(self.snapshots))
            run([*args, '-a', name, str(self.path)])
            self.model = bytearray(self.snapshots[name])
            self.sectors = len(self.model)
        elif verb == 'drop' and self.snapshots:
            name = self.rng.choice(sorted(self.snapshots))
            run([*args, '-d', name, str(self.path)])
            del self.snapshots[name]


def one_variant(variant, tools, seed, rounds, snapshots):
    rng = random.Random(f'{seed} {variant[0]}')
    with work_directory(in_memory=True) as folder:
        image = Image(Path(folder), variant, tools, rng)
        image.create(rng.choice(sorted(tools)))
        for _ in range(rounds):
            side = rng.choice(sorted(tools))
            image.write(side, rng.randint(1, 25))
            if snapshots:
                image.snapshot(rng.choice(sorted(tools)))
            if not variant[3].get('encrypted') and rng.random() < 0.3:
                image.resize(rng.choice(sorted(tools)))
            for other in sorted(tools):
                image.verify(other)
                image.check(other)
            image.verify_by_others()


def main():
    parser = arguments(__doc__, seed=1, rounds=3)
    parser.add_argument('--no-snapshots', action='store_true')
    parser.add_argument('--combinations', type=int, default=len(CLUSTERS),
                        help='rows of options put together at random')
    parser.add_argument('--long', action='store_true', help='for a night: many more of everything')
    parser.add_argument('variants', nargs='*', help='names; default: all')
    options = parser.parse_args()
    need_peer()
    tools = both_sides(options.build)
    if options.long:
        options.rounds, options.combinations = 4 * options.rounds, 20 * options.combinations
    rows = VARIANTS + list(combinations(random.Random(options.seed), options.combinations))
    chosen = [v for v in rows if not options.variants or v[0] in options.variants]
    tap = Tap()
    for variant in chosen:
        tap.run(variant[0], one_variant, variant, tools, options.seed, options.rounds,
                not options.no_snapshots)
    tap.finish()


if __name__ == '__main__':
    main()
