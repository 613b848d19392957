# SPDX-License-Identifier: Apache-2.0
"""The project's own source files, and C text without what is not code."""

import os
import re
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
SKIPPED_DIRECTORIES = re.compile(r'^(build.*|\.git|\.cache|__pycache__|subprojects)$')
# Programs of guests: built without the host's headers and without ours.
FREESTANDING = re.compile(r'^(tests/bench/guest|hw/i386/roms)/')

_NOT_CODE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
_DIRECTIVE = re.compile(r'^[ \t]*#(?:[^\n\\]|\\.|\\\n)*', re.MULTILINE)


def source_files(*suffixes):
    """Paths relative to the top of all files with one of the suffixes ('' means none), sorted."""
    found = []
    for directory, subdirs, files in os.walk(TOP):
        subdirs[:] = [name for name in subdirs if not SKIPPED_DIRECTORIES.match(name)]
        for name in files:
            path = Path(directory, name).relative_to(TOP)
            if path.suffix in suffixes and name != '.git':
                found.append(path)
    return sorted(found)


def read(path):
    return (TOP / path).read_text(encoding='utf-8', errors='replace')


def _blank(match):
    """Spaces in place of a piece of text, so that line numbers and columns stay."""
    return re.sub(r'[^\n]', ' ', match.group())


def code_of(text):
    """C text with comments, literals and preprocessor lines blanked out."""
    return _DIRECTIVE.sub(_blank, _NOT_CODE.sub(_blank, text))


def line_of(text, offset):
    return text.count('\n', 0, offset) + 1
