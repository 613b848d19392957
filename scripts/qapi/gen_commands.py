# SPDX-License-Identifier: Apache-2.0
"""Prototypes of handlers, marshalling and the dispatch table: qapi-commands-MODULE.h and .c."""

from .common import LICENCE, c_name, c_string
from .gen_types import decl, module_header, object_descriptor, struct_body
from .schema import Command


def module_commands(schema, module):
    return [e for e in schema.modules[module] if isinstance(e, Command)]


def _returns_pointer(ret):
    return ret.is_pointer() or ret.meta in ('object', 'alternate')


def _const_param(member):
    ctype = member.c_decl_type()
    if ctype.endswith('*') and member.type.meta not in ('array',) and member.type.name != 'any':
        ctype = 'const ' + ctype
    return decl(ctype, member.c_name())


def _params(command):
    if not command.gen:
        return ['json_object *args', 'json_object **ret']
    params = []
    if command.boxed:
        params.append(f'const {command.arg.c_type()} *arg')
    elif command.arg:
        for member in command.arg.members():
            if member.needs_has():
                params.append(f'bool has_{c_name(member.name, protect=False)}')
            params.append(_const_param(member))
    if command.ret and not _returns_pointer(command.ret):
        params.append(f'{command.ret.c_type()} *ret')
    return params


def _return_type(command):
    if command.gen and command.ret and _returns_pointer(command.ret):
        if command.ret.meta in ('object', 'alternate'):
            return command.ret.c_type() + ' *'
        return command.ret.c_type()
    return 'bool'


def handler_name(command):
    return 'qmp_' + c_name(command.name, protect=False)


def _prototype(command):
    params = ', '.join(_params(command) + ['GError **error'])
    text = f'{decl(_return_type(command), handler_name(command))}({params});\n'
    return _wrap(text)


def _wrap(text, width=100):
    if len(text) <= width:
        return text
    indent = ' ' * (text.index('(') + 1)
    lines, line = [], ''
    for part in text.split(', '):
        if line and len(line) + 2 + len(part) > width - 2:
            lines.append(line + ',')
            line = indent + part
        else:
            line = f'{line}, {part}' if line else part
    return '\n'.join(lines + [line])


def generate_header(schema, module, prefix):
    out = module_header(schema, module, prefix, 'commands')
    out.append('#include "qapi/dispatch.h"\n')
    out.append(f'#include "{prefix}qapi-types-{module}.h"\n\n')
    for command in module_commands(schema, module):
        out.append(_prototype(command))
    out.append('\n#endif\n')
    return ''.join(out)


def generate_source(schema, module, prefix, pending):
    out = [LICENCE, f'/* Generated from {module}.json by scripts/qapi-gen. */\n',
           f'#include "{prefix}qapi-commands-{module}.h"\n'
           f'#include "{prefix}qapi-commands.h"\n']
    for command in module_commands(schema, module):
        out.append(_marshal(command, command.name in pending))
    return ''.join(out)


def marshal_name(command):
    return f'qmp_marshal_{c_name(command.name, protect=False)}'


def _marshal(command, pending):
    head = (f'\nbool {marshal_name(command)}(json_object *args, json_object **ret, '
            'GError **error)\n{\n')
    if pending:
        return head + f'    return qapi_command_pending({c_string(command.name)}, error);\n}}\n'
    if not command.gen:
        return head + f'    return {handler_name(command)}(args, ret, error);\n}}\n'
    return _arg_struct(command) + head + _marshal_body(command) + '}\n'


def _arg_type(command):
    return command.arg.c_type() if command.arg else None


def _arg_struct(command):
    if not command.arg or not command.arg.implicit or command.arg.is_empty():
        return ''
    name = _arg_type(command)
    return (f'\ntypedef struct {name} {{\n{struct_body(command.arg)}}} {name};\n'
            + object_descriptor(command.arg, static=True))


def _call_args(command):
    args = []
    if command.boxed:
        args.append('arg')
    elif command.arg:
        for member in command.arg.members():
            if member.needs_has():
                args.append(f'arg->has_{c_name(member.name, protect=False)}')
            args.append(f'arg->{member.c_name()}')
    if command.ret and not _returns_pointer(command.ret):
        args.append('&value')
    return ', '.join(args + ['&inner'])


