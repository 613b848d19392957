# SPDX-License-Identifier: Apache-2.0
"""Names in C, and writing of output files."""

import os
import re

# Words that a C identifier must not be: keywords, and macros that gnu11 predefines.
RESERVED = set('''
    auto break case char const continue default do double else enum extern float for goto if inline
    int long register restrict return short signed sizeof static struct switch typedef union
    unsigned void volatile while asm typeof bool true false unix linux i386 errno
'''.split())

LICENCE = '/* SPDX-License-Identifier: Apache-2.0 */\n'


def c_name(name, protect=True):
    """The C identifier for a schema name: a-b.c becomes a_b_c; reserved words get a q_ prefix."""
    result = re.sub(r'[^A-Za-z0-9_]', '_', name)
    if protect and (result in RESERVED or result[0].isdigit()):
        return 'q_' + result
    return result


def c_upper(name):
    """CamelCase or dashed name to UPPER_CASE; an acronym stays one word (CPUInfo: CPU_INFO)."""
    name = re.sub(r'[^A-Za-z0-9_]', '_', name)
    name = re.sub(r'([a-z0-9])([A-Z])', r'\1_\2', name)
    name = re.sub(r'([A-Z])([A-Z][a-z])', r'\1_\2', name)
    return name.upper()


def c_string(text):
    """A C string literal; long texts are split over lines."""
    text = text.replace('\\', '\\\\').replace('"', '\\"').replace('\n', '\\n')
    return '"' + text + '"'


def guard(name):
    return 'VIREO_QAPI_' + c_upper(name) + '_H'


def write_if_changed(path, content):
    """Leaves an unchanged file's time stamp alone, so that dependents are not rebuilt."""
    try:
        with open(path, encoding='utf-8') as stream:
            if stream.read() == content:
                return
    except FileNotFoundError:
        pass
    os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
    with open(path, 'w', encoding='utf-8') as stream:
        stream.write(content)
