/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a line of text to the command that it names: look-up, arguments by the command's table,
 * help made from the same table, completion.
 */
#include "monitor/hmp.h"

#include <stdarg.h>
#include <string.h>

#include "monitor/expr.h"
#include "monitor/hmp-internal.h"
#include "monitor/internal.h"
#include "util/error.h"
#include "util/parse.h"

/* Tables come from monitor/ and from what system/ registers, once for the process. */
#define MAX_TABLES 16
static const HmpCommand *command_tables[MAX_TABLES] = { hmp_builtin_commands, hmp_memory_commands };
static const HmpCommand *info_tables[MAX_TABLES] = { hmp_builtin_info };
static const HmpMachine no_machine;
static const HmpMachine *the_machine = &no_machine;

static void add_table(const HmpCommand **tables, const HmpCommand *table)
{
    for (size_t i = 0; i < MAX_TABLES; i++) {
        if (!tables[i]) {
            tables[i] = table;
            return;
        }
    }
    g_assert_not_reached();
}

void hmp_add_commands(const HmpCommand *table)
{
    add_table(command_tables, table);
}

void hmp_add_info(const HmpCommand *table)
{
    add_table(info_tables, table);
}

void hmp_set_machine(const HmpMachine *machine)
{
    the_machine = machine ? machine : &no_machine;
}

const HmpMachine *hmp_machine(void)
{
    return the_machine;
}

/* Output and QMP. */

void hmp_puts(Hmp *hmp, const char *text)
{
    g_string_append(hmp->out, text);
}

void hmp_printf(Hmp *hmp, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    g_string_append_vprintf(hmp->out, fmt, ap);
    va_end(ap);
}

int hmp_cpu(const Hmp *hmp)
{
    return *hmp->cpu;
}

json_object *hmp_qmp(Hmp *hmp, const char *command, json_object *args, GError **error)
{
    const QapiCommand *entry = qapi_command_find(monitor_commands(), command);
    json_object *ret = NULL;
    bool ok = false;

    if (!args) {
        args = json_object_new_object();
    }
    if (entry) {
        ok = entry->marshal(args, &ret, error);
    } else {
        error_setf(error, "This program has no command '%s'", command);
    }
    json_object_put(args);
    if (ok && !ret) {
        ret = json_object_new_object();
    }
    return ok ? ret : NULL;
}

bool hmp_qmp_each(Hmp *hmp, const char *command, json_object *args,
                  void (*fn)(Hmp *hmp, json_object *item), GError **error)
{
    json_object *list = hmp_qmp(hmp, command, args, error);

    if (!list) {
        return false;
    }
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        fn(hmp, json_object_array_get_idx(list, i));
    }
    json_object_put(list);
    return true;
}

GPtrArray *hmp_qmp_names(Hmp *hmp, const char *command, json_object *args, const char *member)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    json_object *list = hmp_qmp(hmp, command, args, NULL);

    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        const char *name = hmp_get_str(json_object_array_get_idx(list, i), member, NULL);

        if (name) {
            g_ptr_array_add(names, g_strdup(name));
        }
    }
    json_object_put(list);
    return names;
}

json_object *hmp_object(const char *name, ...)
{
    json_object *object = json_object_new_object();
    va_list ap;

    va_start(ap, name);
    for (; name; name = va_arg(ap, const char *)) {
        json_object_object_add(object, name, va_arg(ap, json_object *));
    }
    va_end(ap);
    return object;
}

const char *hmp_get_str(json_object *object, const char *name, const char *fallback)
{
    json_object *value;

    return json_object_object_get_ex(object, name, &value) ? json_object_get_string(value)
                                                           : fallback;
}

int64_t hmp_get_int(json_object *object, const char *name, int64_t fallback)
{
    json_object *value;

    return json_object_object_get_ex(object, name, &value) ? json_object_get_int64(value)
                                                           : fallback;
}

bool hmp_get_bool(json_object *object, const char *name)
{
    json_object *value;

    return json_object_object_get_ex(object, name, &value) && json_object_get_boolean(value);
}

/* Look-up. */

