# SPDX-License-Identifier: Apache-2.0
"""Reads schema files: tokens, expressions and documentation comments.

A schema file is a sequence of JSON-like objects (single-quoted strings, true, false, objects,
arrays) and comments. A block of comment lines between two `##` lines documents the expression after
it, or stands free when it starts with `= Title`. `{'include': 'file'}` reads another file once.
"""

import os
import re


class SchemaError(Exception):
    """A mistake in the schema, with the place it was found."""

    def __init__(self, where, message):
        super().__init__(f'{where}: {message}')


class Doc:
    """One documentation block.

    symbol is the documented name (None for free text), body the paragraphs, members a dict from
    member name to text, features the same for features, sections a list of (tag, text).
    """

    TAGS = ('Returns', 'Errors', 'Since', 'Note', 'Notes', 'Example', 'Examples')

    def __init__(self, where, lines):
        self.where = where
        self.symbol = None
        self.title = None
        self.body = ''
        self.members = {}
        self.features = {}
        self.sections = []
        self._parse(lines)

    def _parse(self, lines):
        while lines and not lines[0].strip():
            lines.pop(0)
        if not lines:
            raise SchemaError(self.where, 'empty documentation block')
        if lines[0].startswith('= '):
            self.title = lines[0][2:].strip()
            self.body = '\n'.join(lines[1:]).strip()
            return
        first = re.fullmatch(r'@([\w.-]+):\s*', lines[0])
        if not first:
            raise SchemaError(self.where, 'a documentation block starts with @name: or = Title')
        self.symbol = first.group(1)
        self._parse_sections(lines[1:])

    def _parse_sections(self, lines):
        target = ('body', None)
        chunks = {}
        order = []
        in_features = False
        for line in lines:
            member = re.match(r'@([\w.-]+):(?:\s+(.*)|$)', line)
            tag = re.match(r'(\w+):(?:\s+(.*)|$)', line)
            if member:
                target = ('feature' if in_features else 'member', member.group(1))
                line = member.group(2) or ''
            elif tag and tag.group(1) == 'Features':
                in_features = True
                continue
            elif tag and tag.group(1) in self.TAGS:
                target = ('section', tag.group(1))
                line = tag.group(2) or ''
            if target not in chunks:
                chunks[target] = []
                order.append(target)
            elif member or (tag and tag.group(1) in self.TAGS):
                raise SchemaError(self.where, f"'{target[1]}' is documented twice")
            chunks[target].append(line)
        for target in order:
            self._store(target, _dedent(chunks[target]))

    def _store(self, target, text):
        kind, name = target
        if kind == 'body':
            self.body = text
        elif kind == 'member':
            self.members[name] = text
        elif kind == 'feature':
            self.features[name] = text
        else:
            self.sections.append((name, text))


def _dedent(lines):
    first, rest = lines[0], lines[1:]
    indents = [len(line) - len(line.lstrip()) for line in rest if line.strip()]
    cut = min(indents) if indents else 0
    return '\n'.join([first.strip()] + [line[cut:].rstrip() for line in rest]).strip()


class Expr:
    """One schema expression: its dict, where it stands, its module and its documentation."""

    def __init__(self, data, where, module, doc):
        self.data = data
        self.where = where
        self.module = module
        self.doc = doc


class Module:
    """One schema file: its short name, what it includes and its expressions and free text."""

    def __init__(self, name):
        self.name = name
        self.includes = []
        self.items = []


TOKEN = re.compile(r"""
    (?P<space>[ \t\r\n]+)
  | (?P<comment>\#[^\n]*)
  | (?P<punct>[{}\[\]:,])
  | (?P<string>'[^'\\\n]*')
  | (?P<word>true|false)
""", re.VERBOSE)


