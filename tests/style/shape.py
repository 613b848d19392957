# SPDX-License-Identifier: Apache-2.0
"""What DESIGN's house style says about the look of a file, as far as a program can see it."""

import re

import sources

MAX_FILE_LINES = 1000
MAX_FUNCTION_LINES = 100
MAX_COLUMNS = 100
LICENCE = 'SPDX-License-Identifier: Apache-2.0'
C_SUFFIXES = ('.c', '.h')
TEXT_SUFFIXES = ('.c', '.h', '.S', '.ld', '.py', '.sh', '.json', '.build', '')
# Files that are not ours to shape.
EXEMPT = {'LICENSE', '.gitignore', 'meson.build'}

_CONTROL = re.compile(r'\b(if|for|while|switch|else|do)\b')
_CODE_IN_COMMENT = re.compile(
    r'^\s*(?:'
    r'(?:\w+\s+\*?)?[\w.\[\]>-]+\([^()]*\);'            # call(...);
    r'|\*?[\w.\[\]>-]+ (?:[|&+-]|<<|>>)?= [^;]*;'       # a = b;
    r'|(?:return|goto)\b[^;]*;'
    r'|(?:break|continue);'
    r'|(?:if|for|while|switch) \(.*\) \{'
    r'|#\s*(?:if|ifdef|endif|include|define)\b.*'
    r')\s*$')
_BLOCK_COMMENT = re.compile(r'/\*(.*?)\*/', re.DOTALL)


def check_length():
    for path in sources.source_files('.c', '.h', '.py', '.S'):
        lines = sources.read(path).splitlines()
        if len(lines) > MAX_FILE_LINES:
            yield f'{path}:1: {len(lines)} lines; at most {MAX_FILE_LINES}'
    for path in sources.source_files('.c', '.h'):
        start = None
        for number, line in enumerate(sources.read(path).splitlines(), start=1):
            if line == '{':
                start = number
            elif line == '}' and start:
                if number - start - 1 > MAX_FUNCTION_LINES:
                    yield (f'{path}:{start}: a function of {number - start - 1} lines; '
                           f'at most {MAX_FUNCTION_LINES}')
                start = None


def check_text():
    for path in sources.source_files(*TEXT_SUFFIXES):
        if path.name in EXEMPT:
            continue
        text = sources.read(path)
        if not text:
            continue
        yield from check_head(path, text)
        if not text.endswith('\n') or text.endswith('\n\n'):
            yield f'{path}: must end in exactly one newline'
        for number, line in enumerate(text.splitlines(), start=1):
            if '\t' in line:
                yield f'{path}:{number}: a tab'
            if line != line.rstrip():
                yield f'{path}:{number}: trailing space'
            if len(line) > MAX_COLUMNS:
                yield f'{path}:{number}: {len(line)} columns; at most {MAX_COLUMNS}'


def check_head(path, text):
    """The licence line, and a header's guard."""
    lines = text.splitlines()
    if path.suffix in C_SUFFIXES:
        if lines[0] != f'/* {LICENCE} */':
            yield f'{path}:1: the first line must be /* {LICENCE} */'
    elif LICENCE not in '\n'.join(lines[:2]):
        yield f'{path}:1: no "{LICENCE}" in the first two lines'
    if path.suffix == '.h':
        guard = 'VIREO_' + re.sub(r'\W', '_', str(path)).upper()
        if f'#ifndef {guard}\n#define {guard}\n' not in text:
            yield f'{path}:1: the guard must be {guard}'


def matching_parenthesis(code, start):
    """The offset behind the parenthesis that closes the one at `start`."""
    depth = 0
    for offset in range(start, len(code)):
        depth += {'(': 1, ')': -1}.get(code[offset], 0)
        if depth == 0:
            return offset + 1
    return len(code)


def check_braces():
    for path in sources.source_files('.c', '.h'):
        code = sources.code_of(sources.read(path))
        for match in _CONTROL.finditer(code):
            word = match.group(1)
            after = match.end()
            if word not in ('else', 'do'):
                opening = re.compile(r'\s*\(').match(code, after)
                if not opening:
                    continue
                after = matching_parenthesis(code, opening.end() - 1)
            rest = code[after:after + 200].lstrip()
            if rest.startswith('{') or (word == 'else' and re.match(r'if\b', rest)):
                continue
            if (word == 'while' and rest.startswith(';') and
                    code[:match.start()].rstrip().endswith('}')):
                continue
            yield f'{path}:{sources.line_of(code, match.start())}: braces after "{word}"'


def check_comments():
    """Code left behind in comments, by its look."""
    for path in sources.source_files('.c', '.h'):
        text = sources.read(path)
        for match in _BLOCK_COMMENT.finditer(text):
            first = sources.line_of(text, match.start())
            # A file's leading comment may show how something is used.
            if first <= 2:
                continue
            for index, line in enumerate(match.group(1).splitlines()):
                if _CODE_IN_COMMENT.match(line.lstrip(' *')):
                    yield f'{path}:{first + index}: looks like code in a comment'
        for number, line in enumerate(text.splitlines(), start=1):
            if re.match(r'^\s*//', line):
                yield f'{path}:{number}: comments are written /* */'
            if re.match(r'^\s*#\s*if 0\b', line):
                yield f'{path}:{number}: #if 0 keeps dead code'
