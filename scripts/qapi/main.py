# SPDX-License-Identifier: Apache-2.0
"""Runs the generators: qapi-gen [-D SYMBOL]... [-p PREFIX] [--pending FILE] [-o DIR] ROOT.json

With --tables only what belongs to one program is written: its table of commands and its
introspection. Types and marshalling come from a run on a schema that includes the same modules.
"""

import argparse
import os
import sys

from . import gen_commands, gen_docs, gen_events, gen_introspect, gen_types
from .common import write_if_changed
from .parser import SchemaError
from .schema import Schema


def table_outputs(schema, prefix):
    """What names every command of the schema, so that a program that links it has them all."""
    files = {}
    header, source = gen_commands.generate_table(schema, prefix)
    files[f'{prefix}qapi-commands.h'] = header
    files[f'{prefix}qapi-commands.c'] = source
    header, source = gen_introspect.generate(schema, prefix)
    files[f'{prefix}qapi-introspect.h'] = header
    files[f'{prefix}qapi-introspect.c'] = source
    return files


def outputs(schema, prefix, pending):
    """Maps file name to content."""
    files = table_outputs(schema, prefix)
    for module in schema.modules:
        for kind, header, source in (
                ('types', gen_types.generate_header(schema, module, prefix),
                 gen_types.generate_source(schema, module, prefix)),
                ('commands', gen_commands.generate_header(schema, module, prefix),
                 gen_commands.generate_source(schema, module, prefix, pending)),
                ('events', gen_events.generate_header(schema, module, prefix),
                 gen_events.generate_source(schema, module, prefix))):
            files[f'{prefix}qapi-{kind}-{module}.h'] = header
            files[f'{prefix}qapi-{kind}-{module}.c'] = source
    files[f'{prefix}qapi-events.h'] = gen_events.generate_list(schema, prefix)
    files[f'{prefix}qmp-reference.md'] = gen_docs.generate(schema)
    return files


def read_pending(path, schema):
    """Commands whose handler does not exist yet: one name a line, # comments."""
    pending = set()
    if not path:
        return pending
    with open(path, encoding='utf-8') as stream:
        for number, line in enumerate(stream, 1):
            name = line.split('#')[0].strip()
            if name and name not in schema.commands:
                raise SchemaError(f'{path}:{number}', f"no command '{name}'")
            if name:
                pending.add(name)
    return pending


def main(argv):
    parser = argparse.ArgumentParser(prog='qapi-gen')
    parser.add_argument('root')
    parser.add_argument('-o', '--output', default='.')
    parser.add_argument('-p', '--prefix', default='')
    parser.add_argument('-D', '--define', action='append', default=[])
    parser.add_argument('--pending')
    parser.add_argument('--tables', action='store_true')
    args = parser.parse_args(argv)
    try:
        schema = Schema(args.root, set(args.define))
        pending = read_pending(args.pending, schema)
        files = (table_outputs(schema, args.prefix) if args.tables
                 else outputs(schema, args.prefix, pending))
    except SchemaError as error:
        print(error, file=sys.stderr)
        return 1
    for name, content in files.items():
        write_if_changed(os.path.join(args.output, name), content)
    return 0