def _marshal_body(command):
    out = []
    has_arg = command.arg and (command.boxed or not command.arg.is_empty())
    ret = command.ret
    out.append('    GError *inner = NULL;\n')
    if has_arg:
        out.append(f'    {_arg_type(command)} *arg = NULL;\n')
    if ret:
        out.append(f'    {decl(_value_type(ret), "value")};\n')
    else:
        out.append('    bool ok;\n')
    if has_arg:
        out.append(f'''
    if (!qapi_from_json(&{command.arg.descriptor()}, args, QAPI_JSON, (void **)&arg, error)) {{
        return false;
    }}
''')
    else:
        out.append('''
    if (!qapi_no_arguments(args, error)) {
        return false;
    }
''')
    out.append(_call(command))
    if has_arg:
        out.append(f'    qapi_free(&{command.arg.descriptor()}, arg);\n')
    done = 'ok' if not ret else '!inner' if ret.name == 'any' else '*ret != NULL'
    out.append(f'    return qapi_command_done({done}, inner, error);\n')
    return ''.join(out)


def _value_type(ret):
    if ret.meta in ('object', 'alternate'):
        return ret.c_type() + ' *'
    return ret.c_type()


def _call(command):
    call = f'{handler_name(command)}({_call_args(command)})'
    ret = command.ret
    if not ret:
        return f'    ok = {call};\n'
    if not _returns_pointer(ret):
        return (f'    if ({call}) {{\n        *ret = qapi_to_json(&{ret.descriptor()}, &value);\n'
                '    }\n')
    if ret.meta == 'array':
        element = ret.element.descriptor()
        convert = f'qapi_list_to_json(&{element}, value)'
        free = f'qapi_list_free(&{element}, value);'
    elif ret.name == 'any':
        return f'    value = {call};\n    *ret = value;\n'
    elif ret.name == 'str':
        convert = 'json_object_new_string(value)'
        free = 'g_free(value);'
    else:
        convert = f'qapi_to_json(&{ret.descriptor()}, value)'
        free = f'qapi_free(&{ret.descriptor()}, value);'
    return (f'    value = {call};\n    if (value) {{\n        *ret = {convert};\n        {free}\n'
            '    }\n')


def _flags(command):
    flags = []
    for on, name in ((command.allow_oob, 'OOB'), (command.allow_preconfig, 'PRECONFIG'),
                     (command.coroutine, 'COROUTINE'),
                     (not command.success_response, 'NO_SUCCESS_RESPONSE'),
                     ('deprecated' in command.features, 'DEPRECATED'),
                     ('unstable' in command.features, 'UNSTABLE')):
        if on:
            flags.append(f'QAPI_COMMAND_{name}')
    return ' | '.join(flags) or '0'


def generate_table(schema, prefix):
    """The table of all modules' commands, sorted by name: qapi-commands.h and .c.

    Several tables with prefixes of their own may refer to the same marshalling functions.
    """
    symbol = c_name(prefix) if prefix else ''
    commands = sorted(schema.commands.values(), key=lambda c: c.name)
    top = [LICENCE, '/* Generated by scripts/qapi-gen: every command of the schema. */\n']
    guard = f'VIREO_{symbol.upper()}QAPI_COMMANDS_H'
    header = top + [f'#ifndef {guard}\n#define {guard}\n\n#include "qapi/dispatch.h"\n\n',
                    f'extern const QapiCommandTable {symbol}qapi_commands;\n\n']
    for command in commands:
        header.append(_wrap(f'bool {marshal_name(command)}(json_object *args, '
                            'json_object **ret, GError **error);\n'))
    header.append('\n#endif\n')
    rows = ''.join(f'    {{ {c_string(c.name)}, {marshal_name(c)}, {_flags(c)} }},\n'
                   for c in commands)
    source = top + [f'''#include "{prefix}qapi-commands.h"

#include "{prefix}qapi-introspect.h"

static const QapiCommand commands[] = {{
{rows}}};

const QapiCommandTable {symbol}qapi_commands = {{
    .commands = commands,
    .n_commands = G_N_ELEMENTS(commands),
    .schema_json = {symbol}qapi_schema_json,
}};
''']
    return ''.join(header), ''.join(source)
