/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/source.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>

#include "io/channel-command.h"
#include "memory/ram-block.h"
#include "migration/commands.h"
#include "migration/transport.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/loop.h"
#include "util/ratelimit.h"
#include "util/thread.h"
#include "util/timer.h"
#include "util/vm-lock.h"

/* At most so much goes out between two looks at limits and at whether it is called off. */
#define PART_BYTES (1u << 20)
#define MS 1000000 /* in ns */
#define SLICE_NS (100ll * MS)

struct MigrationSource {
    MigrationConfig config;
    MigrationStatus status;  /* main thread */
    Channel *channel;
    bool two_way;
    pthread_t thread;
    bool has_thread;
    bool cancelled;          /* atomic */
    uint8_t head[4];         /* of the next message */
    bool has_head;           /* its first byte, at least */
    bool broken;             /* writing failed; perhaps there are words why */
    bool left;               /* COMMAND_RUN, or all of a one-way stream, is sent */
    GError *error;           /* the first */

    /* The thread's, and the main thread's while the former waits for it. */
    RamSaver *ram;
    StreamOut out;
    RateLimit rate;
    MachineStream machine;
    bool has_machine;
    GByteArray *devices;
    bool stopped, was_running;

    /* For pre-switchover. */
    GMutex lock;
    GCond cond;
    bool may_go_on;

    /* For people; atomic. Times are VM_CLOCK_REALTIME. */
    RamCounters counters;
    int64_t begun, set_up, stopped_at, ended;
    uint64_t transferred, precopy_bytes;
    uint64_t bytes_per_second, dirty_pages_per_second, expected_downtime_ms;
};

static int64_t now_ns(void)
{
    return vm_clock_ns(VM_CLOCK_REALTIME);
}

static void note(uint64_t *figure, uint64_t value)
{
    __atomic_store_n(figure, value, __ATOMIC_RELAXED);
}

static uint64_t look(const uint64_t *figure)
{
    return __atomic_load_n(figure, __ATOMIC_RELAXED);
}

static bool is_cancelled(const MigrationSource *source)
{
    return __atomic_load_n(&source->cancelled, __ATOMIC_ACQUIRE);
}

/* ---- On the main thread ---- */

static void set_status(MigrationSource *source, MigrationStatus status)
{
    if (source->status != status) {
        source->status = status;
        source->config.changed(status, 0);
    }
}

static void begin(void *opaque)
{
    MigrationSource *source = opaque;
    g_autoptr(GError) error = NULL;

    /* What cannot be saved is told now, before anybody has waited for it. */
    source->has_machine = true;
    if (!source->config.host->collect(&source->machine, &error)) {
        source->error = g_steal_pointer(&error);
        return;
    }
    source->ram = ram_saver_new(true, &source->counters);
    set_status(source, MIGRATION_STATUS_ACTIVE);
}

static int append(void *opaque, int64_t pos, const void *buf, size_t len)
{
    g_byte_array_append(opaque, buf, (guint)len);
    return 0;
}

static bool collect_devices(MigrationSource *source, GError **error)
{
    const StreamIo io = { .write = append, .opaque = source->devices };
    StreamOut out;

    machine_stream_cleanup(&source->machine);
    if (!source->config.host->collect(&source->machine, error)) {
        return false;
    }
    stream_out_init(&out, &io);
    stream_put_sections(&out, &source->machine);
    stream_out_flush(&out);
    stream_out_cleanup(&out);
    return true;
}

static void stop_machine(void *opaque)
{
    MigrationSource *source = opaque;
    const MigrationHost *host = source->config.host;

    if (is_cancelled(source)) {
        return;
    }
    source->was_running = host->is_running();
    source->stopped = true;
    __atomic_store_n(&source->stopped_at, now_ns(), __ATOMIC_RELAXED);
    note(&source->precopy_bytes, look(&source->transferred));
    if (host->stop(&source->error)) {
        set_status(source, source->config.pause_before_switchover
                               ? MIGRATION_STATUS_PRE_SWITCHOVER : MIGRATION_STATUS_ACTIVE);
    }
}

