# SPDX-License-Identifier: Apache-2.0
"""An initramfs written straight as a cpio archive.

The "newc" format (Linux Documentation/driver-api/early-userspace/buffer-format.rst): each member is
a header of ASCII hex fields, a NUL-terminated name padded to four bytes, and data padded to four
bytes. Writing it here, rather than with cpio from a directory, needs no root for device nodes and
gives the same bytes for the same input.
"""

import os
import re
import stat
import subprocess
from pathlib import Path

NEWC_MAGIC = '070701'
TRAILER = 'TRAILER!!!'

# Every applet that our init scripts call; busybox itself runs the others by name.
APPLETS = [
    'ash', 'sh', 'cat', 'echo', 'mount', 'umount', 'mkdir', 'ls', 'ln', 'rm', 'cp', 'mv', 'sleep',
    'insmod', 'lsmod', 'uname', 'poweroff', 'reboot', 'dmesg', 'stty', 'setsid', 'cttyhack', 'ps',
    'kill', 'timeout', 'grep', 'sed', 'awk', 'head', 'tail', 'wc', 'cut', 'date', 'free', 'nproc',
    'sync', 'sha256sum', 'md5sum', 'dd', 'hexdump', 'od', 'printf', 'seq', 'test', '[', 'env', 'id',
    'ifconfig', 'ip', 'ping', 'devmem', 'find', 'stat', 'tr', 'sort', 'uptime', 'top', 'vi', 'true',
    'false', 'expr', 'basename', 'dirname', 'readlink', 'chmod', 'touch', 'tee', 'mktemp', 'clear',
]


class Initramfs:
    """Collects files, then writes them. Later members replace earlier ones of the same name."""

    def __init__(self):
        self._members = {}
        for directory in ('dev', 'proc', 'sys', 'tmp', 'run', 'root', 'etc', 'bin', 'sbin'):
            self._add_directory(directory)
        # The kernel opens /dev/console for init before init can mount devtmpfs.
        self._members['dev/console'] = (stat.S_IFCHR | 0o600, b'', (5, 1))
        self._members['dev/null'] = (stat.S_IFCHR | 0o666, b'', (1, 3))

    def _add_directory(self, name):
        parts = name.split('/')
        for depth in range(1, len(parts) + 1):
            self._members.setdefault('/'.join(parts[:depth]), (stat.S_IFDIR | 0o755, b'', (0, 0)))

    def add_bytes(self, name, data, mode=0o644):
        """Add a regular file; its parent directories come with it."""
        name = name.lstrip('/')
        if '/' in name:
            self._add_directory(name.rsplit('/', 1)[0])
        self._members[name] = (stat.S_IFREG | mode, data, (0, 0))

    def add_symlink(self, name, target):
        name = name.lstrip('/')
        if '/' in name:
            self._add_directory(name.rsplit('/', 1)[0])
        self._members[name] = (stat.S_IFLNK | 0o777, target.encode(), (0, 0))

    def add_file(self, host_path, name=None):
        """Add a host file under its own path or as `name`, following symlinks."""
        path = Path(host_path)
        mode = stat.S_IMODE(path.stat().st_mode)
        self.add_bytes(name or str(path.absolute()), path.read_bytes(), mode | 0o444)

    def add_tree(self, host_dir, name=None, skip=None):
        """Add a directory's files; `skip` is a predicate over paths relative to host_dir."""
        top = Path(host_dir)
        target = (name or str(top.absolute())).rstrip('/')
        for directory, subdirs, files in os.walk(top):
            relative = Path(directory).relative_to(top)
            if skip:
                subdirs[:] = [entry for entry in subdirs if not skip(str(relative / entry))]
                files = [entry for entry in files if not skip(str(relative / entry))]
            for entry in sorted(files):
                path = Path(directory) / entry
                if path.exists():
                    self.add_file(path, f'{target}/{relative / entry}')

    def add_program(self, host_path, name=None):
        """Add an executable with the shared libraries that the dynamic linker would load."""
        self.add_file(host_path, name)
        for library in shared_libraries(host_path):
            self.add_file(library)

    def add_busybox(self, host_path):
        self.add_file(host_path, 'bin/busybox')
        for applet in APPLETS:
            self.add_symlink(f'bin/{applet}', 'busybox')

    def add_modules(self, modules_dir, names):
        """Add kernel modules and what they depend on; /etc/modules lists them in loading order."""
        ordered = order_modules(modules_dir, names)
        for path in ordered:
            self.add_file(path, f'lib/modules/{path.name}')
        self.add_bytes('etc/modules', ''.join(f'{path.name}\n' for path in ordered).encode())

    def write(self, output):
        """Write the archive to a path. Parents sort before children, as unpacking needs."""
        with open(output, 'wb') as out:
            for inode, name in enumerate(sorted(self._members), start=1):
                _write_member(out, inode, name, *self._members[name])
            _write_member(out, 0, TRAILER, 0, b'', (0, 0))


def _write_member(out, inode, name, mode, data, device):
    encoded = name.encode() + b'\0'
    fields = [inode, mode, 0, 0, 2 if stat.S_ISDIR(mode) else 1, 0, len(data), 0, 0,
              device[0], device[1], len(encoded), 0]
    header = NEWC_MAGIC + ''.join(f'{field:08x}' for field in fields)
    out.write(_pad(header.encode() + encoded))
    out.write(_pad(data))


def _pad(data):
    return data + b'\0' * (-len(data) % 4)


def shared_libraries(program):
    """Host paths of a program's shared libraries and interpreter; none for a static one."""
    result = subprocess.run(['ldd', str(program)], capture_output=True, text=True, check=False)
    libraries = []
    for line in result.stdout.splitlines():
        found = re.search(r'(?:=>\s+)?(/\S+)\s+\(0x', line)
        if found:
            libraries.append(found.group(1))
        elif 'not found' in line:
            raise FileNotFoundError(f'{program}: {line.strip()}')
    return libraries


def module_dependencies(path):
    """The names in a module's .modinfo "depends=" entry."""
    entry = re.search(rb'\0depends=([^\0]*)\0', path.read_bytes())
    return [name for name in entry.group(1).decode().split(',') if name] if entry else []


def order_modules(modules_dir, names):
    """Paths of the named modules and their dependencies, each after what it needs."""
    by_name = {path.stem.replace('-', '_'): path for path in Path(modules_dir).rglob('*.ko')}
    ordered = []

    def visit(name):
        path = by_name.get(name.replace('-', '_'))
        if path is None:
            raise FileNotFoundError(f'no kernel module {name} below {modules_dir}')
        if path in ordered:
            return
        for dependency in module_dependencies(path):
            visit(dependency)
        ordered.append(path)

    for name in names:
        visit(name)
    return ordered
