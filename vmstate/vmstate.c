/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The byte codec of saved state. Fields follow one another without tags, numbers big-endian, so the
 * reader trusts nothing but its own table: every length comes from it or is bounded by it.
 */
#include "vmstate/vmstate.h"

#include <string.h>

#include "util/bits.h"
#include "util/error.h"
#include "util/timer.h"

/* Marks a subsection (the stream format's QEMU_VM_SUBSECTION). */
#define SUBSECTION_MARK 0x05
#define TIMER_NOT_ARMED UINT64_MAX

/* How a kind looks on the wire. */
static const struct {
    const char *type_name; /* in the JSON description */
    unsigned width;        /* bytes of a number; 0: no number */
} kinds[] = {
    [VMS_BOOL] = { "bool", 1 },     [VMS_U8] = { "uint8", 1 },
    [VMS_U16] = { "uint16", 2 },    [VMS_U32] = { "uint32", 4 },
    [VMS_U64] = { "uint64", 8 },    [VMS_BUFFER] = { "buffer", 0 },
    [VMS_STRUCT] = { "struct", 0 }, [VMS_TIMER] = { "timer", 0 },
    [VMS_UNUSED] = { "unused_buffer", 0 }, [VMS_VBUFFER] = { "buffer", 0 },
};

static uint64_t load_number(const void *p, unsigned width)
{
    switch (width) {
    case 1:
        return *(const uint8_t *)p;
    case 2:
        return ldw_be(p);
    case 4:
        return ldl_be(p);
    default:
        return ldq_be(p);
    }
}

static void store_number(void *p, unsigned width, uint64_t value)
{
    switch (width) {
    case 1:
        *(uint8_t *)p = (uint8_t)value;
        break;
    case 2:
        stw_be(p, (uint16_t)value);
        break;
    case 4:
        stl_be(p, (uint32_t)value);
        break;
    default:
        stq_be(p, value);
        break;
    }
}

/* The same in the host's byte order: the struct's side. */
static uint64_t read_host(const void *p, unsigned width)
{
    uint16_t w;
    uint32_t l;
    uint64_t q;

    switch (width) {
    case 1:
        return *(const uint8_t *)p;
    case 2:
        memcpy(&w, p, sizeof(w));
        return w;
    case 4:
        memcpy(&l, p, sizeof(l));
        return l;
    default:
        memcpy(&q, p, sizeof(q));
        return q;
    }
}

static void write_host(void *p, unsigned width, uint64_t value)
{
    uint16_t w = (uint16_t)value;
    uint32_t l = (uint32_t)value;

    switch (width) {
    case 1:
        *(uint8_t *)p = (uint8_t)value;
        break;
    case 2:
        memcpy(p, &w, sizeof(w));
        break;
    case 4:
        memcpy(p, &l, sizeof(l));
        break;
    default:
        memcpy(p, &value, sizeof(value));
        break;
    }
}

static bool field_exists(const VmStateField *field, void *opaque, int version)
{
    return version >= field->since && (!field->exists || field->exists(opaque, version));
}

/* How many elements (VMS_VBUFFER: bytes) there are now. */
static uint32_t field_count(const VmStateField *field, void *opaque)
{
    if (field->count_offset) {
        return *(uint32_t *)((char *)opaque + field->count_offset);
    }
    return field->count ? field->count : 1;
}

/* Saving. */

static void put_number(GByteArray *out, unsigned width, uint64_t value)
{
    uint8_t bytes[8];

    store_number(bytes, width, value);
    g_byte_array_append(out, bytes, width);
}

static void put_zeros(GByteArray *out, size_t n)
{
    guint start = out->len;

    g_byte_array_set_size(out, start + (guint)n);
    memset(out->data + start, 0, n);
}

