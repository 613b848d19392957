/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The AML builder. A term that has a length in front of it (a block, package, buffer) keeps its
 * body apart until it is complete; then opcode, length and body become plain bytes.
 */
#include "hw/i386/aml.h"

#include <string.h>

#include "hw/i386/aml-internal.h"
#include "util/bits.h"
#include "util/parse.h"

#define EXT_OP 0x5b
#define NAME_SEG 4
#define MAX_PACKAGE_ELEMENTS 255

/* Opcodes (ACPI 6.4, table 20.2); those above 0xff follow EXT_OP. */
enum {
    OP_NULL_NAME = 0x00,
    OP_ZERO = 0x00,
    OP_ONE = 0x01,
    OP_NAME = 0x08,
    OP_BYTE = 0x0a,
    OP_WORD = 0x0b,
    OP_DWORD = 0x0c,
    OP_STRING = 0x0d,
    OP_QWORD = 0x0e,
    OP_SCOPE = 0x10,
    OP_BUFFER = 0x11,
    OP_PACKAGE = 0x12,
    OP_METHOD = 0x14,
    OP_DUAL_NAME = 0x2e,
    OP_MULTI_NAME = 0x2f,
    OP_LOCAL0 = 0x60,
    OP_ARG0 = 0x68,
    OP_STORE = 0x70,
    OP_ADD = 0x72,
    OP_SUBTRACT = 0x74,
    OP_INCREMENT = 0x75,
    OP_SHIFT_LEFT = 0x79,
    OP_SHIFT_RIGHT = 0x7a,
    OP_AND = 0x7b,
    OP_OR = 0x7d,
    OP_XOR = 0x7f,
    OP_DEREF_OF = 0x83,
    OP_NOTIFY = 0x86,
    OP_SIZE_OF = 0x87,
    OP_INDEX = 0x88,
    OP_CREATE_DWORD_FIELD = 0x8a,
    OP_CREATE_QWORD_FIELD = 0x8f,
    OP_LAND = 0x90,
    OP_LOR = 0x91,
    OP_LNOT = 0x92,
    OP_LEQUAL = 0x93,
    OP_LGREATER = 0x94,
    OP_LLESS = 0x95,
    OP_TO_INTEGER = 0x99,
    OP_IF = 0xa0,
    OP_ELSE = 0xa1,
    OP_WHILE = 0xa2,
    OP_RETURN = 0xa4,
    OP_BREAK = 0xa5,
    OP_EXT_MUTEX = EXT_OP << 8 | 0x01,
    OP_EXT_ACQUIRE = EXT_OP << 8 | 0x23,
    OP_EXT_RELEASE = EXT_OP << 8 | 0x27,
    OP_EXT_REGION = EXT_OP << 8 | 0x80,
    OP_EXT_FIELD = EXT_OP << 8 | 0x81,
    OP_EXT_DEVICE = EXT_OP << 8 | 0x82,
    OP_EXT_PROCESSOR = EXT_OP << 8 | 0x83,
};

Aml *aml_new(AmlKind kind, unsigned op)
{
    Aml *aml = g_new0(Aml, 1);

    aml->body = g_byte_array_new();
    aml->kind = kind;
    aml->op = op;
    return aml;
}

void aml_free(Aml *aml)
{
    if (aml) {
        g_byte_array_unref(aml->body);
        g_free(aml);
    }
}

void aml_put(Aml *aml, const void *data, size_t len)
{
    g_byte_array_append(aml->body, data, len);
}

void aml_put_int(Aml *aml, unsigned size, uint64_t value)
{
    uint8_t bytes[8];

    stn_le(bytes, size, value);
    aml_put(aml, bytes, size);
}

static void aml_put_op(GByteArray *bytes, unsigned op)
{
    uint8_t ext = EXT_OP, low = op;

    if (op > 0xff) {
        g_byte_array_append(bytes, &ext, 1);
    }
    g_byte_array_append(bytes, &low, 1);
}

