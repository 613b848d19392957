#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The generator's errors: each names the place and what is wrong."""

import os
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])

from qapi.parser import SchemaError  # noqa: E402
from qapi.schema import Schema  # noqa: E402

CASES = [
    ("{ 'enum': 'A', 'data': [ 'x' ] } }", "t.json:1: expected an object, found '}'"),
    ("{ 'enum': 'A', 'data': [ 'x' ], }", "t.json:1: expected a string key"),
    ("{ 'struct': 'A', 'data': { 'x': 'nix' } }", "type 'nix' is not defined"),
    ("{ 'struct': 'A', 'data': {}, 'colour': 'x' }", "unknown key 'colour'"),
    ("{ 'data': {} }", 'defines exactly one thing'),
    ("{ 'command': 'a' }\n{ 'command': 'a' }", "t.json:2: 'a' is defined twice"),
    ("{ 'struct': 'A', 'data': { 'x': 'int', 'x': 'int' } }", "duplicate key 'x'"),
    ("{ 'struct': '?', 'data': {} }", "bad name '?'"),
    ("$", "stray character '$'"),
    ("##\n# @b:\n#\n# Text.\n##\n{ 'command': 'a' }", "documents 'b' but 'a' follows"),
    ("##\n# @a:\n#\n# Text.\n#\n# @x: what\n##\n{ 'command': 'a' }", "'a' has no member 'x'"),
    ("##\n# @a:\n", "without closing '##'"),
    ("##\n# @a:\n##\n", "stands alone"),
    ("{ 'pragma': { 'doc-required': true } }\n{ 'command': 'a' }", "'a' is not documented"),
    ("{ 'include': 'nowhere.json' }", 'cannot read'),
    ("{ 'union': 'U', 'base': { 'k': 'int' }, 'discriminator': 'k', 'data': {} }",
     'not a mandatory enum member'),
    ("{ 'enum': 'E', 'data': [ 'a' ] }\n{ 'struct': 'S', 'data': {} }\n"
     "{ 'union': 'U', 'base': { 'k': 'E' }, 'discriminator': 'k', 'data': { 'b': 'S' } }",
     "branch 'b' is not a value of the tag"),
    ("{ 'enum': 'E', 'data': [ 'a' ] }\n"
     "{ 'union': 'U', 'base': { 'k': 'E' }, 'discriminator': 'k', 'data': { 'a': 'str' } }",
     "branch 'a' is not a struct or union"),
    ("{ 'struct': 'A', 'data': { 'x': 'int' } }\n"
     "{ 'struct': 'B', 'base': 'A', 'data': { '*x': 'str' } }",
     "t.json:2: 'B' has two members 'x'"),
    ("{ 'enum': 'E', 'data': [ 'a' ] }\n"
     "{ 'union': 'U', 'base': { 'k': 'E', 'x': 'int' }, 'discriminator': 'k',"
     " 'data': { 'a': 'S' } }\n{ 'struct': 'S', 'data': { 'x': 'int' } }",
     "t.json:2: branch 'a' of 'U' has a second member 'x'"),
    ("{ 'command': 'a', 'data': 'int' }", "'int' cannot be an argument list"),
]


def main():
    failed = 0
    print(f'1..{len(CASES)}')
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 't.json')
        for number, (text, expected) in enumerate(CASES, 1):
            with open(path, 'w', encoding='utf-8') as stream:
                stream.write(text)
            try:
                Schema(path, set())
                message = 'no error'
            except SchemaError as error:
                message = str(error)
            ok = expected in message
            failed += not ok
            print(f'{"ok" if ok else "not ok"} {number} - {expected}')
            if not ok:
                print(f'# {message}')
    return 1 if failed else 0


sys.exit(main())
