# SPDX-License-Identifier: Apache-2.0
"""C types and their descriptors: qapi-types-MODULE.h and .c."""

from .common import LICENCE, c_name, c_string, guard
from .schema import Alternate, Enum, Object


def module_header(schema, module, prefix, kind):
    """The opening of a generated header: licence, guard, includes of what the module includes."""
    name = f'{prefix}qapi-{kind}-{module}'
    out = [LICENCE, f'/* Generated from {module}.json by scripts/qapi-gen. */\n',
           f'#ifndef {guard(name)}\n#define {guard(name)}\n\n']
    return out


def generate_header(schema, module, prefix):
    out = module_header(schema, module, prefix, 'types')
    out.append('#include "qapi/visit.h"\n')
    for include in schema.includes[module]:
        out.append(f'#include "{prefix}qapi-types-{include}.h"\n')
    entities = schema.modules[module]
    out.append('\n')
    for entity in entities:
        if isinstance(entity, (Object, Alternate)):
            name = entity.c_type()
            out.append(f'typedef struct {name} {name};\n')
    for entity in entities:
        if isinstance(entity, Enum):
            out.append(_enum_decl(entity))
    for entity in _by_value_order([e for e in entities if isinstance(e, (Object, Alternate))]):
        out.append(_object_decl(entity))
    out.append('\n#endif\n')
    return ''.join(out)


def _by_value_order(entities):
    """Branches are embedded by value, so a union's struct follows those of its branches."""
    order = []
    seen = set()

    def visit(entity):
        if entity.name in seen:
            return
        seen.add(entity.name)
        if isinstance(entity, Object):
            for _, branch in entity.branches:
                visit(branch)
        if entity in entities:
            order.append(entity)

    for entity in entities:
        visit(entity)
    return order


def _enum_decl(enum):
    name = enum.c_type()
    out = [f'\ntypedef enum {name} {{\n']
    for value in enum.values:
        out.append(f'    {enum.c_value(value.name)},\n')
    out.append(f'    {enum.prefix}__MAX,\n}} {name};\n\n')
    out.append(f'''extern const QapiType {name}_type;
static inline const char *{name}_str({name} value)
{{
    return qapi_enum_str(&{name}_type, (int)value);
}}
static inline bool {name}_parse(const char *name, {name} *value, GError **error)
{{
    int number;

    if (!qapi_enum_parse(&{name}_type, name, &number, error)) {{
        return false;
    }}
    *value = ({name})number;
    return true;
}}
''')
    return ''.join(out)


def member_decls(members, indent='    '):
    out = []
    for member in members:
        if member.needs_has():
            out.append(f'{indent}bool has_{c_name(member.name, protect=False)};\n')
        out.append(f'{indent}{decl(member.c_decl_type(), member.c_name())};\n')
    return ''.join(out)


def decl(ctype, name):
    return ctype + ('' if ctype.endswith('*') else ' ') + name


def struct_body(entity):
    if isinstance(entity, Alternate):
        return ('    QapiJsonType type;\n    union {\n'
                + member_decls(entity.branches, '        ') + '    } u;\n')
    out = member_decls(entity.members())
    if entity.discriminator:
        branches = [(case, typ) for case, typ in entity.branches if not typ.is_empty()]
        if branches:
            out += '    union {\n'
            for case, typ in branches:
                out += f'        {typ.c_type()} {c_name(case)};\n'
            out += '    } u;\n'
    return out or '    char unused;\n'


def _object_decl(entity):
    name = entity.c_type()
    return f'''
struct {name} {{
{struct_body(entity)}}};
extern const QapiType {name}_type;
static inline void {name}_free({name} *obj)
{{
    qapi_free(&{name}_type, obj);
}}
G_DEFINE_AUTOPTR_CLEANUP_FUNC({name}, {name}_free)
static inline {name} *{name}_clone(const {name} *obj)
{{
    return qapi_clone(&{name}_type, obj);
}}
static inline json_object *{name}_to_json(const {name} *obj)
{{
    return qapi_to_json(&{name}_type, obj);
}}
static inline bool {name}_from_json(json_object *json, QapiFlags flags, {name} **out,
                                    GError **error)
{{
    return qapi_from_json(&{name}_type, json, flags, (void **)out, error);
}}
static inline GPtrArray *{name}_list_new(void)
{{
    return qapi_list_new(&{name}_type);
}}
'''