/* PkgLength: 6 bits in one byte, or 4 bits and 1 to 3 bytes more. */
static void aml_put_length(GByteArray *bytes, uint32_t value, bool counts_itself)
{
    unsigned extra = 0;
    uint8_t encoded[4];

    g_assert(value < (1u << 28) - 4);
    while (value + (counts_itself ? 1 + extra : 0) >= (extra ? 1u << (4 + 8 * extra) : 1u << 6)) {
        extra++;
    }
    value += counts_itself ? 1 + extra : 0;
    encoded[0] = extra ? extra << 6 | (value & 0xf) : value;
    for (unsigned i = 1; i <= extra; i++) {
        encoded[i] = value >> (4 + 8 * (i - 1));
    }
    g_byte_array_append(bytes, encoded, 1 + extra);
}

static void aml_put_integer(GByteArray *bytes, uint64_t value)
{
    static const struct {
        uint8_t op, size;
    } widths[] = { { OP_BYTE, 1 }, { OP_WORD, 2 }, { OP_DWORD, 4 }, { OP_QWORD, 8 } };
    uint8_t raw[9];
    unsigned i = 0;

    if (value <= 1) {
        raw[0] = value;
        g_byte_array_append(bytes, raw, 1);
        return;
    }
    while (widths[i].size < 8 && value >> (8 * widths[i].size)) {
        i++;
    }
    raw[0] = widths[i].op;
    stn_le(raw + 1, widths[i].size, value);
    g_byte_array_append(bytes, raw, 1 + widths[i].size);
}

/* Make a term plain bytes. */
static void aml_finish(Aml *aml)
{
    g_autoptr(GByteArray) body = NULL;
    g_autoptr(GByteArray) prefix = g_byte_array_new();
    uint8_t count = aml->count;

    if (aml->kind == AML_PLAIN) {
        return;
    }
    if (aml->kind == AML_TEMPLATE) {
        static const uint8_t end_tag[2] = { 0x79, 0 };

        aml_put(aml, end_tag, sizeof(end_tag));
    }
    if (aml->kind == AML_TEMPLATE || aml->kind == AML_BUFFER) {
        aml_put_integer(prefix, aml->body->len);
    } else if (aml->kind == AML_PACKAGE) {
        g_byte_array_append(prefix, &count, 1);
    }
    body = g_steal_pointer(&aml->body);
    aml->body = g_byte_array_new();
    aml->kind = AML_PLAIN;
    aml_put_op(aml->body, aml->op);
    aml_put_length(aml->body, prefix->len + body->len, true);
    aml_put(aml, prefix->data, prefix->len);
    aml_put(aml, body->data, body->len);
}

const uint8_t *aml_bytes(const Aml *aml, size_t *len)
{
    aml_finish((Aml *)aml);
    *len = aml->body->len;
    return aml->body->data;
}

void aml_append(Aml *parent, Aml *child)
{
    aml_finish(child);
    aml_put(parent, child->body->data, child->body->len);
    parent->count++;
    g_assert(parent->kind != AML_PACKAGE || parent->count <= MAX_PACKAGE_ELEMENTS);
    aml_free(child);
}

/* A NameString: prefixes, then segments of four characters padded with '_'. */
static void aml_put_name(Aml *aml, const char *name)
{
    size_t prefix = strspn(name, "\\^");
    g_auto(GStrv) segs = name[prefix] ? g_strsplit(name + prefix, ".", -1) : NULL;
    unsigned count = segs ? g_strv_length(segs) : 0;
    uint8_t head[2] = { OP_MULTI_NAME, count };

    aml_put(aml, name, prefix);
    if (count == 0) {
        aml_put_int(aml, 1, OP_NULL_NAME);
    } else if (count == 2) {
        aml_put_int(aml, 1, OP_DUAL_NAME);
    } else if (count > 2) {
        aml_put(aml, head, sizeof(head));
    }
    for (unsigned i = 0; i < count; i++) {
        char seg[NAME_SEG + 1] = "____";
        size_t len = strlen(segs[i]);

        g_assert(len > 0 && len <= NAME_SEG);
        memcpy(seg, segs[i], len);
        aml_put(aml, seg, NAME_SEG);
    }
}

