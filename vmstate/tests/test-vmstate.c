/* SPDX-License-Identifier: Apache-2.0 */
/* Saved state: exact bytes, there and back, and every kind of damage. */
#include "vmstate/vmstate.h"

#include <string.h>

#include "util/error.h"
#include "util/timer.h"

typedef struct Inner {
    uint8_t a;
    uint16_t b;
} Inner;

typedef struct Thing {
    bool on;
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    int32_t i32;
    uint8_t raw[3];
    uint16_t words[2];
    Inner inner;
    Inner inners[2];
    uint32_t used;
    uint32_t varying[4];
    uint32_t length;
    uint8_t *buffer;
    Timer *timer;
    uint8_t newer;
    uint32_t extra;
    int saves;
    int loads;
} Thing;

static const VmStateField inner_fields[] = {
    VMSTATE_U8(Inner, a),
    VMSTATE_U16(Inner, b),
    VMSTATE_END,
};
static const VmState inner_state = { .name = "inner", .version = 1, .fields = inner_fields };

static bool u8_is_small(void *opaque, const VmStateField *field, GError **error)
{
    Thing *thing = opaque;

    if (thing->u8 > 100) {
        error_setf(error, "%u is more than 100", thing->u8);
        return false;
    }
    return true;
}

static const VmStateField extra_fields[] = { VMSTATE_U32(Thing, extra), VMSTATE_END };

static bool extra_needed(void *opaque)
{
    return ((Thing *)opaque)->extra != 0;
}

static const VmState extra_state = {
    .name = "thing/extra",
    .version = 3,
    .minimum_version = 2,
    .needed = extra_needed,
    .fields = extra_fields,
};
static const VmState *const thing_subsections[] = { &extra_state, NULL };

static const VmStateField thing_fields[] = {
    VMSTATE_BOOL(Thing, on),
    VMSTATE_U8_VALID(Thing, u8, u8_is_small),
    VMSTATE_U16(Thing, u16),
    VMSTATE_U32(Thing, u32),
    VMSTATE_U64(Thing, u64),
    VMSTATE_I32(Thing, i32),
    VMSTATE_U8_ARRAY(Thing, raw),
    VMSTATE_U16_ARRAY(Thing, words),
    VMSTATE_STRUCT(Thing, inner, inner_state),
    VMSTATE_STRUCT_ARRAY(Thing, inners, inner_state),
    VMSTATE_UNUSED(2),
    VMSTATE_U32(Thing, used),
    VMSTATE_U32_VARRAY(Thing, varying, used),
    VMSTATE_U32(Thing, length),
    VMSTATE_VBUFFER(Thing, buffer, length, 16),
    VMSTATE_TIMER(Thing, timer),
    VMSTATE_U8_SINCE(Thing, newer, 2),
    VMSTATE_END,
};

static void thing_pre_save(void *opaque)
{
    ((Thing *)opaque)->saves++;
}

static bool thing_post_load(void *opaque, int version, GError **error)
{
    ((Thing *)opaque)->loads++;
    return true;
}

static const VmState thing_state = {
    .name = "thing",
    .version = 2,
    .minimum_version = 1,
    .fields = thing_fields,
    .subsections = thing_subsections,
    .pre_save = thing_pre_save,
    .post_load = thing_post_load,
};

static void nothing(void *opaque)
{
}

static Thing *thing_new(void)
{
    Thing *thing = g_new0(Thing, 1);

    thing->timer = timer_new(loop_main(), VM_CLOCK_REALTIME, nothing, NULL);
    return thing;
}

static Thing *thing_new_filled(void)
{
    Thing *thing = thing_new();

    thing->on = true;
    thing->u8 = 0x12;
    thing->u16 = 0x1234;
    thing->u32 = 0x12345678;
    thing->u64 = 0x123456789abcdef0;
    thing->i32 = -2;
    memcpy(thing->raw, "abc", 3);
    thing->words[1] = 0xbeef;
    thing->inner = (Inner) { 1, 2 };
    thing->inners[1] = (Inner) { 3, 4 };
    thing->used = 1;
    thing->varying[0] = 0xaabbccdd;
    thing->length = 2;
    thing->buffer = g_malloc0(16);
    memcpy(thing->buffer, "xy", 2);
    thing->newer = 0x77;
    thing->extra = 0x01020304;
    timer_mod(thing->timer, INT64_MAX - 1);
    return thing;
}

static void thing_free(Thing *thing)
{
    timer_free(thing->timer);
    g_free(thing->buffer);
    g_free(thing);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Thing, thing_free)

static GByteArray *save(Thing *thing)
{
    GByteArray *out = g_byte_array_new();

    vmstate_save(&thing_state, thing, out);
    return out;
}

/* Load from a block of exactly this size, so that a sanitizer sees reads past its end. */
static bool load(Thing *thing, int version, const uint8_t *data, size_t len, size_t *used,
                 GError **error)
{
    g_autofree uint8_t *copy = g_memdup2(data, len);

    return vmstate_load(&thing_state, thing, version, copy, len, used, error);
}

