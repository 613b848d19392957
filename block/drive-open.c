/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the options of -drive to a backend with its medium: what is the drive's own is read here,
 * the rest goes to block_open(). Unlike a -blockdev node, a drive falls back to read-only where the
 * image cannot be written, and its format may be guessed.
 */
#include <string.h>

#include "block/drive-internal.h"
#include "block/open.h"
#include "block/throttle-group.h"
#include "util/error.h"

typedef struct DriveOpen {
    const DriveOptions *given;
    json_object *options; /* for block_open(), text; owned */
    const char *filename; /* or NULL */
    BlockMode mode;       /* of the medium, where the options say it */
    bool writethrough, snapshot, copy_on_read;
    bool count_invalid, count_failed;
    ThrottleConfig limits;
    char *group;
    GArray *intervals;    /* unsigned: seconds */
    BlockdevOnError on_read, on_write;
} DriveOpen;

/* ---- Reading options ---- */

static void set_text(json_object *object, const char *key, const char *value)
{
    json_object_object_add(object, key, json_object_new_string(value));
}

static void set_default(json_object *object, const char *key, const char *value)
{
    if (!json_object_object_get_ex(object, key, NULL)) {
        set_text(object, key, value);
    }
}

/* A member that is an object; made if it is not there. NULL: it is something else. */
static json_object *sub_object(json_object *object, const char *key)
{
    json_object *sub;

    if (!json_object_object_get_ex(object, key, &sub)) {
        sub = json_object_new_object();
        json_object_object_add(object, key, sub);
    }
    return json_object_is_type(sub, json_type_object) ? sub : NULL;
}

/* Take a member out; the caller's, or NULL. */
static json_object *take(json_object *object, const char *key)
{
    json_object *value = NULL;

    if (json_object_object_get_ex(object, key, &value)) {
        json_object_get(value);
        json_object_object_del(object, key);
    }
    return value;
}

static bool read_policy(const char *text, bool is_read, BlockdevOnError *policy, GError **error)
{
    if (!text) {
        return true;
    }
    if (!BlockdevOnError_parse(text, policy, NULL) || *policy == BLOCKDEV_ON_ERROR_AUTO ||
        (is_read && *policy == BLOCKDEV_ON_ERROR_ENOSPC)) {
        error_setf(error, "'%s' invalid %s error action: use %s", text, is_read ? "read" : "write",
                   is_read ? "report, ignore or stop" : "report, ignore, enospc or stop");
        return false;
    }
    return true;
}

static bool read_format(DriveOpen *open, GError **error)
{
    const char *format = drive_own(open->given, "format");

    if (!format) {
        return true;
    }
    if (json_object_object_get_ex(open->options, "driver", NULL)) {
        error_setf(error, "Cannot specify both 'driver' and 'format'");
        return false;
    }
    set_text(open->options, "driver", format);
    return true;
}

/* cache=MODE is cache.direct, cache.no-flush and cache.writeback, unless they are given too. */
static bool read_cache(DriveOpen *open, GError **error)
{
    const char *text = drive_own(open->given, "cache");
    json_object *cache = sub_object(open->options, "cache");
    BlockMode mode = { 0 };
    bool writeback;

    if (text && !block_parse_cache_mode(text, &mode, &open->writethrough)) {
        error_setf(error, "invalid cache option '%s': use none, writeback, writethrough, "
                   "directsync or unsafe", text);
        return false;
    }
    if (!cache) {
        error_setf(error, "Parameter 'cache' must be an object");
        return false;
    }
    writeback = !open->writethrough;
    if (!drive_own_bool(open->given, "cache.writeback", &writeback, error)) {
        return false;
    }
    open->writethrough = !writeback;
    open->mode.cache_direct = mode.cache_direct;
    open->mode.cache_no_flush = mode.cache_no_flush;
    set_default(cache, "direct", mode.cache_direct ? "on" : "off");
    set_default(cache, "no-flush", mode.cache_no_flush ? "on" : "off");
    return true;
}

