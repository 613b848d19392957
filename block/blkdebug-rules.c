/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of blkdebug, from options and from files. */
#include <errno.h>
#include <string.h>

#include "block/blkdebug-internal.h"
#include "util/error.h"

#define MAX_FILE_SIZE (1 << 20)
#define USUAL_IOTYPES                                                                              \
    (1u << BLKDEBUG_IO_TYPE_READ | 1u << BLKDEBUG_IO_TYPE_WRITE |                                  \
     1u << BLKDEBUG_IO_TYPE_WRITE_ZEROES | 1u << BLKDEBUG_IO_TYPE_DISCARD |                        \
     1u << BLKDEBUG_IO_TYPE_FLUSH)

void blkdebug_rule_free(void *opaque)
{
    BlkdebugRule *rule = opaque;

    g_free(rule->tag);
    g_free(rule);
}

static bool add_error_rule(GPtrArray *rules, const BlkdebugInjectErrorOptions *options,
                           GError **error)
{
    BlkdebugRule *rule;

    if (options->has_sector && (options->sector < -1
                                || options->sector > BLOCK_MAX_LENGTH / BLOCK_SECTOR)) {
        error_setf(error, "No image has a sector %" PRId64, options->sector);
        return false;
    }
    if (options->has_errno && (options->q_errno < 0 || options->q_errno > 4095)) {
        error_setf(error, "%" PRId64 " is no number of an error", options->q_errno);
        return false;
    }
    rule = g_new0(BlkdebugRule, 1);
    rule->action = BLKDEBUG_INJECT_ERROR;
    rule->event = options->event;
    rule->state = options->has_state ? options->state : 0;
    rule->iotypes = options->has_iotype ? 1u << options->iotype : USUAL_IOTYPES;
    rule->error = options->has_errno ? (int)options->q_errno : EIO;
    rule->offset = options->has_sector && options->sector >= 0 ? options->sector * BLOCK_SECTOR
                                                               : -1;
    rule->once = options->has_once && options->once;
    rule->immediately = options->has_immediately && options->immediately;
    g_ptr_array_add(rules, rule);
    return true;
}

static void add_state_rule(GPtrArray *rules, const BlkdebugSetStateOptions *options)
{
    BlkdebugRule *rule = g_new0(BlkdebugRule, 1);

    rule->action = BLKDEBUG_SET_STATE;
    rule->event = options->event;
    rule->state = options->has_state ? options->state : 0;
    rule->new_state = options->new_state;
    g_ptr_array_add(rules, rule);
}

bool blkdebug_add_option_rules(GPtrArray *rules, const BlockdevOptionsBlkdebug *options,
                               GError **error)
{
    for (guint i = 0; options->inject_error && i < options->inject_error->len; i++) {
        if (!add_error_rule(rules, g_ptr_array_index(options->inject_error, i), error)) {
            return false;
        }
    }
    for (guint i = 0; options->set_state && i < options->set_state->len; i++) {
        add_state_rule(rules, g_ptr_array_index(options->set_state, i));
    }
    return true;
}

/* ---- Files ---- */

static bool add_section(GPtrArray *rules, const char *name, json_object *values, GError **error)
{
    if (!json_object_object_get_ex(values, "event", NULL)) {
        error_setf(error, "Missing event name for rule");
        return false;
    }
    if (strcmp(name, "inject-error") == 0) {
        g_autoptr(BlkdebugInjectErrorOptions) options = NULL;

        return BlkdebugInjectErrorOptions_from_json(values, QAPI_KEYVAL, &options, error)
               && add_error_rule(rules, options, error);
    } else {
        g_autoptr(BlkdebugSetStateOptions) options = NULL;

        if (!BlkdebugSetStateOptions_from_json(values, QAPI_KEYVAL, &options, error)) {
            return false;
        }
        add_state_rule(rules, options);
        return true;
    }
}

/* `key = "value"` into values; the quotes may be missing. */
static bool add_value(json_object *values, char *line, GError **error)
{
    char *equals = strchr(line, '=');
    char *value;
    size_t len;

    if (!equals) {
        error_setf(error, "'%s' is neither a section nor a value", line);
        return false;
    }
    *equals = '\0';
    value = g_strstrip(equals + 1);
    len = strlen(value);
    if (len >= 2 && value[0] == '"' && value[len - 1] == '"') {
        value[len - 1] = '\0';
        value++;
    }
    json_object_object_add(values, g_strchomp(line), json_object_new_string(value));
    return true;
}

typedef struct Section {
    char *name;          /* NULL before the first */
    json_object *values;
} Section;

static bool end_section(Section *section, GPtrArray *rules, GError **error)
{
    bool ok = !section->name || add_section(rules, section->name, section->values, error);

    g_clear_pointer(&section->name, g_free);
    g_clear_pointer(&section->values, json_object_put);
    return ok;
}

static bool begin_section(Section *section, GPtrArray *rules, char *line, GError **error)
{
    if (!end_section(section, rules, error)) {
        return false;
    }
    line[strlen(line) - 1] = '\0';
    section->name = g_strdup(line + 1);
    section->values = json_object_new_object();
    if (strcmp(section->name, "inject-error") != 0 && strcmp(section->name, "set-state") != 0) {
        error_setf(error, "There is no section '%s', only 'inject-error' and 'set-state'",
                   section->name);
        return false;
    }
    return true;
}

static bool add_line(Section *section, GPtrArray *rules, char *line, GError **error)
{
    g_strstrip(line);
    if (line[0] == '\0' || line[0] == '#') {
        return true;
    }
    if (line[0] == '[' && g_str_has_suffix(line, "]")) {
        return begin_section(section, rules, line, error);
    }
    if (!section->name) {
        error_setf(error, "'%s' stands before the first section", line);
        return false;
    }
    return add_value(section->values, line, error);
}

bool blkdebug_add_file_rules(GPtrArray *rules, const char *path, GError **error)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) local = NULL;
    g_auto(GStrv) lines = NULL;
    Section section = { 0 };
    gsize len;
    bool ok = true;

    if (!g_file_get_contents(path, &text, &len, &local)) {
        error_setf(error, "Could not read blkdebug config file: %s", local->message);
        return false;
    }
    if (len > MAX_FILE_SIZE) {
        error_setf(error, "The blkdebug config file '%s' is too large", path);
        return false;
    }
    lines = g_strsplit(text, "\n", -1);
    for (unsigned i = 0; lines[i] && ok; i++) {
        ok = add_line(&section, rules, lines[i], error);
        if (!ok) {
            g_prefix_error(error, "%s:%u: ", path, i + 1);
        }
    }
    if (ok && !end_section(&section, rules, error)) {
        g_prefix_error(error, "%s: ", path);
        ok = false;
    }
    g_free(section.name);
    json_object_put(section.values);
    return ok;
}
