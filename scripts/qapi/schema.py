# SPDX-License-Identifier: Apache-2.0
"""The schema's meaning: types, commands and events with every name resolved and checked."""

import re

from .common import c_name, c_upper
from .parser import Doc, Parser, SchemaError

NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9_.-]*')

# Built-in types: C type, descriptor kind, JSON type for introspection.
BUILTINS = {
    'str': ('char *', 'STR', 'string'),
    'number': ('double', 'NUMBER', 'number'),
    'int': ('int64_t', 'INT64', 'int'),
    'int8': ('int8_t', 'INT8', 'int'),
    'int16': ('int16_t', 'INT16', 'int'),
    'int32': ('int32_t', 'INT32', 'int'),
    'int64': ('int64_t', 'INT64', 'int'),
    'uint8': ('uint8_t', 'UINT8', 'int'),
    'uint16': ('uint16_t', 'UINT16', 'int'),
    'uint32': ('uint32_t', 'UINT32', 'int'),
    'uint64': ('uint64_t', 'UINT64', 'int'),
    'size': ('uint64_t', 'SIZE', 'int'),
    'bool': ('bool', 'BOOL', 'boolean'),
    'any': ('json_object *', 'ANY', 'value'),
    'null': ('QapiNull', 'NULL', 'null'),
}

EXPR_KEYS = {
    'enum': {'data', 'prefix', 'if', 'features'},
    'struct': {'data', 'base', 'if', 'features'},
    'union': {'base', 'discriminator', 'data', 'if', 'features'},
    'alternate': {'data', 'if', 'features'},
    'command': {'data', 'boxed', 'returns', 'success-response', 'gen', 'allow-oob',
                'allow-preconfig', 'coroutine', 'if', 'features'},
    'event': {'data', 'boxed', 'if', 'features'},
}


def condition_holds(cond, config):
    """Evaluates an 'if' value against the set of configured symbols."""
    if cond is None:
        return True
    if isinstance(cond, str):
        return cond in config
    (operator, operand), = cond.items()
    if operator == 'all':
        return all(condition_holds(c, config) for c in operand)
    if operator == 'any':
        return any(condition_holds(c, config) for c in operand)
    return not condition_holds(operand, config)


class Feature:
    def __init__(self, name):
        self.name = name


def make_features(items, config):
    result = []
    for item in items or []:
        if isinstance(item, str):
            item = {'name': item}
        if condition_holds(item.get('if'), config):
            result.append(item['name'])
    return result


class Type:
    """Common to all types. `used` is set when a command or event reaches it (introspection)."""

    meta = None

    def __init__(self, name, module=None, doc=None, features=()):
        self.name = name
        self.module = module
        self.doc = doc
        self.features = list(features)

    def c_type(self):
        return c_name(self.name, protect=False)

    def is_pointer(self):
        return False

    def descriptor(self):
        return f'{c_name(self.name, protect=False)}_type'


class Builtin(Type):
    meta = 'builtin'

    def __init__(self, name):
        super().__init__(name)
        self.ctype, self.kind, self.json = BUILTINS[name]

    def c_type(self):
        return self.ctype

    def is_pointer(self):
        return self.name in ('str', 'any')

    def descriptor(self):
        return f'qapi_{self.name}_type'


class EnumValue:
    def __init__(self, name, features):
        self.name = name
        self.features = features


class Enum(Type):
    meta = 'enum'

    def __init__(self, name, module, doc, features, values, prefix):
        super().__init__(name, module, doc, features)
        self.values = values
        self.prefix = prefix or c_upper(name)

    def c_value(self, value):
        return f'{self.prefix}_{c_upper_value(value)}'


def c_upper_value(value):
    """An enum value's C name: letters are raised, nothing is split (x86_64: X86_64)."""
    return re.sub(r'[^A-Za-z0-9_]', '_', value).upper()


class Array:
    """A list of elements: GPtrArray for pointers, GArray for scalars and enums."""

    meta = 'array'

    def __init__(self, element):
        self.element = element
        self.name = f'[{element.name}]'

    def c_type(self):
        return 'GPtrArray *' if self.element_is_pointer() else 'GArray *'

    def element_is_pointer(self):
        return self.element.is_pointer() or self.element.meta in ('object', 'alternate')

    def is_pointer(self):
        return True