class Parser:
    """Parses one root file and all that it includes into `modules`, in reading order."""

    def __init__(self, root):
        self.modules = {}
        self.pragma = {'doc-required': False}
        self.files = []
        self._parse_file(root, None)

    def _parse_file(self, path, where):
        real = os.path.realpath(path)
        name = os.path.splitext(os.path.basename(path))[0]
        if name in self.modules:
            return name
        try:
            with open(path, encoding='utf-8') as stream:
                text = stream.read()
        except OSError as error:
            raise SchemaError(where or path, f'cannot read {path}: {error.strerror}') from error
        self.files.append(real)
        module = Module(name)
        self.modules[name] = module
        _FileParser(self, module, path, text).run()
        return name

    def include(self, path, where):
        return self._parse_file(path, where)


class _FileParser:
    def __init__(self, parser, module, path, text):
        self.parser = parser
        self.module = module
        self.path = path
        self.text = text
        self.pos = 0
        self.line = 1
        self.doc = None

    def where(self):
        return f'{self.path}:{self.line}'

    def run(self):
        while True:
            token, value = self._next(docs=True)
            if token is None:
                break
            if (token, value) != ('punct', '{'):
                raise SchemaError(self.where(), f'expected an object, found {value!r}')
            where, doc = self.where(), self.doc
            self.doc = None
            self._expression(self._object(), where, doc)
        self._flush_doc()

    def _flush_doc(self):
        if self.doc and self.doc.symbol:
            raise SchemaError(self.doc.where, f"documentation of '{self.doc.symbol}' stands alone")
        self.doc = None

    def _expression(self, data, where, doc):
        if 'include' in data:
            path = os.path.join(os.path.dirname(self.path), data['include'])
            self.module.includes.append(self.parser.include(path, where))
        elif 'pragma' in data:
            self.parser.pragma.update(data['pragma'])
        else:
            self.module.items.append(Expr(data, where, self.module.name, doc))

    def _next(self, docs=False):
        while self.pos < len(self.text):
            match = TOKEN.match(self.text, self.pos)
            if not match:
                raise SchemaError(self.where(), f'stray character {self.text[self.pos]!r}')
            if docs and match.lastgroup == 'comment' and match.group() == '##':
                self._doc_block()
                continue
            self.pos = match.end()
            self.line += match.group().count('\n')
            if match.lastgroup in ('space', 'comment'):
                continue
            return match.lastgroup, match.group()
        return None, None

    def _doc_block(self):
        self._flush_doc()
        where = self.where()
        end = re.compile(r'^##$', re.MULTILINE).search(self.text, self.pos + 2)
        if not end:
            raise SchemaError(where, "documentation block without closing '##'")
        block = self.text[self.pos + 2:end.start()].strip('\n').split('\n')
        for line in block:
            if line != '#' and not line.startswith('# '):
                raise SchemaError(where, f'documentation line without "# ": {line!r}')
        self.line += self.text.count('\n', self.pos, end.end())
        self.pos = end.end()
        doc = Doc(where, [line[2:] for line in block])
        if doc.symbol:
            self.doc = doc
        else:
            self.module.items.append(doc)

    def _object(self):
        result = {}
        token, value = self._next()
        if value == '}':
            return result
        while True:
            if token != 'string':
                raise SchemaError(self.where(), f'expected a string key, found {value!r}')
            key = value[1:-1]
            if key in result:
                raise SchemaError(self.where(), f"duplicate key '{key}'")
            self._expect(':')
            result[key] = self._value(*self._next())
            token, value = self._next()
            if value == '}':
                return result
            if value != ',':
                raise SchemaError(self.where(), f"expected ',' or '}}', found {value!r}")
            token, value = self._next()

    def _array(self):
        result = []
        token, value = self._next()
        if value == ']':
            return result
        while True:
            result.append(self._value(token, value))
            token, value = self._next()
            if value == ']':
                return result
            if value != ',':
                raise SchemaError(self.where(), f"expected ',' or ']', found {value!r}")
            token, value = self._next()

    def _value(self, token, value):
        if token == 'string':
            return value[1:-1]
        if token == 'word':
            return value == 'true'
        if value == '{':
            return self._object()
        if value == '[':
            return self._array()
        raise SchemaError(self.where(), f'unexpected {value!r}')

    def _expect(self, punct):
        _, value = self._next()
        if value != punct:
            raise SchemaError(self.where(), f"expected '{punct}', found {value!r}")
