# SPDX-License-Identifier: Apache-2.0
"""The reference manual of the schema, as Markdown."""

from .parser import Doc
from .schema import Alternate, Command, Enum, Event, Object


def type_text(typ):
    if typ.meta == 'array':
        return f'list of {type_text(typ.element)}'
    if typ.meta == 'builtin':
        return f'`{typ.name}`'
    if typ.implicit if isinstance(typ, Object) else False:
        return 'object'
    return f'[`{typ.name}`](#{typ.name.lower()})'


def _member_lines(owner, members):
    lines = []
    for member in members:
        notes = ['optional'] if member.optional else []
        notes += member.features
        note = f' ({", ".join(notes)})' if notes else ''
        text = _doc_of(owner, member.name)
        lines.append(f'- `{member.name}`: {type_text(member.type)}{note}{text}')
    return lines


def _doc_of(owner, name):
    while owner is not None:
        if owner.doc and name in owner.doc.members:
            return '. ' + ' '.join(owner.doc.members[name].split())
        owner = getattr(owner, 'base', None)
    return ''


def _kind(entity):
    if isinstance(entity, Object):
        return 'union' if entity.discriminator else 'struct'
    return type(entity).__name__.lower()


def _entity(entity):
    lines = [f'### {entity.name}', '', f'*{_kind(entity)}*', '']
    doc = entity.doc
    if doc and doc.body:
        lines += [doc.body, '']
    lines += _details(entity)
    if doc:
        for name, text in doc.features.items():
            lines.append(f'- feature `{name}`: {" ".join(text.split())}')
        for tag, text in doc.sections:
            lines += ['', f'**{tag}:**' + (f'\n\n```\n{text}\n```' if 'Example' in tag
                                           else f' {text}')]
    return lines + ['']


def _details(entity):
    if isinstance(entity, Enum):
        return [f'- `{v.name}`' + (f' ({", ".join(v.features)})' if v.features else '')
                + _doc_of(entity, v.name) for v in entity.values]
    if isinstance(entity, Alternate):
        return _member_lines(entity, entity.branches)
    if isinstance(entity, Object):
        lines = _member_lines(entity, entity.members())
        for case, typ in entity.branches:
            lines.append(f'- if `{entity.discriminator.name}` is `{case}`: members of '
                         f'{type_text(typ)}')
        return lines
    lines = []
    if entity.arg:
        lines.append('Arguments:' if isinstance(entity, Command) else 'Data:')
        lines.append('')
        if entity.arg.implicit:
            lines += _member_lines(entity, entity.arg.members())
        else:
            lines.append(f'the members of {type_text(entity.arg)}')
        lines.append('')
    if isinstance(entity, Command) and entity.ret:
        lines += [f'Returns {type_text(entity.ret)}.', '']
    return lines


def generate(schema):
    out = ['# QMP reference', '',
           'Generated from the schema in `qapi/`. Names and types are those of QMP as QEMU 7.2 '
           'speaks it.', '']
    for entities in schema.modules.values():
        for entity in entities:
            if isinstance(entity, Doc):
                out += [f'## {entity.title}', '', entity.body, '']
            elif isinstance(entity, (Enum, Object, Alternate, Command, Event)):
                out += _entity(entity)
    return '\n'.join(out)
