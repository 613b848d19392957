# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: describing the host, reading memory maps, writing their section of
docs/benchmarks.md."""

import os
import re
import subprocess
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
DOCUMENT = TOP / 'docs' / 'benchmarks.md'
END_MARK = '<!-- end of results -->'
MIB = 1024 * 1024


class Mapping:
    """One entry of /proc/PID/smaps."""

    def __init__(self, line):
        found = re.match(r'^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+\s*(.*)$', line)
        self.size = int(found.group(2), 16) - int(found.group(1), 16)
        self.rights = found.group(3)
        self.name = found.group(4)
        self.resident = 0


def mappings(pid):
    entries = []
    for line in Path(f'/proc/{pid}/smaps').read_text().splitlines():
        if re.match(r'^[0-9a-f]+-[0-9a-f]+ ', line):
            entries.append(Mapping(line))
        elif line.startswith('Rss:'):
            entries[-1].resident = 1024 * int(line.split()[1])
    return entries


def beyond_ram(pid, ram_bytes):
    """The mappings that are not the guest's RAM: that is one of at least nine tenths its size."""
    entries = mappings(pid)
    others = [entry for entry in entries
              if not 0.9 * ram_bytes <= entry.size or 'x' in entry.rights]
    if len(others) == len(entries):
        raise RuntimeError(f'no mapping of {ram_bytes // MIB} MiB: which one is guest RAM?')
    return others


def host_description():
    model = re.search(r'^model name\s*:\s*(.*)$', Path('/proc/cpuinfo').read_text(), re.MULTILINE)
    flags = re.search(r'^flags\s*:(.*)$', Path('/proc/cpuinfo').read_text(), re.MULTILINE).group(1)
    kind = next((name for flag, name in (('vmx', 'VMX'), ('svm', 'SVM')) if flag in flags.split()),
                'neither VMX nor SVM: KVM of the PVM kind')
    return f'{os.cpu_count()} × {model.group(1) if model else "unknown processor"} ({kind})'


def program_version(program):
    return subprocess.run([program, '--version'], capture_output=True, text=True,
                          check=True).stdout.splitlines()[0]


def table(heads, rows):
    """Markdown: the first column is text, numbers stand right."""
    rule = ['---'] + ['--:'] * (len(heads) - 1)
    lines = [f'| {" | ".join(heads)} |', f'|{"|".join(rule)}|']
    lines += [f'| {" | ".join(row)} |' for row in rows]
    return '\n'.join(lines) + '\n'


def write_section(program, text):
    """Replace what stands between the program's mark and the next end mark."""
    mark = f'<!-- results: written by tests/bench/{program} -->'
    document = DOCUMENT.read_text()
    if mark not in document:
        raise RuntimeError(f'{DOCUMENT} has no {mark}')
    head, _, rest = document.partition(mark)
    _, _, tail = rest.partition(END_MARK)
    DOCUMENT.write_text(f'{head}{mark}\n{text}{END_MARK}{tail}')