static Aml *aml_op(unsigned op)
{
    Aml *aml = aml_new(AML_PLAIN, 0);

    aml_put_op(aml->body, op);
    return aml;
}

Aml *aml_list(void)
{
    return aml_new(AML_PLAIN, 0);
}

Aml *aml_int(uint64_t value)
{
    Aml *aml = aml_new(AML_PLAIN, 0);

    aml_put_integer(aml->body, value);
    return aml;
}

Aml *aml_dword(uint32_t value)
{
    Aml *aml = aml_op(OP_DWORD);

    aml_put_int(aml, 4, value);
    return aml;
}

Aml *aml_string(const char *fmt, ...)
{
    Aml *aml = aml_op(OP_STRING);
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, fmt);
    text = g_strdup_vprintf(fmt, args);
    va_end(args);
    aml_put(aml, text, strlen(text) + 1);
    return aml;
}

Aml *aml_name(const char *fmt, ...)
{
    Aml *aml = aml_new(AML_PLAIN, 0);
    g_autofree char *name = NULL;
    va_list args;

    va_start(args, fmt);
    name = g_strdup_vprintf(fmt, args);
    va_end(args);
    aml_put_name(aml, name);
    return aml;
}

Aml *aml_buffer(const void *data, size_t len)
{
    Aml *aml = aml_new(AML_BUFFER, OP_BUFFER);

    aml_put(aml, data, len);
    return aml;
}

Aml *aml_package(void)
{
    return aml_new(AML_PACKAGE, OP_PACKAGE);
}

/* Three letters of 5 bits and four hex digits, as one big-endian dword (ACPI 6.4, 19.3.4). */
Aml *aml_eisaid(const char *id)
{
    uint32_t value;

    g_assert(strlen(id) == 7);
    value = (uint32_t)(id[0] - '@') << 26 | (uint32_t)(id[1] - '@') << 21 |
            (uint32_t)(id[2] - '@') << 16 | (uint32_t)strtoul(id + 3, NULL, 16);
    return aml_dword(GUINT32_SWAP_LE_BE(value));
}

Aml *aml_uuid(const char *text)
{
    uint8_t uuid[16], mixed[16];
    bool ok = parse_uuid(text, uuid, NULL);

    g_assert(ok);
    stl_le(mixed, ldl_be(uuid));
    stw_le(mixed + 4, ldw_be(uuid + 4));
    stw_le(mixed + 6, ldw_be(uuid + 6));
    memcpy(mixed + 8, uuid + 8, 8);
    return aml_buffer(mixed, sizeof(mixed));
}

Aml *aml_name_decl(const char *name, Aml *value)
{
    Aml *aml = aml_op(OP_NAME);

    aml_put_name(aml, name);
    aml_append(aml, value);
    return aml;
}

static Aml *aml_block(unsigned op, const char *name)
{
    Aml *aml = aml_new(AML_BLOCK, op);

    aml_put_name(aml, name);
    return aml;
}

Aml *aml_scope(const char *fmt, ...)
{
    g_autofree char *name = NULL;
    va_list args;

    va_start(args, fmt);
    name = g_strdup_vprintf(fmt, args);
    va_end(args);
    return aml_block(OP_SCOPE, name);
}

Aml *aml_device(const char *fmt, ...)
{
    g_autofree char *name = NULL;
    va_list args;

    va_start(args, fmt);
    name = g_strdup_vprintf(fmt, args);
    va_end(args);
    return aml_block(OP_EXT_DEVICE, name);
}