class Member:
    def __init__(self, name, typ, optional, features):
        self.name = name
        self.type = typ
        self.optional = optional
        self.features = features

    def c_name(self):
        return c_name(self.name)

    def needs_has(self):
        """Optional members that no null pointer can mark absent carry a has_ flag."""
        return self.optional and not (self.type.is_pointer()
                                      or self.type.meta in ('object', 'alternate'))

    def c_decl_type(self):
        text = self.type.c_type()
        if self.type.meta in ('object', 'alternate'):
            text += ' *'
        return text


class Object(Type):
    """A struct or union. branches: list of (case, Object or None) when discriminator is set."""

    meta = 'object'

    def __init__(self, name, module, doc, features, implicit=False):
        super().__init__(name, module, doc, features)
        self.base = None
        self.local = []
        self.discriminator = None
        self.branches = []
        self.implicit = implicit

    def members(self):
        return (self.base.members() if self.base else []) + self.local

    def is_empty(self):
        return not self.members() and not self.discriminator


class Alternate(Type):
    """branches: list of Member, told apart by their JSON type."""

    meta = 'alternate'

    def __init__(self, name, module, doc, features):
        super().__init__(name, module, doc, features)
        self.branches = []


class Command:
    def __init__(self, expr):
        data = expr.data
        self.name = data['command']
        self.module = expr.module
        self.doc = expr.doc
        self.arg = None
        self.ret = None
        self.boxed = data.get('boxed', False)
        self.gen = data.get('gen', True)
        self.success_response = data.get('success-response', True)
        self.allow_oob = data.get('allow-oob', False)
        self.allow_preconfig = data.get('allow-preconfig', False)
        self.coroutine = data.get('coroutine', False)
        self.features = []


class Event:
    def __init__(self, expr):
        self.name = expr.data['event']
        self.module = expr.module
        self.doc = expr.doc
        self.arg = None
        self.boxed = expr.data.get('boxed', False)
        self.features = []


