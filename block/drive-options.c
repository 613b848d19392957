/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of -drive. Its keys are of two kinds that may bear the same name: "file=disk.qcow2" is
 * the drive's, "file.locking=off" an option of the image's file; so it is taken apart before the
 * dotted keys become a tree.
 */
#include <string.h>

#include "block/drive-internal.h"
#include "qapi/keyval.h"
#include "util/error.h"
#include "util/parse.h"

/* Keys that are the drive's own, and what old ones are called now. */
static const struct {
    const char *key, *now;
} own_keys[] = {
    { "file" }, { "if" }, { "index" }, { "bus" }, { "unit" }, { "media" }, { "id" }, { "format" },
    { "snapshot" }, { "cache" }, { "cache.writeback" }, { "werror" }, { "rerror" }, { "aio" },
    { "copy-on-read" }, { "read-only" }, { "readonly", "read-only" }, { "discard" },
    { "stats-account-invalid" }, { "stats-account-failed" },
};

/* Of the image's tree. */
static const struct {
    const char *key, *now;
} old_keys[] = {
    { "bps", "throttling.bps-total" },
    { "bps_rd", "throttling.bps-read" },
    { "bps_wr", "throttling.bps-write" },
    { "bps_max", "throttling.bps-total-max" },
    { "bps_rd_max", "throttling.bps-read-max" },
    { "bps_wr_max", "throttling.bps-write-max" },
    { "iops", "throttling.iops-total" },
    { "iops_rd", "throttling.iops-read" },
    { "iops_wr", "throttling.iops-write" },
    { "iops_max", "throttling.iops-total-max" },
    { "iops_rd_max", "throttling.iops-read-max" },
    { "iops_wr_max", "throttling.iops-write-max" },
    { "iops_size", "throttling.iops-size" },
    { "group", "throttling.group" },
};

DriveOptions *drive_options_new(void)
{
    DriveOptions *options = g_new0(DriveOptions, 1);

    options->own = json_object_new_object();
    return options;
}

void drive_options_free(DriveOptions *options)
{
    json_object_put(options->own);
    json_object_put(options->image);
    g_free(options);
}

void drive_options_set(DriveOptions *options, const char *key, const char *value)
{
    json_object_object_add(options->own, key, json_object_new_string(value));
}

const char *drive_own(const DriveOptions *options, const char *key)
{
    json_object *value;

    return json_object_object_get_ex(options->own, key, &value) ? json_object_get_string(value)
                                                                : NULL;
}

bool drive_own_bool(const DriveOptions *options, const char *key, bool *value, GError **error)
{
    const char *text = drive_own(options, key);

    if (text && !parse_bool(text, value, error)) {
        g_prefix_error(error, "%s: ", key);
        return false;
    }
    return true;
}

/* ---- Taking it apart ---- */

/* The part up to a comma that is not doubled; *next is behind it, or NULL. */
static char *take_part(const char *text, const char **next)
{
    const char *p = text;

    while (*p && (p[0] != ',' || p[1] == ',')) {
        p += p[0] == ',' ? 2 : 1;
    }
    *next = *p ? p + 1 : NULL;
    return g_strndup(text, (gsize)(p - text));
}

static char *undouble(const char *text)
{
    g_auto(GStrv) pieces = g_strsplit(text, ",,", -1);

    return g_strjoinv(",", pieces);
}

/* A key without value is on, or off with "no" before it. */
static char *split_value(char *part)
{
    char *equals = strchr(part, '=');

    if (equals) {
        *equals = '\0';
        return g_strdup(equals + 1);
    }
    if (g_str_has_prefix(part, "no") && part[2]) {
        memmove(part, part + 2, strlen(part + 2) + 1);
        return g_strdup("off");
    }
    return g_strdup("on");
}

/* What the key is called now. */
static const char *name_now(const char *key, bool *is_own)
{
    *is_own = false;
    for (size_t i = 0; i < G_N_ELEMENTS(own_keys); i++) {
        if (!strcmp(own_keys[i].key, key)) {
            *is_own = true;
            return own_keys[i].now ? own_keys[i].now : own_keys[i].key;
        }
    }
    for (size_t i = 0; i < G_N_ELEMENTS(old_keys); i++) {
        if (!strcmp(old_keys[i].key, key)) {
            return old_keys[i].now;
        }
    }
    return key;
}

typedef struct Parse {
    DriveOptions *options;
    GString *image;
    GHashTable *given; /* name now -> name as written */
} Parse;

static bool note(Parse *parse, const char *key, const char *value, GError **error)
{
    bool is_own;
    const char *now = name_now(key, &is_own);
    const char *written = g_hash_table_lookup(parse->given, now);

    if (written && strcmp(written, key)) {
        error_setf(error, "'%s' and '%s' are the same and cannot both be given", written, key);
        return false;
    }
    g_hash_table_insert(parse->given, g_strdup(now), g_strdup(key));
    if (is_own) {
        g_autofree char *plain = undouble(value);

        drive_options_set(parse->options, now, plain);
    } else {
        g_string_append_printf(parse->image, "%s%s=%s", parse->image->len ? "," : "", now, value);
    }
    return true;
}

static bool note_parts(Parse *parse, const char *text, GError **error)
{
    for (const char *next = text; next && *next;) {
        g_autofree char *key = take_part(next, &next);
        g_autofree char *value = split_value(key);

        if (!note(parse, key, value, error)) {
            return false;
        }
    }
    return true;
}

DriveOptions *drive_options_parse(const char *text, GError **error)
{
    g_autoptr(DriveOptions) options = drive_options_new();
    g_autoptr(GString) image = g_string_new(NULL);
    g_autoptr(GHashTable) given = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    Parse parse = { options, image, given };

    if (!note_parts(&parse, text, error)) {
        return NULL;
    }
    if (image->len) {
        options->image = keyval_parse(image->str, NULL, NULL, error);
        if (!options->image) {
            return NULL;
        }
    }
    return g_steal_pointer(&options);
}