static void save_element(const VmStateField *field, void *at, GByteArray *out)
{
    unsigned width = kinds[field->kind].width;
    const Timer *timer;
    int64_t expire;

    switch (field->kind) {
    case VMS_BUFFER:
        g_byte_array_append(out, at, (guint)field->size);
        break;
    case VMS_STRUCT:
        vmstate_save(field->sub, at, out);
        break;
    case VMS_TIMER:
        timer = *(Timer **)at;
        expire = timer ? timer_expire_ns(timer) : -1;
        put_number(out, 8, expire < 0 ? TIMER_NOT_ARMED : (uint64_t)expire);
        break;
    case VMS_UNUSED:
        put_zeros(out, field->size);
        break;
    default:
        g_assert(width == field->size); /* the table names the wrong width */
        put_number(out, width, read_host(at, width));
        break;
    }
}

static void save_field(const VmStateField *field, void *opaque, GByteArray *out)
{
    char *at = (char *)opaque + field->offset;
    uint32_t count = field_count(field, opaque);

    g_assert(!field->count_offset || count <= field->max);
    if (field->kind == VMS_VBUFFER) {
        if (count) {
            g_byte_array_append(out, *(uint8_t **)at, count);
        }
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        save_element(field, at + i * field->size, out);
    }
}

void vmstate_save(const VmState *state, void *opaque, GByteArray *out)
{
    if (state->pre_save) {
        state->pre_save(opaque);
    }
    for (const VmStateField *field = state->fields; field->kind != VMS_END; field++) {
        if (field_exists(field, opaque, state->version)) {
            save_field(field, opaque, out);
        }
    }
    for (const VmState *const *sub = state->subsections; sub && *sub; sub++) {
        uint8_t mark[2] = { SUBSECTION_MARK, (uint8_t)strlen((*sub)->name) };

        if ((*sub)->needed && !(*sub)->needed(opaque)) {
            continue;
        }
        g_byte_array_append(out, mark, sizeof(mark));
        g_byte_array_append(out, (const uint8_t *)(*sub)->name, mark[1]);
        put_number(out, 4, (uint32_t)(*sub)->version);
        vmstate_save(*sub, opaque, out);
    }
}

/* Loading. */

typedef struct Input {
    const uint8_t *data;
    size_t len;
    size_t at;
    const char *section; /* for errors: the table being read */
    const char *field;
} Input;

static bool refuse(const Input *in, GError **error, const char *why)
{
    error_setf(error, "saved state of '%s', field '%s', at offset %zu: %s", in->section, in->field,
               in->at, why);
    return false;
}

/* The next n bytes, or NULL with error set. */
static const uint8_t *take(Input *in, size_t n, GError **error)
{
    const uint8_t *bytes = in->data + in->at;

    if (n > in->len - in->at) {
        refuse(in, error, "the data ends too early");
        return NULL;
    }
    in->at += n;
    return bytes;
}

static bool load_state(const VmState *state, void *opaque, int version, Input *in, GError **error);

static bool load_timer(Timer *timer, uint64_t expire, const Input *in, GError **error)
{
    if (expire != TIMER_NOT_ARMED && (expire > INT64_MAX || !timer)) {
        return refuse(in, error, "no timer can be armed for that time");
    }
    if (!timer) {
        return true;
    }
    if (expire == TIMER_NOT_ARMED) {
        timer_del(timer);
    } else {
        timer_mod(timer, (int64_t)expire);
    }
    return true;
}

static bool load_number_element(const VmStateField *field, void *at, Input *in, GError **error)
{
    unsigned width = field->kind == VMS_TIMER ? 8 : kinds[field->kind].width;
    const uint8_t *bytes = take(in, width, error);
    uint64_t value;

    if (!bytes) {
        return false;
    }
    value = load_number(bytes, width);
    if (field->kind == VMS_TIMER) {
        return load_timer(*(Timer **)at, value, in, error);
    }
    if (field->kind == VMS_BOOL && value > 1) {
        return refuse(in, error, "a boolean is neither 0 nor 1");
    }
    g_assert(width == field->size);
    write_host(at, width, value);
    return true;
}