static const HmpCommand *find_in(const HmpCommand *const *tables, const char *name)
{
    for (size_t t = 0; t < MAX_TABLES && tables[t]; t++) {
        for (const HmpCommand *c = tables[t]; c->name; c++) {
            if (!strcmp(c->name, name) || (c->alias && !strcmp(c->alias, name))) {
                return c;
            }
        }
    }
    return NULL;
}

static int compare_words(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

GPtrArray *hmp_command_names(bool info, const char *prefix)
{
    const HmpCommand *const *tables = info ? info_tables : command_tables;
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);

    for (size_t t = 0; t < MAX_TABLES && tables[t]; t++) {
        for (const HmpCommand *c = tables[t]; c->name; c++) {
            if (g_str_has_prefix(c->name, prefix)) {
                g_ptr_array_add(names, g_strdup(c->name));
            }
        }
    }
    g_ptr_array_sort(names, compare_words);
    return names;
}

static void fail_unknown(bool info, const char *name, GError **error)
{
    g_autoptr(GPtrArray) names = hmp_command_names(info, "");

    g_ptr_array_add(names, NULL);
    error_setf(error, "unknown command: '%s%.64s'", info ? "info " : "", name);
    error_append_nearest(error, name, (const char *const *)names->pdata);
}

/* Arguments. */

static void skip_blanks(const char **p)
{
    while (g_ascii_isspace(**p)) {
        (*p)++;
    }
}

/* A word, or a string in quotes with backslash escapes. */
static char *take_word(const char **p, GError **error)
{
    GString *word = g_string_new(NULL);
    bool quoted = **p == '"';

    *p += quoted;
    while (**p && (quoted ? **p != '"' : !g_ascii_isspace(**p))) {
        if (quoted && **p == '\\' && (*p)[1]) {
            (*p)++;
            g_string_append_c(word, **p == 'n' ? '\n' : **p == 'r' ? '\r' : **p);
        } else {
            g_string_append_c(word, **p);
        }
        (*p)++;
    }
    if (quoted && **p != '"') {
        error_setf(error, "the closing '\"' is missing");
        g_string_free(word, true);
        return NULL;
    }
    *p += quoted;
    return g_string_free(word, false);
}

static bool parse_format(const char **p, HmpFormat *format, GError **error)
{
    static const struct {
        char letter;
        uint8_t size;
    } sizes[] = { { 'b', 1 }, { 'h', 2 }, { 'w', 4 }, { 'g', 8 }, { 'L', 8 } };
    char *end;

    if (g_ascii_isdigit(**p)) {
        format->count = (unsigned)CLAMP(g_ascii_strtoull(*p, &end, 10), 1, 65536);
        *p = end;
    }
    for (; **p && !g_ascii_isspace(**p); (*p)++) {
        bool known = strchr("xduoci", **p) != NULL;

        if (known) {
            format->format = **p;
        }
        for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
            if (**p == sizes[i].letter) {
                format->size = sizes[i].size;
                known = true;
            }
        }
        if (!known) {
            error_setf(error, "'%c' in the format is none of x d u o c i, b h w g", **p);
            return false;
        }
    }
    return true;
}

static ExprRegisterFn read_register;

static bool read_register(const char *name, uint64_t *value, void *opaque, GError **error)
{
    return the_machine->read_register(hmp_cpu(opaque), name, value, error);
}

bool hmp_eval(Hmp *hmp, const char **text, uint64_t *value, GError **error)
{
    return expr_eval(text, the_machine->read_register ? read_register : NULL, hmp, value, error);
}

/* Is this argument here? Those that are marked by a character may be absent whatever follows. */
static bool arg_follows(const HmpArg *arg, const char *p)
{
    switch (arg->kind) {
    case HMP_FLAG:
        return p[0] == '-' && p[1] == arg->name[1] && (!p[2] || g_ascii_isspace(p[2]));
    case HMP_FORMAT:
        return *p == '/';
    default:
        return *p != '\0';
    }
}

static bool parse_arg(Hmp *hmp, const HmpArg *arg, const char **p, HmpValue *value, GError **error)
{
    bool flag;

    value->present = true;
    switch (arg->kind) {
    case HMP_FLAG:
        *p += 2;
        value->number = 1;
        return true;
    case HMP_FORMAT:
        (*p)++;
        return parse_format(p, &value->format, error);
    case HMP_REST:
        value->text = g_strchomp(g_strdup(*p));
        *p += strlen(*p);
        return true;
    case HMP_EXPR:
        return hmp_eval(hmp, p, &value->number, error);
    case HMP_BOOL:
        value->text = take_word(p, error);
        if (!value->text || !parse_bool(value->text, &flag, error)) {
            return false;
        }
        value->number = flag;
        return true;
    default:
        value->text = take_word(p, error);
        return value->text != NULL;
    }
}

