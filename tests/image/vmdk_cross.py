#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""VMDK images that vireo and QEMU's tools write in turn, compared with a model; prints TAP.

The model and the rounds are those of qcow2_cross. Streams are written from start to end by one
side; vmdkinfo, if it is there, has to know every image."""

import random
import shutil
from pathlib import Path

from imgtest import Tap, arguments, both_sides, need_peer, work_directory
from qcow2_cross import SECTOR, Failure, Image, run

GRAIN = 65536
# name, size in bytes, create options, more
VARIANTS = [
    ('sparse', 40 << 20, '', {}),
    ('sparse, ragged end', (3 << 20) + 5 * SECTOR, '', {}),
    ('zeroed grains', 8 << 20, 'zeroed_grain=on', {}),
    ('backing', 36 << 20, '', {'backing': True}),
    ('zeroed grains, backing', 8 << 20, 'zeroed_grain=on', {'backing': True}),
    ('scsi', 8 << 20, 'adapter_type=lsilogic,hwversion=7,toolsversion=5', {}),
    ('compat6', 8 << 20, 'compat6=on', {}),
    ('flat', 8 << 20, 'subformat=monolithicFlat', {}),
    ('split sparse', (2 << 30) + (4 << 20), 'subformat=twoGbMaxExtentSparse', {'split': True}),
    ('split flat', (2 << 30) + (4 << 20), 'subformat=twoGbMaxExtentFlat', {'split': True}),
    ('stream', 40 << 20, 'subformat=streamOptimized', {'stream': True}),
    ('stream, ragged end', (2 << 20) + 9 * SECTOR, 'subformat=streamOptimized', {'stream': True}),
    ('stream, large', 70 << 30, 'subformat=streamOptimized', {'stream': True}),
]


class Vmdk(Image):
    def __init__(self, *args):
        super().__init__(*args)
        self.path = self.folder / 'test.vmdk'

    def opts(self):
        return ['-f', 'vmdk', str(self.path)]

    def create(self, side):
        args = [self.tools[side][1], 'create', '-q', '-f', 'vmdk']
        if self.options:
            args += ['-o', self.options]
        if self.more.get('backing'):
            self.make_base(side)
            args += ['-b', 'base.vmdk', '-F', 'vmdk']
        run([*args, str(self.path), str(self.size)])

    def make_base(self, side):
        """Shorter than the image; made and filled by the same side."""
        base = self.folder / 'base.vmdk'
        sectors = self.sectors * 3 // 4
        run([self.tools[side][1], 'create', '-q', '-f', 'vmdk', str(base), str(sectors * SECTOR)])
        commands = []
        for _ in range(30):
            n = self.rng.randint(1, 300)
            start = self.rng.randint(0, sectors - n)
            fill = self.rng.randint(1, 255)
            self.model[start:start + n] = bytes([fill]) * n
            commands.append(f'-cwrite -P {fill} {start * SECTOR} {n * SECTOR}')
        run([self.tools[side][0], '-f', 'vmdk', *commands, str(base)])

    def random_range(self, unit=1):
        if not self.more.get('split'):
            return super().random_range(unit)
        # About the seam, that the model stays small in what it costs.
        n = self.rng.randint(1, 600)
        start = (2 << 30) // SECTOR + self.rng.randint(-2000, 2000)
        return start, n

    def verify(self, side):
        if not self.more.get('split'):
            super().verify(side)
            return
        first = (2 << 30) // SECTOR - 4096
        self.io(side, [f'read -P {self.model[at]} {at * SECTOR} {SECTOR}'
                       for at in range(first, first + 8192, 3)])

    def one_command(self):
        kind = self.rng.choice(['write'] * 5 + ['zero', 'grains', 'unmap', 'flush'])
        if kind == 'flush':
            return 'flush'
        start, n = self.random_range(GRAIN // SECTOR if kind == 'grains' else 1)
        fill = self.rng.randint(1, 255) if kind == 'write' else 0
        self.model[start:start + n] = bytes([fill]) * n
        where = f'{start * SECTOR} {n * SECTOR}'
        return {'write': f'write -P {fill} {where}', 'zero': f'write -z {where}',
                'grains': f'write -z {where}', 'unmap': f'write -z -u {where}'}[kind]

    def write_stream(self, side):
        """Some grains, in any order, in two openings."""
        grains = -(-self.size // GRAIN)
        count = min(grains, 60)
        chosen = self.rng.sample(range(grains), count - 1) + [grains - 1]
        chosen = list(dict.fromkeys(chosen))
        self.rng.shuffle(chosen)
        written = []
        for half in (chosen[::2], chosen[1::2]):
            commands = []
            for grain in half:
                fill = self.rng.randint(1, 255)
                n = min(GRAIN, self.size - grain * GRAIN)
                written.append((grain * GRAIN, n, fill))
                commands.append(f'write -c -P {fill} {grain * GRAIN} {n}')
            self.io(side, commands)
        return [f'read -P {fill} {at} {n}' for at, n, fill in written]

    def check_others(self):
        for side in self.tools:
            output = run([self.tools[side][1], 'check', '-f', 'vmdk', str(self.path)])
            if 'No errors were found' not in output:
                raise Failure(output)
        if shutil.which('vmdkinfo'):
            output = run(['vmdkinfo', str(self.path)])
            if f'({self.size} bytes)' not in output:
                raise Failure(output)


def one_stream(image, rng):
    creator = rng.choice(sorted(image.tools))
    image.create(creator)
    # QEMU cannot go on with a stream that has its tables at the end.
    writer = 'vireo' if creator == 'vireo' else rng.choice(sorted(image.tools))
    reads = image.write_stream(writer)
    for side in image.tools:
        image.io(side, reads)
    image.check_others()


def one_variant(variant, tools, seed, rounds):
    rng = random.Random(f'{seed} {variant[0]}')
    for _ in range(rounds if variant[3].get('stream') else 1):
        with work_directory(in_memory=True) as folder:
            image = Vmdk(Path(folder), variant, tools, rng)
            if variant[3].get('stream'):
                one_stream(image, rng)
                continue
            image.create(rng.choice(sorted(tools)))
            for _ in range(rounds):
                image.write(rng.choice(sorted(tools)), rng.randint(1, 25))
                for side in sorted(tools):
                    image.verify(side)
                image.check_others()


def main():
    parser = arguments(__doc__, seed=1, rounds=4)
    parser.add_argument('variants', nargs='*', help='names; default: all')
    options = parser.parse_args()
    need_peer()
    tools = both_sides(options.build)
    chosen = [v for v in VARIANTS if not options.variants or v[0] in options.variants]
    tap = Tap()
    for variant in chosen:
        tap.run(variant[0], one_variant, variant, tools, options.seed, options.rounds)
    tap.finish()


if __name__ == '__main__':
    main()