static bool read_discard(DriveOpen *open, GError **error)
{
    const char *text = drive_own(open->given, "discard");

    if (!text) {
        return true;
    }
    if (!strcmp(text, "on") || !strcmp(text, "unmap")) {
        set_text(open->options, "discard", "unmap");
        open->mode.discard_unmap = true;
    } else if (!strcmp(text, "off") || !strcmp(text, "ignore")) {
        set_text(open->options, "discard", "ignore");
    } else {
        error_setf(error, "Invalid discard option '%s': use unmap or ignore", text);
        return false;
    }
    return true;
}

/* The engine belongs to the file, if the image's storage is one. */
static bool read_aio(DriveOpen *open, GError **error)
{
    const char *text = drive_own(open->given, "aio");
    const char *driver = NULL;
    json_object *file = NULL, *name;
    BlockdevAioOptions engine;

    if (!text) {
        return true;
    }
    if (!BlockdevAioOptions_parse(text, &engine, NULL)) {
        error_setf(error, "invalid aio option '%s': use threads, native or io_uring", text);
        return false;
    }
    if (json_object_object_get_ex(open->options, "file", &file) &&
        json_object_object_get_ex(file, "driver", &name)) {
        driver = json_object_get_string(name);
    } else if (open->filename && !g_str_has_prefix(open->filename, "json:")) {
        const BlockDriver *protocol = block_driver_find_protocol(open->filename, NULL);

        driver = protocol ? protocol->name : NULL;
    } else if (file) {
        driver = "file";
    }
    if (driver && (!strcmp(driver, "file") || g_str_has_prefix(driver, "host_"))) {
        file = sub_object(open->options, "file");
        if (file) {
            set_default(file, "aio", text);
        }
    }
    return true;
}

/* "throttling": what a group has, and its name. */
static bool read_limits(DriveOpen *open, const char *id, GError **error)
{
    json_object *throttling = take(open->options, "throttling"), *group;
    g_autoptr(ThrottleLimits) limits = NULL;
    bool ok = true;

    throttle_config_init(&open->limits);
    open->group = g_strdup(id);
    if (!throttling) {
        return true;
    }
    if (json_object_is_type(throttling, json_type_object)) {
        group = take(throttling, "group");
        if (group) {
            g_free(open->group);
            open->group = g_strdup(json_object_get_string(group));
            json_object_put(group);
        }
    }
    ok = ThrottleLimits_from_json(throttling, QAPI_KEYVAL, &limits, error);
    json_object_put(throttling);
    if (!ok) {
        g_prefix_error(error, "throttling: ");
        return false;
    }
    throttle_config_from_limits(&open->limits, limits);
    return throttle_config_check(&open->limits, error);
}

static bool read_statistics(DriveOpen *open, GError **error)
{
    json_object *list = take(open->options, "stats-intervals");
    bool ok = drive_own_bool(open->given, "stats-account-invalid", &open->count_invalid, error) &&
              drive_own_bool(open->given, "stats-account-failed", &open->count_failed, error);

    if (ok && list && !json_object_is_type(list, json_type_array)) {
        error_setf(error, "Parameter 'stats-intervals' must be an array");
        ok = false;
    }
    for (size_t i = 0; ok && list && i < json_object_array_length(list); i++) {
        json_object *item = json_object_array_get_idx(list, i);
        int64_t seconds = json_object_get_int64(item);

        if (seconds <= 0 || seconds > UINT_MAX) {
            error_setf(error, "Invalid interval length: '%s'", json_object_get_string(item));
            ok = false;
        } else {
            g_array_append_val(open->intervals, (unsigned){ (unsigned)seconds });
        }
    }
    json_object_put(list);
    return ok;
}

/* Read-only where it has to be, and where that is the only way. */
static bool read_access(DriveOpen *open, bool is_cdrom, GError **error)
{
    bool read_only = is_cdrom;

    if (!drive_own_bool(open->given, "read-only", &read_only, error) ||
        !drive_own_bool(open->given, "snapshot", &open->snapshot, error) ||
        !drive_own_bool(open->given, "copy-on-read", &open->copy_on_read, error)) {
        return false;
    }
    if (open->copy_on_read && read_only) {
        warn_report("disabling copy-on-read on read-only drive");
        open->copy_on_read = false;
    }
    open->mode.read_only = read_only;
    set_text(open->options, "read-only", read_only ? "on" : "off");
    set_default(open->options, "auto-read-only", "on");
    return true;
}