static bool parse_args(Hmp *hmp, const HmpCommand *command, const char *p, HmpValue *values,
                       GError **error)
{
    for (size_t i = 0; i < HMP_MAX_ARGS && command->args[i].name; i++) {
        const HmpArg *arg = &command->args[i];

        values[i].format.count = 1;
        skip_blanks(&p);
        if (arg_follows(arg, p)) {
            if (!parse_arg(hmp, arg, &p, &values[i], error)) {
                return false;
            }
        } else if (!arg->optional && arg->kind != HMP_FLAG && arg->kind != HMP_FORMAT) {
            error_setf(error, "argument '%s' is missing", arg->name);
            return false;
        }
    }
    skip_blanks(&p);
    if (*p) {
        error_setf(error, "'%.32s' is one argument too many", p);
        return false;
    }
    return true;
}

/* A row without run: its values are the arguments of its QMP command. */
static bool run_as_qmp(Hmp *hmp, const HmpCommand *command, const HmpValue *values, GError **error)
{
    json_object *args = json_object_new_object();
    json_object *ret;

    for (size_t i = 0; i < HMP_MAX_ARGS && command->args[i].name; i++) {
        const HmpArg *arg = &command->args[i];
        json_object *value;

        if (!values[i].present) {
            continue;
        }
        if (arg->kind == HMP_EXPR) {
            value = json_object_new_uint64(values[i].number);
        } else if (arg->kind == HMP_BOOL || arg->kind == HMP_FLAG) {
            value = json_object_new_boolean(values[i].number != 0);
        } else {
            value = json_object_new_string(values[i].text);
        }
        json_object_object_add(args, arg->name, value);
    }
    ret = hmp_qmp(hmp, command->qmp, args, error);
    json_object_put(ret);
    return ret != NULL;
}

static bool run_command(Hmp *hmp, const HmpCommand *command, const char *args, GError **error)
{
    HmpValue values[HMP_MAX_ARGS] = { 0 };
    bool ok = parse_args(hmp, command, args, values, error);

    if (!ok) {
        g_prefix_error(error, "%s: ", command->name);
        hmp_printf(hmp, "Error: %s\nTry \"help %s\" for more information\n", (*error)->message,
                   command->name);
        g_clear_error(error);
    } else if (command->run) {
        ok = command->run(hmp, values, error);
    } else {
        ok = run_as_qmp(hmp, command, values, error);
    }
    for (size_t i = 0; i < HMP_MAX_ARGS; i++) {
        g_free(values[i].text);
    }
    return ok;
}

/* `info`: the second word is a command of its own table. */
static void run_info(Hmp *hmp, const char *args, GError **error)
{
    g_autofree char *name = NULL;
    const HmpCommand *command;
    const char *end = args;

    while (*end && !g_ascii_isspace(*end)) {
        end++;
    }
    name = g_strndup(args, (gsize)(end - args));
    if (!*name) {
        hmp_info_help(hmp);
        return;
    }
    command = find_in(info_tables, name);
    if (!command) {
        fail_unknown(true, name, error);
        return;
    }
    run_command(hmp, command, end, error);
}

void hmp_run(Hmp *hmp, const char *line)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *name = NULL;
    const HmpCommand *command;
    const char *end;

    skip_blanks(&line);
    end = line;
    while (*end && !g_ascii_isspace(*end) && *end != '/') {
        end++;
    }
    name = g_strndup(line, (gsize)(end - line));
    skip_blanks(&end);
    if (!*name || *name == '#') {
        return;
    }
    command = find_in(command_tables, name);
    if (!command) {
        fail_unknown(false, name, &error);
    } else if (!strcmp(command->name, "info")) {
        run_info(hmp, end, &error);
    } else {
        run_command(hmp, command, end, &error);
    }
    if (error) {
        hmp_printf(hmp, "Error: %s\n", error->message);
    }
}