static bool load_element(const VmStateField *field, void *at, Input *in, GError **error)
{
    const uint8_t *bytes;
    Input saved;
    bool ok;

    switch (field->kind) {
    case VMS_BUFFER:
        bytes = take(in, field->size, error);
        if (bytes) {
            memcpy(at, bytes, field->size);
        }
        return bytes != NULL;
    case VMS_UNUSED:
        return take(in, field->size, error) != NULL;
    case VMS_STRUCT:
        saved = *in;
        ok = load_state(field->sub, at, field->sub->version, in, error);
        in->section = saved.section;
        in->field = saved.field;
        return ok;
    default:
        return load_number_element(field, at, in, error);
    }
}

static bool load_vbuffer(const VmStateField *field, uint8_t **buffer, uint32_t count, Input *in,
                         GError **error)
{
    const uint8_t *bytes = take(in, count, error);

    if (!bytes) {
        return false;
    }
    if (!*buffer) {
        *buffer = g_malloc0(field->max);
    }
    memcpy(*buffer, bytes, count);
    return true;
}

static bool load_field(const VmStateField *field, void *opaque, Input *in, GError **error)
{
    char *at = (char *)opaque + field->offset;
    uint32_t count = field_count(field, opaque);

    in->field = field->name;
    if (field->count_offset && count > field->max) {
        return refuse(in, error, "more elements than there is room for");
    }
    if (field->kind == VMS_VBUFFER) {
        if (!load_vbuffer(field, (uint8_t **)at, count, in, error)) {
            return false;
        }
    } else {
        for (uint32_t i = 0; i < count; i++) {
            if (!load_element(field, at + i * field->size, in, error)) {
                return false;
            }
        }
    }
    if (field->valid && !field->valid(opaque, field, error)) {
        g_prefix_error(error, "saved state of '%s', field '%s', at offset %zu: ", in->section,
                       in->field, in->at);
        return false;
    }
    return true;
}

/* If a subsection of `state` comes next, its name (allocated), else NULL; takes nothing. */
static char *peek_subsection(const VmState *state, const Input *in)
{
    const uint8_t *bytes = in->data + in->at;
    size_t left = in->len - in->at;
    size_t own = strlen(state->name);

    if (left < 2 || bytes[0] != SUBSECTION_MARK || left - 2 < bytes[1] || bytes[1] <= own + 1 ||
        memcmp(bytes + 2, state->name, own) != 0 || bytes[2 + own] != '/') {
        return NULL;
    }
    return g_strndup((const char *)bytes + 2, bytes[1]);
}

static bool load_subsection(const VmState *sub, void *opaque, Input *in, GError **error)
{
    const uint8_t *bytes;
    uint32_t version;

    in->section = sub->name;
    in->field = "version";
    in->at += 2 + strlen(sub->name);
    bytes = take(in, 4, error);
    if (!bytes) {
        return false;
    }
    version = ldl_be(bytes);
    return load_state(sub, opaque, version > INT_MAX ? INT_MAX : (int)version, in, error);
}

static bool load_subsections(const VmState *state, void *opaque, Input *in, GError **error)
{
    uint64_t seen = 0;

    for (;;) {
        g_autofree char *name = peek_subsection(state, in);
        unsigned index = 0;

        if (!name) {
            return true;
        }
        while (state->subsections[index] && strcmp(state->subsections[index]->name, name) != 0) {
            index++;
        }
        in->section = state->name;
        in->field = "subsections";
        if (!state->subsections[index]) {
            return refuse(in, error, "an unknown subsection");
        }
        if (seen & BIT_ULL(index & 63)) {
            return refuse(in, error, "a subsection comes twice");
        }
        seen |= BIT_ULL(index & 63);
        if (!load_subsection(state->subsections[index], opaque, in, error)) {
            return false;
        }
    }
}