/* Zeroes that may not be discarded are written as zeroes. */
static void read_detect_zeroes(DriveOpen *open)
{
    json_object *value;

    if (!open->mode.discard_unmap &&
        json_object_object_get_ex(open->options, "detect-zeroes", &value) &&
        !strcmp(json_object_get_string(value), "unmap")) {
        set_text(open->options, "detect-zeroes", "on");
    }
}

static bool read_options(DriveOpen *open, bool is_cdrom, const char *id, GError **error)
{
    if (!read_format(open, error) ||
        !read_policy(drive_own(open->given, "rerror"), true, &open->on_read, error) ||
        !read_policy(drive_own(open->given, "werror"), false, &open->on_write, error) ||
        !read_limits(open, id, error) || !read_statistics(open, error) ||
        !read_cache(open, error) || !read_discard(open, error) || !read_aio(open, error) ||
        !read_access(open, is_cdrom, error)) {
        return false;
    }
    read_detect_zeroes(open);
    return true;
}

/* ---- Opening ---- */

static BlockNode *open_medium(DriveOpen *open, GError **error)
{
    g_autoptr(BlockNode) node = NULL;

    if (open->snapshot) {
        set_text(open->options, "read-only", "on");
    }
    node = block_open(open->filename, NULL, open->options, QAPI_KEYVAL, 0, error);
    if (!node || !open->snapshot) {
        return g_steal_pointer(&node);
    }
    return block_open_temporary_overlay(node, open->mode.read_only, error);
}

static void apply_policies(DriveOpen *open, BlockBackend *blk)
{
    BlockAccounting *accounting = block_backend_accounting(blk);

    block_backend_set_write_cache(blk, !open->writethrough);
    block_backend_set_on_error(blk, open->on_read, open->on_write);
    block_backend_set_copy_on_read(blk, open->copy_on_read);
    block_accounting_set(accounting, open->count_invalid, open->count_failed);
    for (guint i = 0; i < open->intervals->len; i++) {
        block_accounting_add_interval(accounting, g_array_index(open->intervals, unsigned, i));
    }
    if (throttle_config_limits(&open->limits)) {
        block_backend_set_limits(blk, open->group, &open->limits);
    }
}

/* A drive without medium may still say how the next one is to be opened. */
static bool names_medium(const DriveOpen *open)
{
    static const char *const modes[] = {
        "cache", "discard", "detect-zeroes", "read-only", "auto-read-only", "force-share", NULL,
    };

    if (open->filename) {
        return true;
    }
    json_object_object_foreach(open->options, key, value) {
        if (value && !g_strv_contains(modes, key)) {
            return true;
        }
    }
    return false;
}

/* Who will use it says later what for; until then it only has to be there. */
static BlockBackend *make_backend(DriveOpen *open, bool has_medium, GError **error)
{
    g_autoptr(BlockBackend) blk = block_backend_new(loop_main(), BLOCK_PERM_CONSISTENT_READ,
                                                    BLOCK_PERM_ALL);
    g_autoptr(BlockNode) node = NULL;

    if (has_medium) {
        node = open_medium(open, error);
        if (!node || !block_backend_insert(blk, node, error)) {
            return NULL;
        }
    } else {
        block_backend_set_medium_mode(blk, &open->mode);
    }
    apply_policies(open, blk);
    return g_steal_pointer(&blk);
}

BlockBackend *drive_open(const DriveOptions *options, bool is_cdrom, const char *id, GError **error)
{
    const char *filename = drive_own(options, "file");
    DriveOpen open = {
        .given = options,
        .filename = filename && *filename ? filename : NULL,
        .on_read = BLOCKDEV_ON_ERROR_REPORT,
        .on_write = BLOCKDEV_ON_ERROR_ENOSPC,
        .count_invalid = true,
        .count_failed = true,
        .intervals = g_array_new(FALSE, FALSE, sizeof(unsigned)),
    };
    BlockBackend *blk = NULL;

    if (options->image) {
        json_object_deep_copy(options->image, &open.options, NULL);
    } else {
        open.options = json_object_new_object();
    }
    if (read_options(&open, is_cdrom, id, error)) {
        blk = make_backend(&open, names_medium(&open), error);
    }
    json_object_put(open.options);
    g_array_unref(open.intervals);
    g_free(open.group);
    return blk;
}
