/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/stream.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "migration/ram-save.h"
#include "migration/stream-internal.h"
#include "util/bits.h"
#include "util/error.h"

static void clear_section(void *opaque)
{
    g_free(((StreamSection *)opaque)->name);
}

void machine_stream_init(MachineStream *stream, const char *board)
{
    *stream = (MachineStream){
        .board = board, .sections = g_array_new(FALSE, FALSE, sizeof(StreamSection)),
    };
    g_array_set_clear_func(stream->sections, clear_section);
}

static StreamSection *section_at(const MachineStream *stream, guint i)
{
    return &g_array_index(stream->sections, StreamSection, i);
}

void machine_stream_add(MachineStream *stream, const char *name, const VmState *state,
                        void *object)
{
    StreamSection section = { .name = g_strdup(name), .state = state, .object = object };

    for (guint i = 0; i < stream->sections->len; i++) {
        section.instance += !strcmp(section_at(stream, i)->name, name);
    }
    g_array_append_val(stream->sections, section);
}

void machine_stream_cleanup(MachineStream *stream)
{
    g_array_unref(stream->sections);
}

/* ---- Saving ---- */

static void save_section(StreamOut *out, const StreamSection *section, uint32_t number)
{
    g_autoptr(GByteArray) body = g_byte_array_new();

    vmstate_save(section->state, section->object, body);
    stream_put_u8(out, STREAM_SECTION_FULL);
    stream_put_u32(out, number);
    stream_put_name(out, section->name);
    stream_put_u32(out, section->instance);
    stream_put_u32(out, (uint32_t)section->state->version);
    stream_put(out, body->data, body->len);
    stream_put_footer(out, number);
}

void stream_put_sections(StreamOut *out, const MachineStream *stream)
{
    for (guint i = 0; i < stream->sections->len; i++) {
        save_section(out, section_at(stream, i), RAM_SECTION + 1 + i);
    }
    stream_put_u8(out, STREAM_EOF);
}

void stream_put_begin(StreamOut *out, const MachineStream *stream)
{
    stream_put_u32(out, STREAM_MAGIC);
    stream_put_u32(out, STREAM_VERSION);
    stream_put_u8(out, STREAM_CONFIGURATION);
    stream_put_u32(out, (uint32_t)strlen(stream->board));
    stream_put(out, stream->board, strlen(stream->board));
}

/* For tools that do not know our tables. */
void stream_put_description(StreamOut *out, const MachineStream *stream)
{
    json_object *root = json_object_new_object(), *devices = json_object_new_array();
    const char *text;

    for (guint i = 0; i < stream->sections->len; i++) {
        const StreamSection *section = section_at(stream, i);
        json_object *device = vmstate_describe(section->state, section->object);

        json_object_object_add(device, "name", json_object_new_string(section->name));
        json_object_object_add(device, "instance_id", json_object_new_int64(section->instance));
        json_object_array_add(devices, device);
    }
    json_object_object_add(root, "page_size", json_object_new_int(4096));
    json_object_object_add(root, "devices", devices);
    text = json_object_to_json_string_ext(root, JSON_C_TO_STRING_PLAIN);
    stream_put_u8(out, STREAM_DESCRIPTION);
    stream_put_u32(out, (uint32_t)strlen(text));
    stream_put(out, text, strlen(text));
    json_object_put(root);
}

bool machine_stream_save(const MachineStream *stream, const StreamIo *io, uint64_t *size,
                         GError **error)
{
    RamCounters counters = { 0 };
    RamSaver *ram = ram_saver_new(false, &counters);
    StreamOut out;

    stream_out_init(&out, io);
    stream_put_begin(&out, stream);
    ram_saver_send_blocks(&out);
    ram_saver_send(ram, &out, 0, true);
    ram_saver_free(ram);
    stream_put_sections(&out, stream);
    stream_put_description(&out, stream);
    stream_out_flush(&out);
    *size = (uint64_t)out.pos;
    if (out.result < 0) {
        error_set_errno(error, -out.result, "Cannot write the machine's state");
    }
    stream_out_cleanup(&out);
    return out.result >= 0;
}

/* ---- Loading: up to the end of RAM ---- */

bool stream_get_begin(StreamIn *in, const MachineStream *stream)
{
    char board[256];
    uint32_t len;

    if (stream_get_u32(in) != STREAM_MAGIC || stream_get_u32(in) != STREAM_VERSION) {
        return stream_bad(in, "it does not begin as it must");
    }
    if (stream_get_u8(in) != STREAM_CONFIGURATION || (len = stream_get_u32(in)) > 255) {
        return stream_bad(in, "it does not say which board it is of");
    }
    stream_get(in, board, len);
    stream_finish_name(board, len);
    if (!in->failed && strcmp(board, stream->board)) {
        return stream_bad(in, "it is of board '%s', and this machine is a '%s'", board,
                          stream->board);
    }
    return !in->failed;
}

static bool load_footer(StreamIn *in)
{
    return (stream_get_u8(in) == STREAM_FOOTER && stream_get_u32(in) == RAM_SECTION) ||
           stream_bad(in, "RAM's section does not end where it should");
}