class Schema:
    """modules: name -> list of entities and free-text Docs in file order."""

    def __init__(self, root, config):
        parser = Parser(root)
        self.config = config
        self.files = parser.files
        self.root = next(iter(parser.modules))
        self.includes = {name: m.includes for name, m in parser.modules.items()}
        self.doc_required = parser.pragma['doc-required']
        self.types = {name: Builtin(name) for name in BUILTINS}
        self.commands = {}
        self.events = {}
        self.modules = {}
        self._exprs = []
        for module in parser.modules.values():
            entities = self.modules.setdefault(module.name, [])
            for item in module.items:
                if isinstance(item, Doc):
                    entities.append(item)
                else:
                    self._declare(item, entities)
        for expr, entity in self._exprs:
            self._define(expr, entity)
        for expr, entity in self._exprs:
            self._check_members(expr, entity)
            self._check_doc(expr, entity)

    def _declare(self, expr, entities):
        metas = [key for key in EXPR_KEYS if key in expr.data]
        if len(metas) != 1:
            raise SchemaError(expr.where, 'an expression defines exactly one thing')
        meta = metas[0]
        unknown = set(expr.data) - EXPR_KEYS[meta] - {meta}
        if unknown:
            raise SchemaError(expr.where, f"{meta} has unknown key '{sorted(unknown)[0]}'")
        if not condition_holds(expr.data.get('if'), self.config):
            return
        name = expr.data[meta]
        if not NAME.fullmatch(name):
            raise SchemaError(expr.where, f"bad name '{name}'")
        entity = self._make(meta, expr)
        space = {'command': self.commands, 'event': self.events}.get(meta, self.types)
        if name in space:
            raise SchemaError(expr.where, f"'{name}' is defined twice")
        space[name] = entity
        entities.append(entity)
        self._exprs.append((expr, entity))

    def _make(self, meta, expr):
        data = expr.data
        features = make_features(data.get('features'), self.config)
        common = (data[meta], expr.module, expr.doc, features)
        if meta == 'enum':
            values = []
            for value in data['data']:
                value = {'name': value} if isinstance(value, str) else value
                if condition_holds(value.get('if'), self.config):
                    values.append(EnumValue(value['name'],
                                            make_features(value.get('features'), self.config)))
            return Enum(*common, values, data.get('prefix'))
        if meta in ('struct', 'union'):
            return Object(*common)
        if meta == 'alternate':
            return Alternate(*common)
        return Command(expr) if meta == 'command' else Event(expr)

    def _type(self, ref, where):
        if isinstance(ref, list):
            if len(ref) != 1 or not isinstance(ref[0], str):
                raise SchemaError(where, 'an array type names exactly one element type')
            return Array(self._type(ref[0], where))
        if ref not in self.types:
            raise SchemaError(where, f"type '{ref}' is not defined")
        return self.types[ref]

    def _members(self, data, where):
        result = []
        for key, spec in data.items():
            spec = spec if isinstance(spec, dict) else {'type': spec}
            if not condition_holds(spec.get('if'), self.config):
                continue
            optional = key.startswith('*')
            name = key[1:] if optional else key
            if not NAME.fullmatch(name):
                raise SchemaError(where, f"bad member name '{name}'")
            result.append(Member(name, self._type(spec['type'], where), optional,
                                 make_features(spec.get('features'), self.config)))
        return result

    def _implicit(self, name, expr, data):
        obj = Object(name, expr.module, expr.doc, (), implicit=True)
        obj.local = self._members(data, expr.where)
        return obj

    def _argument(self, expr, entity):
        data = expr.data.get('data')
        entity.features = make_features(expr.data.get('features'), self.config)
        if data is None:
            return None
        if isinstance(data, dict):
            if entity.boxed:
                raise SchemaError(expr.where, "'boxed' needs a named type")
            return self._implicit(f'q_obj_{c_name(entity.name, protect=False)}_arg', expr, data)
        arg = self._type(data, expr.where)
        if arg.meta != 'object' or (arg.discriminator and not entity.boxed):
            raise SchemaError(expr.where, f"'{data}' cannot be an argument list here")
        return arg

    def _define(self, expr, entity):
        data = expr.data
        if isinstance(entity, Object):
            self._define_object(expr, entity)
        elif isinstance(entity, Alternate):
            entity.branches = self._members(data['data'], expr.where)
        elif isinstance(entity, (Command, Event)):
            entity.arg = self._argument(expr, entity)
            if 'returns' in data:
                entity.ret = self._type(data['returns'], expr.where)

    def _define_object(self, expr, entity):
        data = expr.data
        base = data.get('base')
        if isinstance(base, dict):
            entity.local = self._members(base, expr.where)
        elif base:
            entity.base = self._type(base, expr.where)
        if 'union' not in data:
            entity.local += self._members(data.get('data', {}), expr.where)
            return
        tag = [m for m in entity.members() if m.name == data['discriminator']]
        if not tag or tag[0].type.meta != 'enum' or tag[0].optional:
            raise SchemaError(expr.where, "'discriminator' is not a mandatory enum member")
        entity.discriminator = tag[0]
        values = {value.name for value in tag[0].type.values}
        for member in self._members(data['data'], expr.where):
            if member.name not in values:
                raise SchemaError(expr.where, f"branch '{member.name}' is not a value of the tag")
            if member.type.meta != 'object':
                raise SchemaError(expr.where, f"branch '{member.name}' is not a struct or union")
            entity.branches.append((member.name, member.type))

    @staticmethod
    def _check_members(expr, entity):
        """A name stands for one member only, be it the base's, the struct's or a branch's."""
        if not isinstance(entity, Object):
            return
        names = set()
        for member in entity.members():
            if member.name in names:
                raise SchemaError(expr.where, f"'{entity.name}' has two members '{member.name}'")
            names.add(member.name)
        for case, branch in entity.branches:
            for member in branch.members():
                if member.name in names:
                    raise SchemaError(expr.where, f"branch '{case}' of '{entity.name}' has a "
                                      f"second member '{member.name}'")

    def _check_doc(self, expr, entity):
        doc = expr.doc
        if doc is None:
            if self.doc_required:
                raise SchemaError(expr.where, f"'{entity.name}' is not documented")
            return
        if doc.symbol != entity.name:
            raise SchemaError(doc.where, f"documents '{doc.symbol}' but '{entity.name}' follows")
        names = self._documentable(entity)
        for name in doc.members:
            if name not in names:
                raise SchemaError(doc.where, f"'{entity.name}' has no member '{name}'")
        for name in names if self.doc_required else ():
            if name not in doc.members:
                raise SchemaError(doc.where, f"member '{name}' is not documented")

    @staticmethod
    def _documentable(entity):
        if isinstance(entity, Enum):
            return [value.name for value in entity.values]
        if isinstance(entity, Object):
            return [m.name for m in entity.local]
        if isinstance(entity, Alternate):
            return [m.name for m in entity.branches]
        if isinstance(entity, (Command, Event)) and entity.arg and entity.arg.implicit:
            return [m.name for m in entity.arg.members()]
        return []