def generate_source(schema, module, prefix):
    out = [LICENCE, f'/* Generated from {module}.json by scripts/qapi-gen. */\n',
           f'#include "{prefix}qapi-types-{module}.h"\n']
    for entity in schema.modules[module]:
        if isinstance(entity, Enum):
            out.append(_enum_descriptor(entity))
        elif isinstance(entity, (Object, Alternate)):
            out.append(object_descriptor(entity))
    return ''.join(out)


def _enum_descriptor(enum):
    name = enum.c_type()
    values = ''.join(f'    [{enum.c_value(v.name)}] = {c_string(v.name)},\n' for v in enum.values)
    return f'''
static const char *const {name}_values[] = {{
{values}    NULL
}};
const QapiType {name}_type = {{
    .name = "{enum.name}",
    .kind = QAPI_KIND_ENUM,
    .size = sizeof({name}),
    .values = {name}_values,
    .n_values = {enum.prefix}__MAX,
}};
'''


def _member_doc(owner, member):
    """The first paragraph of the member's documentation, on one line."""
    while owner is not None:
        if owner.doc and member.name in owner.doc.members:
            text = owner.doc.members[member.name].split('\n\n')[0]
            return c_string(' '.join(text.split()))
        owner = getattr(owner, 'base', None)
    return 'NULL'


def _member_rows(entity, name, members, in_u):
    out = []
    for member in members:
        typ = member.type
        flags = []
        if member.optional:
            flags.append('QAPI_MEMBER_OPTIONAL')
        if typ.meta == 'array':
            flags.append('QAPI_MEMBER_LIST')
            typ = typ.element
        for feature in ('deprecated', 'unstable'):
            if feature in member.features:
                flags.append(f'QAPI_MEMBER_{feature.upper()}')
        field = ('u.' if in_u else '') + member.c_name()
        has = (f'offsetof({name}, has_{c_name(member.name, protect=False)})' if member.needs_has()
               else 'QAPI_NO_HAS')
        out.append(f'    {{ {c_string(member.name)}, &{typ.descriptor()},\n'
                   f'      offsetof({name}, {field}), {has},\n'
                   f'      {" | ".join(flags) or "0"}, {_member_doc(entity, member)} }},\n')
    return ''.join(out)


def object_descriptor(entity, static=False):
    name = entity.c_type()
    alternate = isinstance(entity, Alternate)
    members = entity.branches if alternate else entity.members()
    out = []
    if members:
        out.append(f'\nstatic const QapiMember {name}_members[] = {{\n'
                   f'{_member_rows(entity, name, members, alternate)}}};\n')
    fields = [f'    .name = "{entity.name}",\n',
              f'    .kind = QAPI_KIND_{"ALTERNATE" if alternate else "OBJECT"},\n',
              f'    .size = sizeof({name}),\n']
    if members:
        fields += [f'    .members = {name}_members,\n', f'    .n_members = {len(members)},\n']
    if alternate:
        fields.append(f'    .u_offset = offsetof({name}, u),\n')
    elif entity.discriminator:
        out.append(_branch_table(entity, name))
        fields += _union_fields(entity, name)
    storage = 'static ' if static else ''
    if not static:
        out.append(f'''
static void {name}_destroy(void *obj)
{{
    {name}_free(obj);
}}
''')
        fields.append(f'    .destroy = {name}_destroy,\n')
    out.append(f'{storage}const QapiType {name}_type = {{\n{"".join(fields)}}};\n')
    return ''.join(out)


def _branch_table(entity, name):
    tag = entity.discriminator.type
    rows = ''.join(f'    [{tag.c_value(case)}] = &{typ.descriptor()},\n'
                   for case, typ in entity.branches if not typ.is_empty())
    return (f'\nstatic const QapiType *const {name}_branches[{tag.prefix}__MAX] = {{\n{rows}'
            '};\n')


def _union_fields(entity, name):
    tag = entity.discriminator
    fields = [f'    .tag = &{tag.type.descriptor()},\n',
              f'    .tag_name = "{tag.name}",\n',
              f'    .tag_offset = offsetof({name}, {tag.c_name()}),\n',
              f'    .branches = {name}_branches,\n']
    if any(not typ.is_empty() for _, typ in entity.branches):
        fields.append(f'    .u_offset = offsetof({name}, u),\n')
    return fields
