# SPDX-License-Identifier: Apache-2.0
"""Includes point downward only: the table of docs/devel/layers.md, as data."""

import re

import sources

# What devices and boards see of accelerators: the interface, and run-state changes.
ACCEL_FACE = ['accel/accel.h', 'accel/vm-events.h']
# What each layer may include besides itself and util. An entry ending in ".h" is one header; any
# other is a layer with all below its folder.
MAY_INCLUDE = {
    'util': [],
    'vmstate': [],
    'qapi': [],
    'virtio': [],
    'qom': ['qapi'],
    'crypto': ['qapi', 'qom'],
    'io': ['crypto', 'qapi', 'qom'],
    'memory': ['qom', 'vmstate'],
    'cpu': ['memory', 'qapi', 'qom', 'vmstate'],
    'accel': ['cpu', 'memory', 'qapi', 'qom', 'vmstate'],
    'backends': ['memory', 'io', 'qapi', 'qom'],
    'chardev': ['io', 'crypto', 'qapi', 'qom'],
    'ui': ['io', 'crypto', 'qapi', 'qom'],
    'audio': ['io', 'crypto', 'qapi', 'qom'],
    'net': ['chardev', 'virtio', 'io', 'qapi', 'qom'],
    'monitor': ['chardev', 'io', 'qapi', 'qom'],
    'nbd': ['io', 'crypto', 'qapi'],
    'block': ['backends/iothread.h', 'nbd', 'virtio', 'io', 'crypto', 'qapi', 'qom'],
    'hw/core': [*ACCEL_FACE, 'memory', 'vmstate', 'qapi', 'qom'],
    'hw/BUS': ['hw/core', 'hw/BUS', 'virtio', *ACCEL_FACE, 'memory', 'vmstate', 'qapi', 'qom'],
    'hw/CLASS': ['hw/core', 'hw/BUS', 'virtio', *ACCEL_FACE, 'memory', 'vmstate', 'qapi', 'qom',
                 'hw/block/block-conf.h', 'backends/iothread.h', 'backends/rng.h', 'block', 'net',
                 'chardev', 'ui', 'audio'],
    'hw/i386': ['hw', 'virtio', 'cpu', *ACCEL_FACE, 'memory', 'vmstate', 'qapi', 'qom', 'chardev',
                'block'],
    'migration': ['memory', 'vmstate', 'io', 'block', 'qapi', 'qom'],
    'gdbstub': ['accel', 'cpu', 'chardev', 'memory', 'io', 'qapi', 'qom'],
    'tools': ['block', 'nbd', 'io', 'crypto', 'qapi', 'qom'],
    'tools/storage-daemon': ['tools', 'monitor', 'chardev', 'backends/iothread.h', 'block', 'nbd',
                             'io', 'crypto', 'qapi', 'qom'],
}
# These may include everything.
UNRESTRICTED = {'system', 'tests', 'scripts', 'docs'}
# Accelerators are strangers to one another, and only hw/virtio knows the virtio layer.
SEPARATE_FOLDERS = {'accel': re.compile(r'^accel/(\w+)/')}
BUSES = {'hw/pci', 'hw/isa', 'hw/virtio', 'hw/usb', 'hw/scsi', 'hw/i2c'}

_INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def layer_of(path):
    """The layer that a path belongs to, in the table's words; None outside of all."""
    parts = path.split('/')
    if parts[0] == 'hw' and len(parts) > 2:
        folder = f'hw/{parts[1]}'
        if folder in BUSES:
            return 'hw/BUS'
        return folder if folder in MAY_INCLUDE else 'hw/CLASS'
    if path.startswith('tools/storage-daemon/'):
        return 'tools/storage-daemon'
    if re.match(r'^(storage-daemon-)?qapi-[\w-]+\.h$', path):
        return 'qapi'
    if len(parts) == 1:
        return None
    return parts[0]


def allowed(path, included):
    """Whether the file at `path` may include `included` (both relative to the top)."""
    layer = layer_of(path)
    target = layer_of(included)
    if layer is None or layer in UNRESTRICTED or '/tests/' in path:
        return True
    if target == 'util' or (target == layer and same_folder(layer, path, included)):
        return True
    for entry in MAY_INCLUDE.get(layer, []):
        if entry in (included, target) or (entry == 'hw' and included.startswith('hw/')):
            return True
    return False


def same_folder(layer, path, included):
    """Files of one layer see one another, except across device classes and accelerators."""
    if layer == 'hw/CLASS':
        return path.split('/')[1] == included.split('/')[1]
    split = SEPARATE_FOLDERS.get(layer)
    if split:
        ours, theirs = split.match(path), split.match(included)
        return not theirs or (ours is not None and ours.group(1) == theirs.group(1))
    return True


def check():
    for path in sources.source_files('.c', '.h'):
        if sources.FREESTANDING.match(str(path)):
            continue
        text = sources.read(path)
        layer = layer_of(str(path))
        if layer and layer not in UNRESTRICTED and layer not in MAY_INCLUDE:
            yield f'{path}:1: folder {layer} is in no row of the layer table'
            continue
        for match in _INCLUDE.finditer(text):
            included = match.group(1)
            line = sources.line_of(text, match.start(1))
            if '/' not in included and (sources.TOP / path.parent / included).exists():
                yield f'{path}:{line}: write "{path.parent}/{included}", from the top'
            elif not allowed(str(path), included):
                yield f'{path}:{line}: {layer} may not include {included}'