Aml *aml_processor(uint8_t id, const char *fmt, ...)
{
    g_autofree char *name = NULL;
    va_list args;
    Aml *aml;

    va_start(args, fmt);
    name = g_strdup_vprintf(fmt, args);
    va_end(args);
    aml = aml_block(OP_EXT_PROCESSOR, name);
    aml_put_int(aml, 1, id);
    aml_put_int(aml, 4, 0); /* no P_BLK */
    aml_put_int(aml, 1, 0);
    return aml;
}

Aml *aml_method(const char *name, unsigned args, bool serialized)
{
    Aml *aml = aml_block(OP_METHOD, name);

    aml_put_int(aml, 1, args | (serialized ? 1u << 3 : 0));
    return aml;
}

Aml *aml_mutex(const char *name, unsigned sync_level)
{
    Aml *aml = aml_op(OP_EXT_MUTEX);

    aml_put_name(aml, name);
    aml_put_int(aml, 1, sync_level);
    return aml;
}

Aml *aml_opregion(const char *name, AmlSpace space, uint64_t offset, uint64_t length)
{
    Aml *aml = aml_op(OP_EXT_REGION);

    aml_put_name(aml, name);
    aml_put_int(aml, 1, space);
    aml_append(aml, aml_int(offset));
    aml_append(aml, aml_int(length));
    return aml;
}

Aml *aml_field(const char *region, AmlAccess access, bool lock, AmlUpdate update)
{
    Aml *aml = aml_block(OP_EXT_FIELD, region);

    aml_put_int(aml, 1, access | (lock ? 1u << 4 : 0) | update << 5);
    return aml;
}

Aml *aml_field_unit(const char *name, unsigned bits)
{
    Aml *aml = aml_new(AML_PLAIN, 0);

    aml_put_name(aml, name);
    aml_put_length(aml->body, bits, false);
    return aml;
}

Aml *aml_field_skip(unsigned bits)
{
    Aml *aml = aml_new(AML_PLAIN, 0);

    aml_put_int(aml, 1, 0);
    aml_put_length(aml->body, bits, false);
    return aml;
}

static Aml *aml_create_field(unsigned op, Aml *buffer, uint64_t offset, const char *name)
{
    Aml *aml = aml_op(op);

    aml_append(aml, buffer);
    aml_append(aml, aml_int(offset));
    aml_put_name(aml, name);
    return aml;
}

Aml *aml_create_dword_field(Aml *buffer, uint64_t offset, const char *name)
{
    return aml_create_field(OP_CREATE_DWORD_FIELD, buffer, offset, name);
}

Aml *aml_create_qword_field(Aml *buffer, uint64_t offset, const char *name)
{
    return aml_create_field(OP_CREATE_QWORD_FIELD, buffer, offset, name);
}

static Aml *aml_predicate_block(unsigned op, Aml *predicate)
{
    Aml *aml = aml_new(AML_BLOCK, op);

    aml_append(aml, predicate);
    return aml;
}

Aml *aml_if(Aml *predicate)
{
    return aml_predicate_block(OP_IF, predicate);
}

Aml *aml_else(void)
{
    return aml_new(AML_BLOCK, OP_ELSE);
}

Aml *aml_while(Aml *predicate)
{
    return aml_predicate_block(OP_WHILE, predicate);
}

static Aml *aml_op1(unsigned op, Aml *a)
{
    Aml *aml = aml_op(op);

    aml_append(aml, a);
    return aml;
}

static Aml *aml_op2(unsigned op, Aml *a, Aml *b)
{
    Aml *aml = aml_op1(op, a);

    aml_append(aml, b);
    return aml;
}

static Aml *aml_op2_target(unsigned op, Aml *a, Aml *b, Aml *target)
{
    Aml *aml = aml_op2(op, a, b);

    aml_append(aml, target ? target : aml_int(OP_ZERO));
    return aml;
}

Aml *aml_return(Aml *value)
{
    return aml_op1(OP_RETURN, value);
}