static void test_bytes(void)
{
    static const uint8_t expected[] = {
        1, 0x12, 0x12, 0x34, 0x12, 0x34, 0x56, 0x78,
        0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 0xff, 0xff, 0xff, 0xfe,
        'a', 'b', 'c', 0, 0, 0xbe, 0xef,
        1, 0, 2, 0, 0, 0, 3, 0, 4, 0, 0,
        0, 0, 0, 1, 0xaa, 0xbb, 0xcc, 0xdd, 0, 0, 0, 2, 'x', 'y',
        0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0x77,
        5, 11, 't', 'h', 'i', 'n', 'g', '/', 'e', 'x', 't', 'r', 'a', 0, 0, 0, 3, 1, 2, 3, 4,
    };
    g_autoptr(Thing) thing = thing_new_filled();
    g_autoptr(GByteArray) out = save(thing);

    g_assert_cmpmem(out->data, out->len, expected, sizeof(expected));
    g_assert_cmpint(thing->saves, ==, 1);
}

static void test_round_trip(void)
{
    g_autoptr(Thing) from = thing_new_filled();
    g_autoptr(Thing) to = thing_new();
    g_autoptr(GByteArray) out = save(from);
    g_autoptr(GByteArray) again = NULL;
    g_autoptr(GError) error = NULL;
    size_t used;

    g_assert_true(load(to, 2, out->data, out->len, &used, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(used, ==, out->len);
    g_assert_cmpint(to->loads, ==, 1);
    again = save(to);
    g_assert_cmpmem(again->data, again->len, out->data, out->len);

    /* Without the optional parts; the timer is disarmed, what follows the state is left alone. */
    from->extra = 0;
    timer_del(from->timer);
    g_byte_array_unref(out);
    out = save(from);
    g_byte_array_append(out, (const uint8_t *)"\x05\x09other/sub", 11);
    g_assert_true(load(to, 2, out->data, out->len, &used, NULL));
    g_assert_cmpuint(used, ==, out->len - 11);
    g_assert_false(timer_pending(to->timer));
}

static void test_versions(void)
{
    g_autoptr(Thing) thing = thing_new_filled();
    g_autoptr(Thing) to = thing_new();
    g_autoptr(GByteArray) out = NULL;
    g_autoptr(GError) error = NULL;
    size_t used;

    thing->extra = 0;
    out = save(thing);
    /* Version 1 has no `newer`, which is the last byte here. */
    g_assert_true(load(to, 1, out->data, out->len - 1, &used, NULL));
    g_assert_cmpuint(to->newer, ==, 0);
    g_assert_cmpuint(used, ==, out->len - 1);
    g_assert_false(load(to, 3, out->data, out->len, &used, &error));
    g_assert_nonnull(strstr(error->message, "'thing' has version 3"));
    g_assert_false(load(to, 0, out->data, out->len, &used, NULL));
    g_assert_false(load(to, -1, out->data, out->len, &used, NULL));
}

/* Whoever resets the object afterwards walks its arrays. */
static void check_counts(const Thing *thing)
{
    g_assert_cmpuint(thing->used, <=, G_N_ELEMENTS(thing->varying));
    g_assert_cmpuint(thing->length, <=, thing->buffer ? 16 : 0);
}

static void test_truncated(void)
{
    g_autoptr(Thing) thing = thing_new_filled();
    g_autoptr(GByteArray) out = save(thing);
    size_t subsection = 2 + strlen("thing/extra") + 8;

    for (size_t len = 0; len < out->len; len++) {
        g_autoptr(Thing) to = thing_new();
        g_autoptr(GError) error = NULL;
        size_t used;
        bool ok = load(to, 2, out->data, len, &used, &error);

        g_assert_cmpuint(used, <=, len);
        check_counts(to);
        /* Cut in a subsection's name, it is no subsection, and left to the caller as excess. */
        if (len < out->len - subsection || len >= out->len - 8) {
            g_assert_false(ok);
            g_assert_nonnull(strstr(error->message, "ends too early"));
        }
    }
}

static void test_refused(void)
{
    static const struct {
        size_t offset;
        uint8_t value;
        const char *message;
    } rows[] = {
        { 0, 2, "*'on'*neither 0 nor 1" },
        { 1, 101, "*'thing'*'u8'*at offset 2: 101 is more than 100" },
        { 41, 5, "*'varying'*room*" },
        { 38, 0xff, "*'varying'*room*" },
        { 49, 17, "*'buffer'*room*" },
        { 52, 0x80, "*'timer'*" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(Thing) thing = thing_new_filled();
        g_autoptr(Thing) to = thing_new();
        g_autoptr(GByteArray) out = save(thing);
        g_autoptr(GError) error = NULL;
        size_t used;

        out->data[rows[i].offset] = rows[i].value;
        g_assert_false(load(to, 2, out->data, out->len, &used, &error));
        if (!g_pattern_match_simple(rows[i].message, error->message)) {
            g_error("'%s' is not like '%s'", error->message, rows[i].message);
        }
        check_counts(to);
    }
}

static void test_subsections(void)
{
    g_autoptr(Thing) thing = thing_new_filled();
    g_autoptr(Thing) to = thing_new();
    g_autoptr(GByteArray) out = save(thing);
    g_autoptr(GError) error = NULL;
    guint start = out->len - 21;
    size_t used;

    /* Twice, unknown, of a wrong version. */
    g_byte_array_append(out, out->data + start, 21);
    g_assert_false(load(to, 2, out->data, out->len, &used, &error));
    g_assert_nonnull(strstr(error->message, "twice"));
    g_clear_error(&error);
    g_byte_array_set_size(out, start + 21);
    out->data[start + 12] = 'b';
    g_assert_false(load(to, 2, out->data, out->len, &used, &error));
    g_assert_nonnull(strstr(error->message, "unknown subsection"));
    g_clear_error(&error);
    out->data[start + 12] = 'a';
    out->data[start + 16] = 1;
    g_assert_false(load(to, 2, out->data, out->len, &used, &error));
    g_assert_nonnull(strstr(error->message, "'thing/extra' has version 1"));
    g_clear_error(&error);
    out->data[start + 13] = 0xff;
    g_assert_false(load(to, 2, out->data, out->len, &used, NULL));
}

static void test_bit_flips(void)
{
    g_autoptr(Thing) thing = thing_new_filled();
    g_autoptr(GByteArray) out = save(thing);

    for (size_t bit = 0; bit < out->len * 8; bit++) {
        g_autoptr(Thing) to = thing_new();
        g_autoptr(GError) error = NULL;
        size_t used;

        out->data[bit / 8] ^= 1 << (bit % 8);
        if (load(to, 2, out->data, out->len, &used, &error)) {
            g_autoptr(GByteArray) again = save(to); /* whatever was accepted can be saved */

            g_assert_no_error(error);
        } else {
            g_assert_nonnull(error);
        }
        out->data[bit / 8] ^= 1 << (bit % 8);
    }
}

static void test_describe(void)
{
    g_autoptr(Thing) thing = thing_new_filled();
    json_object *description = vmstate_describe(&thing_state, thing);
    json_object *fields;
    json_object *value;

    g_assert_true(json_object_object_get_ex(description, "fields", &fields));
    g_assert_cmpuint(json_object_array_length(fields), ==, G_N_ELEMENTS(thing_fields) - 1);
    g_assert_true(json_object_object_get_ex(json_object_array_get_idx(fields, 4), "size", &value));
    g_assert_cmpint(json_object_get_int(value), ==, 8);
    g_assert_true(json_object_object_get_ex(json_object_array_get_idx(fields, 9), "array_len",
                                            &value));
    g_assert_cmpint(json_object_get_int(value), ==, 2);
    g_assert_true(json_object_object_get_ex(description, "subsections", &value));
    g_assert_cmpuint(json_object_array_length(value), ==, 1);
    json_object_put(description);
}

static const VmStateField wrong_width[] = {
    { .name = "u16", .kind = VMS_U32, .offset = offsetof(Thing, u16), .size = 2 },
    VMSTATE_END,
};
static const VmStateField twice[] = { VMSTATE_U8(Thing, u8), VMSTATE_U8(Thing, u8), VMSTATE_END };
static const VmStateField too_new[] = { VMSTATE_U8_SINCE(Thing, u8, 2), VMSTATE_END };
static const VmState *const strangers[] = { &inner_state, NULL };

static void test_check(void)
{
    static const struct {
        VmState state;
        const char *message;
    } rows[] = {
        { { "w", 1, 1, wrong_width, NULL }, "w: field 'u16' has another size*" },
        { { "t", 1, 1, twice, NULL }, "t: field 'u8' stands there twice" },
        { { "n", 1, 1, too_new, NULL }, "n: field 'u8' is newer*" },
        { { "v", 1, 2, inner_fields, NULL }, "v: *minimum version*" },
        { { "s", 1, 1, inner_fields, strangers }, "s: subsection 'inner' must be called 's/...'" },
    };
    g_autofree char *good = vmstate_check(&thing_state);

    g_assert_cmpstr(good, ==, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *flaw = vmstate_check(&rows[i].state);

        g_assert_nonnull(flaw);
        if (!g_pattern_match_simple(rows[i].message, flaw)) {
            g_error("'%s' is not like '%s'", flaw, rows[i].message);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vmstate/bytes", test_bytes);
    g_test_add_func("/vmstate/round-trip", test_round_trip);
    g_test_add_func("/vmstate/versions", test_versions);
    g_test_add_func("/vmstate/truncated", test_truncated);
    g_test_add_func("/vmstate/refused", test_refused);
    g_test_add_func("/vmstate/subsections", test_subsections);
    g_test_add_func("/vmstate/bit-flips", test_bit_flips);
    g_test_add_func("/vmstate/describe", test_describe);
    g_test_add_func("/vmstate/check", test_check);
    return g_test_run();
}
