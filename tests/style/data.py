# SPDX-License-Identifier: Apache-2.0
"""No mutable file-scope data outside system/, read from the compiled objects.

Constants with relocations lie in .data.rel.ro and are well. What cannot be avoided stands with its
reason in mutable-data.allow, one "SOURCE SYMBOL REASON" a line; a line that no longer applies is an
error too.
"""

import json
import re
import subprocess
from pathlib import Path

import sources

ALLOWED_FILE = Path('tests/style/mutable-data.allow')
UNRESTRICTED = re.compile(r'^(system|tests)/|/tests/|^qapi-')
MUTABLE_SECTIONS = re.compile(r'^\.(data|bss|tdata|tbss)(?!\.rel\.ro)')
_SYMBOL = re.compile(r'^[0-9a-f]+ .{7} (\S+)\s+[0-9a-f]+\s+(?:\.hidden )?(\S+)$')


def read_allowed():
    """{(source, symbol): line number}"""
    allowed = {}
    for number, line in enumerate(sources.read(ALLOWED_FILE).splitlines(), start=1):
        if line and not line.startswith('#'):
            source, symbol, _ = line.split(maxsplit=2)
            allowed[source, symbol] = number
    return allowed


def object_sources(build):
    """(object path, source path relative to the top) of all compiled C files below the top."""

    for entry in json.loads((build / 'compile_commands.json').read_text()):
        source = (build / entry['file']).resolve()
        if source.suffix == '.c' and source.is_relative_to(sources.TOP):
            relative = source.relative_to(sources.TOP)
            if not source.is_relative_to(build):
                yield build / entry['output'], str(relative)


def mutable_symbols(path):
    """Names of objects in writable sections; a static local's number is dropped."""
    table = subprocess.run(['objdump', '-t', path], capture_output=True, text=True, check=True)
    for line in table.stdout.splitlines():
        match = _SYMBOL.match(line)
        if match and MUTABLE_SECTIONS.match(match.group(1)):
            name = match.group(2)
            if not name.startswith('.'):
                yield re.sub(r'\.\d+$', '', name)


def check(build):
    allowed = read_allowed()
    used = set()
    for path, source in object_sources(build):
        if (UNRESTRICTED.search(source) or sources.FREESTANDING.match(source) or
                not path.exists()):
            continue
        for symbol in mutable_symbols(path):
            if (source, symbol) in allowed:
                used.add((source, symbol))
            else:
                yield f'{source}: mutable file-scope data: {symbol}'
    for (source, symbol), number in allowed.items():
        if (source, symbol) not in used:
            yield f'{ALLOWED_FILE}:{number}: {source} has no mutable {symbol} any more'