Aml *aml_break(void)
{
    return aml_op(OP_BREAK);
}

Aml *aml_notify(Aml *object, Aml *value)
{
    return aml_op2(OP_NOTIFY, object, value);
}

Aml *aml_acquire(const char *mutex, uint16_t timeout)
{
    Aml *aml = aml_op(OP_EXT_ACQUIRE);

    aml_put_name(aml, mutex);
    aml_put_int(aml, 2, timeout);
    return aml;
}

Aml *aml_release(const char *mutex)
{
    Aml *aml = aml_op(OP_EXT_RELEASE);

    aml_put_name(aml, mutex);
    return aml;
}

Aml *aml_call(const char *method, ...)
{
    Aml *aml = aml_name("%s", method);
    va_list args;
    Aml *arg;

    va_start(args, method);
    while ((arg = va_arg(args, Aml *)) != NULL) {
        aml_append(aml, arg);
    }
    va_end(args);
    return aml;
}

Aml *aml_arg(unsigned n)
{
    g_assert(n < 7);
    return aml_op(OP_ARG0 + n);
}

Aml *aml_local(unsigned n)
{
    g_assert(n < 8);
    return aml_op(OP_LOCAL0 + n);
}

Aml *aml_store(Aml *value, Aml *target)
{
    return aml_op2(OP_STORE, value, target);
}

Aml *aml_add(Aml *a, Aml *b, Aml *target)
{
    return aml_op2_target(OP_ADD, a, b, target);
}

Aml *aml_subtract(Aml *a, Aml *b, Aml *target)
{
    return aml_op2_target(OP_SUBTRACT, a, b, target);
}

Aml *aml_and(Aml *a, Aml *b, Aml *target)
{
    return aml_op2_target(OP_AND, a, b, target);
}

Aml *aml_or(Aml *a, Aml *b, Aml *target)
{
    return aml_op2_target(OP_OR, a, b, target);
}

Aml *aml_xor(Aml *a, Aml *b, Aml *target)
{
    return aml_op2_target(OP_XOR, a, b, target);
}

Aml *aml_shift_left(Aml *a, Aml *count, Aml *target)
{
    return aml_op2_target(OP_SHIFT_LEFT, a, count, target);
}

Aml *aml_shift_right(Aml *a, Aml *count, Aml *target)
{
    return aml_op2_target(OP_SHIFT_RIGHT, a, count, target);
}

Aml *aml_to_integer(Aml *a, Aml *target)
{
    return aml_op2(OP_TO_INTEGER, a, target ? target : aml_int(OP_ZERO));
}

Aml *aml_increment(Aml *a)
{
    return aml_op1(OP_INCREMENT, a);
}

Aml *aml_size_of(Aml *a)
{
    return aml_op1(OP_SIZE_OF, a);
}

Aml *aml_deref_of(Aml *a)
{
    return aml_op1(OP_DEREF_OF, a);
}

Aml *aml_index(Aml *source, Aml *index)
{
    return aml_op2_target(OP_INDEX, source, index, NULL);
}

Aml *aml_equal(Aml *a, Aml *b)
{
    return aml_op2(OP_LEQUAL, a, b);
}

Aml *aml_less(Aml *a, Aml *b)
{
    return aml_op2(OP_LLESS, a, b);
}

Aml *aml_greater(Aml *a, Aml *b)
{
    return aml_op2(OP_LGREATER, a, b);
}

Aml *aml_not(Aml *a)
{
    return aml_op1(OP_LNOT, a);
}

Aml *aml_land(Aml *a, Aml *b)
{
    return aml_op2(OP_LAND, a, b);
}

Aml *aml_lor(Aml *a, Aml *b)
{
    return aml_op2(OP_LOR, a, b);
}

Aml *aml_resource_template(void)
{
    return aml_new(AML_TEMPLATE, OP_BUFFER);
}
