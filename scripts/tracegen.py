#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turn a folder's trace-events into C: tracegen.py FOLDER EVENTS HEADER SOURCE

One event is one line, `name(type arg, type arg) "printf format"`; '#' begins a comment line. FOLDER
is the events file's place in the source tree; the header is included as "FOLDER/trace.h" and
has one
inline function trace_name() for each event, which costs one byte's load while the event is off.
"""

import re
import sys
from pathlib import Path

EVENT = re.compile(r'^(\w+)\((.*?)\)\s+(".*)$')
ARGUMENT = re.compile(r'^(.*[\s*])(\w+)$')


def parse(path):
    """(name, arguments as written, their names, format) of each event."""
    events = []
    seen = set()
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        line = line.strip()
        if not line or line.startswith('#'):
            continue
        match = EVENT.match(line)
        if not match:
            sys.exit(f'{path}:{number}: not of the form name(type arg, ...) "format"')
        name, arguments, text = match.groups()
        names = []
        if arguments.strip() not in ('', 'void'):
            for argument in arguments.split(','):
                parts = ARGUMENT.match(argument.strip())
                if not parts:
                    sys.exit(f'{path}:{number}: argument "{argument.strip()}" lacks type or name')
                names.append(parts.group(2))
        if name in seen:
            sys.exit(f'{path}:{number}: event {name} comes twice')
        seen.add(name)
        events.append((name, arguments.strip() or 'void', names, text))
    return events


def header(folder, events):
    guard = 'VIREO_' + re.sub(r'\W', '_', folder).upper() + '_TRACE_H'
    yield f'/* Generated from {folder}/trace-events by scripts/tracegen.py. */'
    yield f'#ifndef {guard}\n#define {guard}\n'
    yield '#include <inttypes.h>\n#include <stdbool.h>\n#include <stddef.h>\n'
    yield '#include "util/trace.h"\n'
    for name, arguments, names, text in events:
        yield f'extern TracePoint trace_point_{name};'
        yield f'static inline void trace_{name}({arguments})\n{{'
        yield f'    if (trace_is_on(&trace_point_{name})) {{'
        yield f'        trace_emit({", ".join([f"&trace_point_{name}", text] + names)});'
        yield '    }\n}\n'
    yield '#endif'


def source(folder, events):
    yield f'/* Generated from {folder}/trace-events by scripts/tracegen.py. */'
    yield f'#include "{folder}/trace.h"\n'
    for name, _, _, _ in events:
        yield f'TracePoint trace_point_{name} = {{ .name = "{name}" }};'
        yield f'TRACE_POINT(trace_point_{name});'


def main():
    folder, events_file, header_file, source_file = sys.argv[1:]
    events = parse(Path(events_file))
    Path(header_file).write_text('\n'.join(header(folder, events)) + '\n')
    Path(source_file).write_text('\n'.join(source(folder, events)) + '\n')


if __name__ == '__main__':
    main()
