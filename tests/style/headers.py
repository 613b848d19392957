# SPDX-License-Identifier: Apache-2.0
"""Each header compiles alone: whoever includes it needs no other header before it."""

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import sources


def compiler_flags(build):
    """Include paths and definitions of the whole build, each once, in order."""
    commands = json.loads((build / 'compile_commands.json').read_text())
    flags = {}
    for entry in commands:
        for word in entry['command'].split():
            if word.startswith(('-I', '-isystem', '-D')) and '"' not in word:
                if word.startswith('-I') and not word[2:].startswith('/'):
                    word = f'-I{(build / word[2:]).resolve()}'
                flags[word] = None
    return list(flags)


def compile_header(path, flags):
    """The compiler's first complaint about a header on its own; None if it has none."""
    program = f'#include "{path}"\n'
    result = subprocess.run(
        ['cc', '-std=gnu11', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Wno-unused-parameter',
         '-Werror', '-fsyntax-only', *flags, f'-I{sources.TOP}', '-x', 'c', '-'],
        input=program, capture_output=True, text=True, check=False)
    if result.returncode == 0:
        return None
    complaints = [line for line in result.stderr.splitlines() if 'error' in line]
    return f'{path}: does not compile alone: {(complaints or ["?"])[0]}'


def check(build):
    flags = compiler_flags(build)
    headers = [path for path in sources.source_files('.h')
               if not sources.FREESTANDING.match(str(path))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from filter(None, pool.map(lambda path: compile_header(path, flags), headers))