static bool load_ram_head(StreamIn *in)
{
    char name[256];

    stream_get_name(in, name);
    return (!strcmp(name, RAM_NAME) && stream_get_u32(in) == 0 &&
            stream_get_u32(in) == RAM_VERSION) ||
           stream_bad(in, "it does not begin with RAM");
}

bool stream_get_ram(StreamIn *in, bool *end)
{
    uint8_t mark = stream_get_u8(in);
    bool start = mark == STREAM_SECTION_START;

    *end = mark == STREAM_SECTION_END;
    if ((!start && mark != STREAM_SECTION_PART && !*end) || start == in->has_blocks ||
        stream_get_u32(in) != RAM_SECTION) {
        return stream_bad(in, start || in->has_blocks ? "RAM's content is missing"
                                                      : "it does not begin with RAM");
    }
    in->has_blocks = true;
    return (start ? load_ram_head(in) && ram_load_start(in) : ram_load_pages(in)) &&
           load_footer(in);
}

static bool load_ram(StreamIn *in)
{
    bool end = false, ok = true;

    ram_load_begin(in);
    while (ok && !end) {
        ok = stream_get_ram(in, &end);
    }
    ram_load_end(in);
    return ok;
}

/* ---- Loading: the tables, from memory ---- */

typedef struct Rest {
    const uint8_t *data;
    size_t at, len;
} Rest;

static bool rest_bad(const char *what, GError **error)
{
    error_setf(error, "Machine state: %s", what);
    return false;
}

static bool rest_u32(Rest *rest, uint32_t *value)
{
    if (rest->len - rest->at < 4) {
        return false;
    }
    *value = ldl_be(rest->data + rest->at);
    rest->at += 4;
    return true;
}

static bool rest_u8(Rest *rest, uint8_t *value)
{
    if (rest->at == rest->len) {
        return false;
    }
    *value = rest->data[rest->at++];
    return true;
}

static bool rest_name(Rest *rest, char name[256])
{
    uint8_t len;

    if (!rest_u8(rest, &len) || rest->len - rest->at < len) {
        return false;
    }
    memcpy(name, rest->data + rest->at, len);
    stream_finish_name(name, len);
    rest->at += len;
    return true;
}

/* The sections come in the order of ours; so the next must be this one. */
static bool load_section(Rest *rest, const StreamSection *section, GError **error)
{
    uint32_t number, instance, version, again;
    char name[256];
    uint8_t mark;
    size_t used;

    if (!rest_u8(rest, &mark) || mark != STREAM_SECTION_FULL || !rest_u32(rest, &number) ||
        !rest_name(rest, name) || !rest_u32(rest, &instance) || !rest_u32(rest, &version)) {
        error_setf(error, "Machine state: there is none of device '%s'", section->name);
        return false;
    }
    if (strcmp(name, section->name) || instance != section->instance) {
        error_setf(error, "Machine state: device '%s' (%" PRIu32 ") comes where this machine has "
                   "'%s' (%" PRIu32 ")", name, instance, section->name, section->instance);
        return false;
    }
    if (version > (uint32_t)section->state->version) {
        error_setf(error, "Machine state of device '%s' has version %" PRIu32 ", and this machine "
                   "knows it up to %d", name, version, section->state->version);
        return false;
    }
    if (!vmstate_load(section->state, section->object, (int)version, rest->data + rest->at,
                      rest->len - rest->at, &used, error)) {
        g_prefix_error(error, "Machine state of device '%s': ", name);
        return false;
    }
    rest->at += used;
    if (!rest_u8(rest, &mark) || mark != STREAM_FOOTER || !rest_u32(rest, &again) ||
        again != number) {
        error_setf(error, "Machine state of device '%s' does not end where it should", name);
        return false;
    }
    return true;
}

bool machine_sections_load(const MachineStream *stream, const uint8_t *data, size_t len,
                           GError **error)
{
    Rest rest = { .data = data, .len = len };
    uint8_t mark;

    for (guint i = 0; i < stream->sections->len; i++) {
        if (!load_section(&rest, section_at(stream, i), error)) {
            return false;
        }
    }
    return (rest_u8(&rest, &mark) && mark == STREAM_EOF) ||
           rest_bad("it has a device that this machine does not have", error);
}

bool machine_stream_load(const MachineStream *stream, const StreamIo *io, uint64_t size,
                         GError **error)
{
    g_autofree uint8_t *data = NULL;
    size_t len = 0;
    StreamIn in;
    bool ok;

    stream_in_init(&in, io, size, error);
    ok = stream_get_begin(&in, stream) && load_ram(&in);
    if (ok && stream_left(&in) > MAX_DEVICE_STATE) {
        ok = stream_bad(&in, "there is too much of it behind RAM");
    }
    if (ok) {
        len = (size_t)stream_left(&in);
        data = g_malloc(len);
        stream_get(&in, data, len);
        ok = !in.failed && machine_sections_load(stream, data, len, error);
    }
    stream_in_cleanup(&in);
    return ok;
}