static void take_state(void *opaque)
{
    MigrationSource *source = opaque;

    if (source->config.pause_before_switchover) {
        set_status(source, MIGRATION_STATUS_DEVICE);
    }
    ram_saver_sync(source->ram);
    collect_devices(source, &source->error);
}

/* The thread's last word. */
static void end(void *opaque)
{
    MigrationSource *source = opaque;
    const MigrationHost *host = source->config.host;

    pthread_join(source->thread, NULL);
    source->has_thread = false;
    __atomic_store_n(&source->ended, now_ns(), __ATOMIC_RELAXED);
    if (source->ram) {
        ram_saver_free(g_steal_pointer(&source->ram));
    }
    if (source->left) {
        host->left();
    } else if (source->stopped) {
        host->go_on(source->was_running);
    }
    g_clear_pointer(&source->channel, channel_unref);
    set_status(source, source->left                ? MIGRATION_STATUS_COMPLETED
                       : is_cancelled(source)      ? MIGRATION_STATUS_CANCELLED
                                                   : MIGRATION_STATUS_FAILED);
}

/* ---- On the thread ---- */

static bool is_well(const MigrationSource *source)
{
    return source->out.result >= 0 && !source->error && !is_cancelled(source);
}

static int write_channel(void *opaque, int64_t pos, const void *buf, size_t len)
{
    MigrationSource *source = opaque;

    if (source->error) {
        return -EIO;
    }
    if (!channel_write_all(source->channel, buf, len, &source->error)) {
        source->broken = true;
        return -EIO;
    }
    note(&source->transferred, (uint64_t)pos + len);
    return 0;
}

static void put_command(StreamOut *out, unsigned command, const void *data, size_t len)
{
    uint8_t head[5] = { STREAM_COMMAND };

    stw_be(head + 1, (uint16_t)command);
    stw_be(head + 3, (uint16_t)len);
    stream_put(out, head, sizeof(head));
    stream_put(out, data, len);
}

/* ---- What the destination says ---- */

/* Did a message come, or begin to? The end of the connection is one. */
static bool hears_something(MigrationSource *source)
{
    ssize_t n = source->two_way ? channel_read(source->channel, source->head, 1) : -EAGAIN;

    source->has_head = n > 0;
    return n != -EAGAIN;
}

static bool read_message(MigrationSource *source, uint16_t *type, uint8_t data[MESSAGE_MAX],
                         size_t *len)
{
    size_t have = source->has_head ? 1 : 0;

    source->has_head = false;
    if (!channel_read_all(source->channel, source->head + have, sizeof(source->head) - have,
                          &source->error)) {
        return false;
    }
    *type = ldw_be(source->head);
    *len = ldw_be(source->head + 2);
    if (*len > MESSAGE_MAX) {
        error_setf(&source->error, "The destination sends a message that is too long");
        return false;
    }
    return channel_read_all(source->channel, data, *len, &source->error);
}

/* Did the other side load everything? *reason: why not, if it says so; the caller's. */
static bool hear_result(MigrationSource *source, char **reason)
{
    uint8_t data[MESSAGE_MAX];
    uint16_t type;
    size_t len;

    *reason = NULL;
    while (read_message(source, &type, data, &len)) {
        if (type == MESSAGE_ERROR && !*reason) {
            *reason = g_utf8_make_valid((const char *)data, (gssize)len);
        } else {
            return type == MESSAGE_SHUT && len == 4 && ldl_be(data) == 0 && !*reason;
        }
    }
    return false;
}

/* If it did not, its reason becomes our error; in any case there is one then. */
static bool hear_destination(MigrationSource *source)
{
    g_autofree char *reason = NULL;
    bool ok = hear_result(source, &reason);

    if (reason) {
        g_clear_error(&source->error);
    }
    if (!ok && !source->error) {
        error_setf(&source->error, "The destination refuses the machine: %s",
                   reason ? reason : "it does not say why");
    }
    return ok;
}

