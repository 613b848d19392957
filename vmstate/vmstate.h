/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saved state: a const table beside the struct says which fields are saved, in which order and
 * width. All numbers are big-endian on the wire (QEMU's documented migration stream). The codec
 * here writes and reads one object's bytes; sections, framing and transport belong to migration/.
 *
 * Incoming bytes are hostile: a field may carry a validator, lengths and counts are bounded by the
 * receiving struct, and an error names object, field and offset.
 */
#ifndef VIREO_VMSTATE_VMSTATE_H
#define VIREO_VMSTATE_VMSTATE_H

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct VmState VmState;
typedef struct VmStateField VmStateField;

typedef enum VmStateKind {
    VMS_END = 0,
    VMS_BOOL,
    VMS_U8,
    VMS_U16,
    VMS_U32,
    VMS_U64,
    VMS_BUFFER,   /* size raw bytes */
    VMS_STRUCT,   /* nested table `sub` */
    VMS_TIMER,    /* Timer *: its expiry in ns, UINT64_MAX when not armed */
    VMS_UNUSED,   /* size bytes, written as zero and skipped */
    VMS_VBUFFER,  /* pointer to `max` bytes, of which the u32 at count_offset are used */
} VmStateKind;

struct VmStateField {
    const char *name;
    VmStateKind kind;
    size_t offset;
    size_t size;    /* of one element in memory */
    uint32_t count; /* elements of an array; 0 means 1 */
    size_t count_offset; /* variable count: offset of its uint32_t (saved before), else 0 */
    uint32_t max;        /* bound of the variable count */
    int since;      /* version that added the field; 0 = always */
    const VmState *sub;
    /* Called after load of this field; false refuses the stream. */
    bool (*valid)(void *opaque, const VmStateField *field, GError **error);
    bool (*exists)(void *opaque, int version); /* NULL: always */
};

struct VmState {
    const char *name;
    int version;
    int minimum_version;
    const VmStateField *fields;
    const VmState *const *subsections; /* NULL-terminated; each sent only if needed() */
    bool (*needed)(void *opaque);
    void (*pre_save)(void *opaque);
    bool (*pre_load)(void *opaque, GError **error);
    bool (*post_load)(void *opaque, int version, GError **error);
};

#define VMS_FIELD_(S, f, k) .name = #f, .kind = (k), .offset = offsetof(S, f), \
    .size = sizeof(((S *)0)->f)
#define VMSTATE_BOOL(S, f) { VMS_FIELD_(S, f, VMS_BOOL) }
#define VMSTATE_U8(S, f) { VMS_FIELD_(S, f, VMS_U8) }
#define VMSTATE_U16(S, f) { VMS_FIELD_(S, f, VMS_U16) }
#define VMSTATE_U32(S, f) { VMS_FIELD_(S, f, VMS_U32) }
#define VMSTATE_U64(S, f) { VMS_FIELD_(S, f, VMS_U64) }
#define VMSTATE_I32(S, f) { VMS_FIELD_(S, f, VMS_U32) }
#define VMSTATE_I64(S, f) { VMS_FIELD_(S, f, VMS_U64) }
#define VMSTATE_BUFFER(S, f) { VMS_FIELD_(S, f, VMS_BUFFER) }
#define VMSTATE_TIMER(S, f) { VMS_FIELD_(S, f, VMS_TIMER) }
#define VMSTATE_ARRAY_(S, f, k) { .name = #f, .kind = (k), .offset = offsetof(S, f), \
    .size = sizeof(((S *)0)->f[0]), .count = sizeof(((S *)0)->f) / sizeof(((S *)0)->f[0]) }
#define VMSTATE_U8_ARRAY(S, f) VMSTATE_BUFFER(S, f)
#define VMSTATE_U16_ARRAY(S, f) VMSTATE_ARRAY_(S, f, VMS_U16)
#define VMSTATE_U32_ARRAY(S, f) VMSTATE_ARRAY_(S, f, VMS_U32)
#define VMSTATE_U64_ARRAY(S, f) VMSTATE_ARRAY_(S, f, VMS_U64)
#define VMSTATE_STRUCT(S, f, t) { VMS_FIELD_(S, f, VMS_STRUCT), .sub = &(t) }
#define VMSTATE_STRUCT_ARRAY(S, f, t) { .name = #f, .kind = VMS_STRUCT, .offset = offsetof(S, f), \
    .size = sizeof(((S *)0)->f[0]), .count = sizeof(((S *)0)->f) / sizeof(((S *)0)->f[0]), \
    .sub = &(t) }
