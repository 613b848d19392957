/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/target.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "migration/commands.h"
#include "migration/stream-internal.h"
#include "migration/transport.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/loop.h"
#include "util/thread.h"

/* Bytes that are still read from a source that was told that it is in vain. */
#define TAKEN_IN_VAIN (256u << 20)

struct MigrationTarget {
    MigrationTargetConfig config;
    MigrationStatus status; /* main thread */
    MigrationTransport *transport;
    Channel *channel;
    pthread_t thread;
    bool has_thread;
    GError *error;          /* the first; the thread's, and the main thread's while that waits */

    /* The thread's. */
    StreamIn in;
    MachineStream machine;
    bool has_machine;
    bool answers;           /* the source listens to us */
    uint8_t *package;
    uint32_t package_len;
    bool arrived;
};

/* ---- On the main thread ---- */

static void set_status(MigrationTarget *target, MigrationStatus status)
{
    target->status = status;
    target->config.changed(status);
}

static void begin(void *opaque)
{
    MigrationTarget *target = opaque;
    const MigrationHost *host = target->config.host;

    set_status(target, MIGRATION_STATUS_ACTIVE);
    host->reset();
    ram_load_begin(&target->in);
    target->has_machine = true;
    host->collect(&target->machine, &target->error);
}

static void load_devices(void *opaque)
{
    MigrationTarget *target = opaque;

    ram_load_end(&target->in);
    machine_sections_load(&target->machine, target->package, target->package_len, &target->error);
}

/* The thread's last word. */
static void end(void *opaque)
{
    MigrationTarget *target = opaque;

    pthread_join(target->thread, NULL);
    target->has_thread = false;
    ram_load_end(&target->in);
    g_clear_pointer(&target->channel, channel_unref);
    g_clear_pointer(&target->transport, migration_transport_free);
    if (target->arrived) {
        set_status(target, MIGRATION_STATUS_COMPLETED);
        target->config.host->arrived();
    } else {
        set_status(target, MIGRATION_STATUS_FAILED);
        target->config.host->lost(target->error);
    }
}

/* ---- On the thread ---- */

static ssize_t read_channel(void *opaque, int64_t pos, void *buf, size_t len)
{
    const MigrationTarget *target = opaque;
    ssize_t ret;

    while ((ret = channel_read(target->channel, buf, len)) == -EAGAIN) {
        channel_wait(target->channel, CHANNEL_READ);
    }
    return ret;
}

static bool send_message(MigrationTarget *target, unsigned type, const void *data, size_t len)
{
    uint8_t head[4];

    stw_be(head, (uint16_t)type);
    stw_be(head + 2, (uint16_t)len);
    return channel_write_all(target->channel, head, sizeof(head), NULL) &&
           channel_write_all(target->channel, data, len, NULL);
}

static bool tell_result(MigrationTarget *target, uint32_t result)
{
    uint8_t data[4];

    stl_be(data, result);
    return send_message(target, MESSAGE_SHUT, data, sizeof(data));
}

/*
 * The source goes on if it does not hear that all is well; so it is only for its sake that we take
 * what it still sends: a connection that is closed with data unread loses our words.
 */
static void tell_failure(MigrationTarget *target)
{
    size_t len = MIN(strlen(target->error->message), MESSAGE_MAX);
    uint8_t scratch[4096];

    if (!migration_channel_is_two_way(target->channel) ||
        !send_message(target, MESSAGE_ERROR, target->error->message, len) ||
        !tell_result(target, 1)) {
        return;
    }
    for (unsigned n = 0; n < TAKEN_IN_VAIN; n += sizeof(scratch)) {
        if (read_channel(target, 0, scratch, sizeof(scratch)) <= 0) {
            break;
        }
    }
}

/* A command's head, behind its mark. */
static unsigned get_command(StreamIn *in, unsigned *len)
{
    uint8_t head[4];

    stream_get(in, head, sizeof(head));
    *len = ldw_be(head + 2);
    return ldw_be(head);
}

/* The mark in front is read already, as far as there is one. */
static bool get_begin(MigrationTarget *target)
{
    StreamIn *in = &target->in;
    unsigned len;

    if (!stream_get_begin(in, &target->machine)) {
        return false;
    }
    if (stream_peek_u8(in) != STREAM_COMMAND) {
        return true;
    }
    stream_get_u8(in);
    if (get_command(in, &len) != COMMAND_OPEN_RETURN_PATH || len ||
        !migration_channel_is_two_way(target->channel)) {
        return stream_bad(in, "there is a command that makes no sense at the beginning");
    }
    target->answers = true;
    return true;
}

static bool get_ram(StreamIn *in)
{
    bool end = false;

    while (!end) {
        if (!stream_get_ram(in, &end)) {
            return false;
        }
    }
    return true;
}

