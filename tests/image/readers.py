# SPDX-License-Identifier: Apache-2.0
"""Independent readers of image formats: the libyal libraries by their Python bindings, and nbdkit's
plugins by nbdcopy. Each is used where it is installed."""

import importlib
import shutil
import subprocess
import sys

# Where Debian puts them, in case another python3 comes first in PATH.
sys.path.append('/usr/lib/python3/dist-packages')


class Libyal:
    """pyqcow, pyvhdi, pyvmdk: a file object with open, read_buffer and close."""

    def __init__(self, module):
        self.name = module.__name__
        self.module = module

    def read(self, path, size):
        image = (self.module.handle if self.name == 'pyvmdk' else self.module.file)()
        image.open(str(path))
        try:
            if self.name == 'pyvmdk':
                image.open_extent_data_files()
            image.seek(0)
            return image.read(size)
        finally:
            image.close()


class Nbdkit:
    """A raw disk, or what a plugin or filter of nbdkit makes of the file."""

    name = 'nbdkit'

    def read(self, path, size):
        command = f'nbdcopy "$uri" "{path}.nbdkit"'
        subprocess.run(['nbdkit', '-r', '-U', '-', 'file', str(path), '--run', command], check=True,
                       capture_output=True)
        flat = path.with_name(path.name + '.nbdkit')
        content = flat.read_bytes()
        flat.unlink()
        return content[:size]


MODULES = {'qcow2': 'pyqcow', 'vpc': 'pyvhdi', 'vhdx': 'pyvhdi', 'vmdk': 'pyvmdk'}


def of_format(fmt, options, backing):
    found = []
    name = MODULES.get(fmt)
    # libqcow does not look at the bit by which version 3 marks a cluster that reads as zeroes, nor
    # libvmdk at the mark of zeroed grains.
    marks_zeroes = (fmt == 'qcow2' and 'compat=0.10' not in options) or 'zeroed_grain' in options
    if name and not backing and not marks_zeroes:
        try:
            found.append(Libyal(importlib.import_module(name)))
        except ImportError:
            pass
    if fmt == 'raw' and shutil.which('nbdkit') and shutil.which('nbdcopy'):
        found.append(Nbdkit())
    return found