/* Help. */

static void help_line(Hmp *hmp, const HmpCommand *command, bool info)
{
    hmp_printf(hmp, "%s%s%s%s", info ? "info " : "", command->name, command->alias ? "|" : "",
               command->alias ? command->alias : "");
    for (size_t i = 0; i < HMP_MAX_ARGS && command->args[i].name; i++) {
        const HmpArg *arg = &command->args[i];
        bool optional = arg->optional || arg->kind == HMP_FLAG;

        if (arg->kind == HMP_FORMAT) {
            hmp_puts(hmp, " [/fmt]");
        } else {
            hmp_printf(hmp, optional ? " [%s]" : " %s", arg->name);
        }
    }
    hmp_printf(hmp, " -- %s\n", command->help);
}

static void help_all(Hmp *hmp, bool info)
{
    g_autoptr(GPtrArray) names = hmp_command_names(info, "");

    for (guint i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);

        help_line(hmp, find_in(info ? info_tables : command_tables, name), info);
    }
}

void hmp_info_help(Hmp *hmp)
{
    help_all(hmp, true);
}

bool hmp_help(Hmp *hmp, const char *name, GError **error)
{
    bool info = name && g_str_has_prefix(name, "info ");
    const HmpCommand *command;

    if (!name || !strcmp(name, "info")) {
        help_all(hmp, name != NULL);
        return true;
    }
    name += info ? strlen("info ") : 0;
    command = find_in(info ? info_tables : command_tables, name);
    if (!command) {
        fail_unknown(info, name, error);
        return false;
    }
    help_line(hmp, command, info);
    return true;
}

/* Completion. */

static void keep_prefixed(GPtrArray *words, const char *prefix)
{
    for (guint i = words->len; i-- > 0;) {
        if (!g_str_has_prefix(g_ptr_array_index(words, i), prefix)) {
            g_ptr_array_remove_index(words, i);
        }
    }
    g_ptr_array_sort(words, compare_words);
}

static GPtrArray *on_off(Hmp *hmp, const char *prefix)
{
    GPtrArray *words = g_ptr_array_new_with_free_func(g_free);

    g_ptr_array_add(words, g_strdup("on"));
    g_ptr_array_add(words, g_strdup("off"));
    return words;
}

/* The argument that the words after the command have come to; flags and formats may be left out. */
static const HmpArg *arg_at(const HmpCommand *command, char **words, guint n)
{
    guint word = 0;

    for (size_t i = 0; i < HMP_MAX_ARGS && command->args[i].name; i++) {
        const HmpArg *arg = &command->args[i];
        bool marked = arg->kind == HMP_FLAG || arg->kind == HMP_FORMAT;

        if (marked && (word >= n || !arg_follows(arg, words[word]))) {
            continue;
        }
        if (word == n || arg->kind == HMP_REST) {
            return arg;
        }
        word++;
    }
    return NULL;
}

GPtrArray *hmp_complete(Hmp *hmp, const char *line, size_t cursor, size_t *start)
{
    g_autofree char *text = g_strndup(line, cursor);
    char *last = strrchr(text, ' ');
    const char *prefix = last ? last + 1 : text;
    g_auto(GStrv) words = NULL;
    guint n, used = 1;
    const HmpCommand *command;
    const HmpArg *arg;
    GPtrArray *found;

    *start = (size_t)(prefix - text);
    if (last) {
        *last = '\0';
    }
    words = g_strsplit_set(last ? text : "", " ", -1);
    n = g_strv_length(words);
    if (!last || n == 0) {
        return hmp_command_names(false, prefix);
    }
    if (!strcmp(words[0], "info") && n == 1) {
        return hmp_command_names(true, prefix);
    }
    command = find_in(command_tables, words[0]);
    if (!strcmp(words[0], "info")) {
        command = find_in(info_tables, words[1]);
        used = 2;
    }
    arg = command ? arg_at(command, words + used, n - used) : NULL;
    if (!arg || (!arg->complete && arg->kind != HMP_BOOL)) {
        return NULL;
    }
    found = arg->complete ? arg->complete(hmp, prefix) : on_off(hmp, prefix);
    keep_prefixed(found, prefix);
    return found;
}