static bool load_table(const VmState *state, void *opaque, int version, Input *in, GError **error)
{
    in->section = state->name;
    in->field = "version";
    if (version > state->version || version < state->minimum_version) {
        error_setf(error, "saved state of '%s' has version %d; this program reads %d to %d",
                   state->name, version, state->minimum_version, state->version);
        return false;
    }
    if (state->pre_load && !state->pre_load(opaque, error)) {
        return false;
    }
    for (const VmStateField *field = state->fields; field->kind != VMS_END; field++) {
        if (field_exists(field, opaque, version) && !load_field(field, opaque, in, error)) {
            return false;
        }
    }
    if (state->subsections && !load_subsections(state, opaque, in, error)) {
        return false;
    }
    if (state->post_load && !state->post_load(opaque, version, error)) {
        g_prefix_error(error, "saved state of '%s': ", state->name);
        return false;
    }
    return true;
}

/* What half a state leaves behind is looked at by a reset: no count may lead out of its array. */
static void bound_counts(const VmState *state, void *opaque)
{
    for (const VmStateField *field = state->fields; field->kind != VMS_END; field++) {
        uint32_t *count = (uint32_t *)((char *)opaque + field->count_offset);

        if (field->count_offset &&
            (*count > field->max || (field->kind == VMS_VBUFFER &&
                                     !*(uint8_t **)((char *)opaque + field->offset)))) {
            *count = 0;
        }
    }
}

static bool load_state(const VmState *state, void *opaque, int version, Input *in, GError **error)
{
    bool ok = load_table(state, opaque, version, in, error);

    if (!ok) {
        bound_counts(state, opaque);
    }
    return ok;
}

bool vmstate_load(const VmState *state, void *opaque, int version, const uint8_t *data, size_t len,
                  size_t *used, GError **error)
{
    Input in = { .data = data, .len = len };
    bool ok = load_state(state, opaque, version, &in, error);

    *used = in.at;
    return ok;
}

/* Describing. */

static json_object *describe_field(const VmStateField *field, void *opaque)
{
    json_object *row = json_object_new_object();
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    uint32_t count = field->kind == VMS_VBUFFER ? 1 : field_count(field, opaque);

    save_field(field, opaque, bytes);
    json_object_object_add(row, "name", json_object_new_string(field->name));
    if (count != 1) {
        json_object_object_add(row, "array_len", json_object_new_int64(count));
    }
    json_object_object_add(row, "type", json_object_new_string(kinds[field->kind].type_name));
    if (field->kind == VMS_STRUCT) {
        json_object_object_add(row, "struct",
                               vmstate_describe(field->sub, (char *)opaque + field->offset));
    }
    json_object_object_add(row, "size", json_object_new_int64(count ? bytes->len / count : 0));
    return row;
}

json_object *vmstate_describe(const VmState *state, void *opaque)
{
    json_object *description = json_object_new_object();
    json_object *fields = json_object_new_array();
    json_object *subsections = json_object_new_array();

    json_object_object_add(description, "vmsd_name", json_object_new_string(state->name));
    json_object_object_add(description, "version", json_object_new_int(state->version));
    if (state->pre_save) {
        state->pre_save(opaque);
    }
    for (const VmStateField *field = state->fields; field->kind != VMS_END; field++) {
        if (field_exists(field, opaque, state->version)) {
            json_object_array_add(fields, describe_field(field, opaque));
        }
    }
    json_object_object_add(description, "fields", fields);
    for (const VmState *const *sub = state->subsections; sub && *sub; sub++) {
        if (!(*sub)->needed || (*sub)->needed(opaque)) {
            json_object_array_add(subsections, vmstate_describe(*sub, opaque));
        }
    }
    if (json_object_array_length(subsections)) {
        json_object_object_add(description, "subsections", subsections);
    } else {
        json_object_put(subsections);
    }
    return description;
}