/* The connection is broken: words why tell more than its end. */
static void hear_last_words(MigrationSource *source)
{
    GError *broken = g_steal_pointer(&source->error);
    g_autofree char *reason = NULL;

    hear_result(source, &reason);
    g_clear_error(&source->error);
    source->error = broken;
    if (reason) {
        g_clear_error(&source->error);
        error_setf(&source->error, "The destination refuses the machine: %s", reason);
    }
}

/* Before it can have everything, all that it may say is why it gives up. */
static void heed_destination(MigrationSource *source)
{
    if (hears_something(source) && hear_destination(source)) {
        error_setf(&source->error, "The destination says that it has the machine too early");
    }
}

/* ---- The phases ---- */

/* Until so many nanoseconds are over, or it is called off. */
static void wait_a_while(MigrationSource *source, int64_t ns)
{
    gint64 until = g_get_monotonic_time() + ns / 1000;

    g_mutex_lock(&source->lock);
    while (!is_cancelled(source) && g_cond_wait_until(&source->cond, &source->lock, until)) {
    }
    g_mutex_unlock(&source->lock);
}

static void keep_to_speed(MigrationSource *source, uint64_t bytes)
{
    int64_t wait;

    ratelimit_set_speed(&source->rate, look(&source->config.limits->max_bandwidth), SLICE_NS);
    wait = ratelimit_delay(&source->rate, bytes, now_ns());
    do {
        int64_t now = MIN(wait, SLICE_NS);

        if (now > 0) {
            wait_a_while(source, now);
        }
        wait -= now;
        if (is_well(source)) {
            heed_destination(source);
        }
    } while (wait > 0 && is_well(source));
}

/* What fits into a slice of time, in a way. */
static uint64_t part_bytes(const MigrationSource *source)
{
    uint64_t limit = look(&source->config.limits->max_bandwidth);

    return limit ? CLAMP(limit / (1000 * MS / SLICE_NS), RAM_PAGE_SIZE, PART_BYTES) : PART_BYTES;
}

/* All pages that are to be sent now. */
static void send_pass(MigrationSource *source)
{
    bool more = true;

    while (more && is_well(source)) {
        uint64_t at = stream_out_offset(&source->out);

        more = ram_saver_send(source->ram, &source->out, part_bytes(source), false);
        stream_out_flush(&source->out);
        keep_to_speed(source, stream_out_offset(&source->out) - at);
    }
}

/* Read the log, and what follows for the time that the rest would take. */
static void end_pass(MigrationSource *source, uint64_t bytes, int64_t ns)
{
    VM_LOCK_GUARD();
    uint64_t pages = ram_saver_sync(source->ram);
    uint64_t speed = muldiv64(bytes, 1000 * MS, (uint64_t)MAX(ns, 1));

    note(&source->bytes_per_second, speed);
    note(&source->dirty_pages_per_second, muldiv64(pages, 1000 * MS, (uint64_t)MAX(ns, 1)));
    note(&source->expected_downtime_ms,
         muldiv64(look(&source->counters.remaining), 1000, MAX(speed, 1)));
    source->config.changed(source->status, look(&source->counters.syncs));
}

static void send_running(MigrationSource *source)
{
    do {
        uint64_t at = stream_out_offset(&source->out);
        int64_t begin_ns = now_ns();

        send_pass(source);
        if (!is_well(source)) {
            return;
        }
        end_pass(source, stream_out_offset(&source->out) - at, now_ns() - begin_ns);
    } while (look(&source->expected_downtime_ms) >
             look(&source->config.limits->downtime_limit_ms));
}

static void wait_for_user(MigrationSource *source)
{
    g_mutex_lock(&source->lock);
    while (!source->may_go_on && !is_cancelled(source)) {
        g_cond_wait(&source->cond, &source->lock);
    }
    g_mutex_unlock(&source->lock);
}

static void send_stopped(MigrationSource *source)
{
    StreamOut *out = &source->out;
    uint8_t len[4];

    ram_saver_send(source->ram, out, 0, true);
    stl_be(len, source->devices->len);
    put_command(out, COMMAND_PACKAGED, len, sizeof(len));
    stream_put(out, source->devices->data, source->devices->len);
    stream_put_u8(out, STREAM_EOF);
    stream_put_description(out, &source->machine);
    stream_out_flush(out);
}