static bool get_package(MigrationTarget *target)
{
    StreamIn *in = &target->in;
    unsigned len;

    if (stream_get_u8(in) != STREAM_COMMAND || get_command(in, &len) != COMMAND_PACKAGED ||
        len != 4) {
        return stream_bad(in, "the devices' state is missing");
    }
    target->package_len = stream_get_u32(in);
    if (target->package_len > MAX_DEVICE_STATE) {
        return stream_bad(in, "there is too much of it behind RAM");
    }
    target->package = g_malloc(target->package_len);
    stream_get(in, target->package, target->package_len);
    return !in->failed;
}

/* The end mark and the description, which is for tools. */
static bool skip_description(StreamIn *in)
{
    uint8_t scratch[4096];
    uint32_t left;

    if (stream_get_u8(in) != STREAM_EOF || stream_get_u8(in) != STREAM_DESCRIPTION) {
        return stream_bad(in, "it does not end where it should");
    }
    left = stream_get_u32(in);
    if (left > MAX_DEVICE_STATE) {
        return stream_bad(in, "its description is too long");
    }
    while (left && !in->failed) {
        uint32_t n = MIN(left, (uint32_t)sizeof(scratch));

        stream_get(in, scratch, n);
        left -= n;
    }
    return !in->failed;
}

static bool may_run(MigrationTarget *target)
{
    StreamIn *in = &target->in;
    unsigned len;

    return (stream_get_u8(in) == STREAM_COMMAND && get_command(in, &len) == COMMAND_RUN && !len) ||
           stream_bad(in, "the source does not let go of the machine");
}

static bool get_machine(MigrationTarget *target)
{
    if (!get_begin(target) || !get_ram(&target->in) || !get_package(target) ||
        !skip_description(&target->in)) {
        return false;
    }
    loop_post_wait(loop_main(), load_devices, target);
    return !target->error;
}

static void *run(void *opaque)
{
    MigrationTarget *target = opaque;

    loop_post_wait(loop_main(), begin, target);
    target->arrived = !target->error && get_machine(target) &&
                      (!target->answers || (tell_result(target, 0) && may_run(target)));
    if (target->error) {
        tell_failure(target);
    }
    loop_post(loop_main(), end, target);
    return NULL;
}

/* ---- Life ---- */

static void on_channel(Channel *channel, GError *error, void *opaque)
{
    MigrationTarget *target = opaque;

    target->channel = channel;
    target->error = error;
    if (!error) {
        set_status(target, MIGRATION_STATUS_SETUP);
        target->has_thread = thread_create(&target->thread, "migration", run, target,
                                           &target->error);
    }
    if (!target->has_thread) {
        set_status(target, MIGRATION_STATUS_FAILED);
        target->config.host->lost(target->error);
    }
}

MigrationTarget *migration_target_new(const MigrationTargetConfig *config, const char *uri,
                                      GError **error)
{
    MigrationTarget *target = g_new0(MigrationTarget, 1);
    StreamIo *io = g_new0(StreamIo, 1);

    *io = (StreamIo) { .read = read_channel, .opaque = target };
    target->config = *config;
    target->status = MIGRATION_STATUS_NONE;
    stream_in_init(&target->in, io, STREAM_SIZE_UNKNOWN, &target->error);
    target->transport = migration_listen(uri, on_channel, target, error);
    if (!target->transport) {
        g_clear_pointer(&target, migration_target_free);
    }
    return target;
}

void migration_target_free(MigrationTarget *target)
{
    if (!target) {
        return;
    }
    if (target->channel) {
        channel_shutdown(target->channel, CHANNEL_READ | CHANNEL_WRITE);
    }
    while (target->has_thread) {
        loop_iterate(loop_main(), true);
    }
    migration_transport_free(target->transport);
    if (target->has_machine) {
        machine_stream_cleanup(&target->machine);
    }
    g_free((void *)(uintptr_t)target->in.io);
    stream_in_cleanup(&target->in);
    g_free(target->package);
    g_clear_error(&target->error);
    g_free(target);
}

static void *clone_address(const void *addr, void *opaque)
{
    return SocketAddress_clone(addr);
}

MigrationInfo *migration_target_info(const MigrationTarget *target)
{
    MigrationInfo *info = g_new0(MigrationInfo, 1);
    const GPtrArray *addresses = target->transport
                                     ? migration_transport_addresses(target->transport) : NULL;

    info->has_status = target->status != MIGRATION_STATUS_NONE;
    info->status = target->status;
    if (target->status == MIGRATION_STATUS_FAILED && target->error) {
        info->error_desc = g_strdup(target->error->message);
    }
    if (addresses) {
        info->socket_address = g_ptr_array_copy((GPtrArray *)(uintptr_t)addresses,
                                                (GCopyFunc)clone_address, NULL);
    }
    return info;
}