/* Only in streams of this version of the table or later. */
#define VMSTATE_U8_SINCE(S, f, v) { VMS_FIELD_(S, f, VMS_U8), .since = (v) }
#define VMSTATE_U16_SINCE(S, f, v) { VMS_FIELD_(S, f, VMS_U16), .since = (v) }
#define VMSTATE_U32_SINCE(S, f, v) { VMS_FIELD_(S, f, VMS_U32), .since = (v) }
#define VMSTATE_U64_SINCE(S, f, v) { VMS_FIELD_(S, f, VMS_U64), .since = (v) }
/* With a validator that may refuse the incoming value. */
#define VMSTATE_U8_VALID(S, f, fn) { VMS_FIELD_(S, f, VMS_U8), .valid = (fn) }
#define VMSTATE_U16_VALID(S, f, fn) { VMS_FIELD_(S, f, VMS_U16), .valid = (fn) }
#define VMSTATE_U32_VALID(S, f, fn) { VMS_FIELD_(S, f, VMS_U32), .valid = (fn) }
#define VMSTATE_U64_VALID(S, f, fn) { VMS_FIELD_(S, f, VMS_U64), .valid = (fn) }
/* Arrays of which the uint32_t `n` (saved by an earlier row) elements are in use. */
#define VMS_VARRAY_(S, f, n, k) .name = #f, .kind = (k), .offset = offsetof(S, f), \
    .size = sizeof(((S *)0)->f[0]), .count_offset = offsetof(S, n), \
    .max = sizeof(((S *)0)->f) / sizeof(((S *)0)->f[0])
#define VMSTATE_U8_VARRAY(S, f, n) { VMS_VARRAY_(S, f, n, VMS_U8) }
#define VMSTATE_U16_VARRAY(S, f, n) { VMS_VARRAY_(S, f, n, VMS_U16) }
#define VMSTATE_U32_VARRAY(S, f, n) { VMS_VARRAY_(S, f, n, VMS_U32) }
#define VMSTATE_U64_VARRAY(S, f, n) { VMS_VARRAY_(S, f, n, VMS_U64) }
#define VMSTATE_STRUCT_VARRAY(S, f, n, t) { VMS_VARRAY_(S, f, n, VMS_STRUCT), .sub = &(t) }
/* uint8_t *f; if it is NULL when loading, max bytes are allocated with g_malloc(). */
#define VMSTATE_VBUFFER(S, f, n, max_) { .name = #f, .kind = VMS_VBUFFER, \
    .offset = offsetof(S, f), .size = 1, .count_offset = offsetof(S, n), .max = (max_) }
#define VMSTATE_UNUSED(n) { .name = "unused", .kind = VMS_UNUSED, .size = (n) }
#define VMSTATE_END { .kind = VMS_END }

/*
 * Append opaque's state to out (the bytes of one section's body, with subsections). A subsection is
 * a byte 05h, its name's length and text ("<name of this table>/..."), a 32-bit version, its
 * fields.
 */
void vmstate_save(const VmState *state, void *opaque, GByteArray *out);
/*
 * Read it back from data; *used says how much was consumed. On error the object is half-loaded: the
 * caller discards or resets it. Counts of arrays are within their bounds even then.
 */
bool vmstate_load(const VmState *state, void *opaque, int version, const uint8_t *data, size_t len,
                  size_t *used, GError **error);
/*
 * What is wrong with a table (ours, not the stream's) in one line, or NULL; the caller's. For
 * tests.
 */
char *vmstate_check(const VmState *state);
/*
 * The table as the stream's JSON description has it: "vmsd_name", "version", "fields" with name,
 * type and size in bytes, "subsections". Sizes are those that vmstate_save() would write now.
 */
json_object *vmstate_describe(const VmState *state, void *opaque);

#endif