/* From here on the machine is the other side's. */
static void let_go(MigrationSource *source)
{
    if (source->two_way) {
        if (!hear_destination(source) || is_cancelled(source)) {
            return;
        }
        put_command(&source->out, COMMAND_RUN, NULL, 0);
    }
    source->left = true;
    stream_out_flush(&source->out);
}

/* A stream into a file or a command is complete when these say so. */
static bool finish_one_way(MigrationSource *source)
{
    bool command = channel_is_command(source->channel);
    int ret, status;

    if (command) {
        channel_command_finish(source->channel);
    }
    ret = channel_close(source->channel);
    status = command ? channel_command_status(source->channel) : 0;
    if (ret < 0) {
        error_set_errno(&source->error, -ret, "Cannot finish the stream");
    } else if (status) {
        error_setf(&source->error, "The command that takes the stream failed (%s %d)",
                   WIFEXITED(status) ? "exit status" : "signal",
                   WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    }
    return ret >= 0 && !status;
}

static void hand_over(MigrationSource *source)
{
    loop_post_wait(loop_main(), stop_machine, source);
    if (is_well(source) && source->config.pause_before_switchover) {
        wait_for_user(source);
    }
    if (is_well(source)) {
        loop_post_wait(loop_main(), take_state, source);
    }
    if (is_well(source)) {
        send_stopped(source);
    }
    if (is_well(source) && (source->two_way || finish_one_way(source))) {
        let_go(source);
    }
}

static void send_begin(MigrationSource *source)
{
    stream_put_begin(&source->out, &source->machine);
    if (source->two_way) {
        put_command(&source->out, COMMAND_OPEN_RETURN_PATH, NULL, 0);
    }
    ram_saver_send_blocks(&source->out);
    stream_out_flush(&source->out);
    __atomic_store_n(&source->set_up, now_ns(), __ATOMIC_RELAXED);
}

static void *run(void *opaque)
{
    MigrationSource *source = opaque;

    loop_post_wait(loop_main(), begin, source);
    if (is_well(source)) {
        send_begin(source);
        send_running(source);
    }
    if (is_well(source)) {
        hand_over(source);
    }
    if (source->broken && source->two_way && !is_cancelled(source)) {
        hear_last_words(source);
    }
    loop_post(loop_main(), end, source);
    return NULL;
}

/* ---- Life ---- */

MigrationSource *migration_source_new(const MigrationConfig *config)
{
    MigrationSource *source = g_new0(MigrationSource, 1);
    StreamIo *io = g_new0(StreamIo, 1);

    *io = (StreamIo) { .write = write_channel, .opaque = source };
    source->config = *config;
    source->status = MIGRATION_STATUS_NONE;
    source->devices = g_byte_array_new();
    source->begun = now_ns();
    stream_out_init(&source->out, io);
    ratelimit_init(&source->rate);
    g_mutex_init(&source->lock);
    g_cond_init(&source->cond);
    set_status(source, MIGRATION_STATUS_SETUP);
    return source;
}

void migration_source_fail(MigrationSource *source, GError *error)
{
    source->error = error;
    source->ended = now_ns();
    set_status(source, is_cancelled(source) ? MIGRATION_STATUS_CANCELLED
                                            : MIGRATION_STATUS_FAILED);
}

void migration_source_start(MigrationSource *source, Channel *channel)
{
    GError *error = NULL;

    source->channel = channel;
    source->two_way = migration_channel_is_two_way(channel);
    source->has_thread = thread_create(&source->thread, "migration", run, source, &error);
    if (!source->has_thread) {
        g_clear_pointer(&source->channel, channel_unref);
        migration_source_fail(source, error);
    }
}

bool migration_source_is_over(const MigrationSource *source)
{
    return source->ended;
}

MigrationStatus migration_source_status(const MigrationSource *source)
{
    return source->status;
}

void migration_source_cancel(MigrationSource *source)
{
    if (migration_source_is_over(source) || is_cancelled(source)) {
        return;
    }
    g_mutex_lock(&source->lock);
    __atomic_store_n(&source->cancelled, true, __ATOMIC_RELEASE);
    g_cond_broadcast(&source->cond);
    g_mutex_unlock(&source->lock);
    set_status(source, MIGRATION_STATUS_CANCELLING);
    if (source->channel) {
        channel_shutdown(source->channel, CHANNEL_READ | CHANNEL_WRITE);
    } else {
        migration_source_fail(source, NULL);
    }
}

bool migration_source_continue(MigrationSource *source, GError **error)
{
    if (source->status != MIGRATION_STATUS_PRE_SWITCHOVER) {
        error_setf(error, "Migration is not in the state 'pre-switchover'");
        return false;
    }
    g_mutex_lock(&source->lock);
    source->may_go_on = true;
    g_cond_broadcast(&source->cond);
    g_mutex_unlock(&source->lock);
    return true;
}

void migration_source_free(MigrationSource *source)
{
    if (!source) {
        return;
    }
    migration_source_cancel(source);
    while (source->has_thread) {
        loop_iterate(loop_main(), true);
    }
    if (source->has_machine) {
        machine_stream_cleanup(&source->machine);
    }
    g_free((void *)(uintptr_t)source->out.io);
    stream_out_cleanup(&source->out);
    g_byte_array_unref(source->devices);
    ratelimit_cleanup(&source->rate);
    g_mutex_clear(&source->lock);
    g_cond_clear(&source->cond);
    g_clear_error(&source->error);
    g_free(source);
}

/* ---- For people ---- */

static MigrationStats *ram_stats(const MigrationSource *source)
{
    MigrationStats *stats = g_new0(MigrationStats, 1);
    const RamCounters *counters = &source->counters;
    uint64_t transferred = look(&source->transferred), speed = look(&source->bytes_per_second);
    bool stopped = source->stopped;

    stats->transferred = (int64_t)transferred;
    stats->remaining = (int64_t)look(&counters->remaining);
    stats->total = (int64_t)look(&counters->total);
    stats->duplicate = (int64_t)look(&counters->zero_pages);
    stats->normal = (int64_t)look(&counters->pages);
    stats->normal_bytes = stats->normal * RAM_PAGE_SIZE;
    stats->dirty_pages_rate = (int64_t)look(&source->dirty_pages_per_second);
    stats->mbps = (double)speed * 8 / 1e6;
    stats->dirty_sync_count = (int64_t)look(&counters->syncs);
    stats->page_size = RAM_PAGE_SIZE;
    stats->pages_per_second = speed / RAM_PAGE_SIZE;
    stats->precopy_bytes = stopped ? look(&source->precopy_bytes) : transferred;
    stats->downtime_bytes = transferred - stats->precopy_bytes;
    return stats;
}

static int64_t ms_between(int64_t from, int64_t to)
{
    return (to - from) / MS;
}

MigrationInfo *migration_source_info(const MigrationSource *source)
{
    MigrationInfo *info = g_new0(MigrationInfo, 1);
    int64_t until = source->ended ? source->ended : now_ns();

    info->has_status = true;
    info->status = source->status;
    info->error_desc = source->error && source->status == MIGRATION_STATUS_FAILED
                           ? g_strdup(source->error->message) : NULL;
    if (!source->has_machine) {
        return info;
    }
    info->ram = ram_stats(source);
    info->has_total_time = info->has_setup_time = true;
    info->total_time = ms_between(source->begun, until);
    info->setup_time = source->set_up ? ms_between(source->begun, source->set_up) : 0;
    if (source->status == MIGRATION_STATUS_COMPLETED) {
        info->has_downtime = true;
        info->downtime = ms_between(source->stopped_at, source->ended);
    } else {
        info->has_expected_downtime = true;
        info->expected_downtime = (int64_t)look(&source->expected_downtime_ms);
    }
    return info;
}
