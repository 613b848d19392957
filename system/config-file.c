/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -readconfig: an INI-like file. `[device "net0"]` opens a section named after an option, with
 * the id in quotes; each `key = "value"` below it is a parameter. Sections become options as if
 * typed on the command line.
 */
#include <stdio.h>
#include <string.h>

#include "system/options-internal.h"
#include "util/error.h"

#define CONFIG_SIZE_MAX (1u << 20)

typedef struct Section {
    char *option;
    GString *argument;
} Section;

static void section_clear(Section *section)
{
    g_clear_pointer(&section->option, g_free);
    if (section->argument) {
        g_string_free(section->argument, TRUE);
        section->argument = NULL;
    }
}

static bool section_finish(VmOptions *options, Section *section, GError **error)
{
    bool help = false;
    bool ok = true;

    if (section->option) {
        const Option *option = option_find(section->option);

        ok = options_apply(options, section->option,
                           option && option->argument ? section->argument->str : NULL, &help,
                           error);
    }
    section_clear(section);
    return ok;
}

static void append_parameter(GString *out, const char *key, const char *value)
{
    g_string_append_printf(out, "%s%s=", out->len ? "," : "", key);
    for (; *value; value++) {
        g_string_append_c(out, *value);
        if (*value == ',') {
            g_string_append_c(out, ',');
        }
    }
}

static bool parse_line(VmOptions *options, Section *section, const char *line, GError **error)
{
    char name[64], id[128], value[1024];

    if (sscanf(line, "[%63[^] \"] \"%127[^\"]\"]", name, id) == 2) {
        if (!section_finish(options, section, error)) {
            return false;
        }
        section->option = g_strdup(name);
        section->argument = g_string_new(NULL);
        append_parameter(section->argument, "id", id);
        return true;
    }
    if (sscanf(line, "[%63[^]]]", name) == 1) {
        if (!section_finish(options, section, error)) {
            return false;
        }
        section->option = g_strdup(g_strstrip(name));
        section->argument = g_string_new(NULL);
        return true;
    }
    value[0] = '\0';
    if (section->option && (sscanf(line, " %63[^= \t] = \"%1023[^\"]\"", name, value) == 2 ||
                            sscanf(line, " %63[^= \t] = \"%1[\"]", name, value) == 2)) {
        append_parameter(section->argument, name, g_str_equal(value, "\"") ? "" : value);
        return true;
    }
    error_setf(error, section->option ? "expected key = \"value\"" : "no section is open here");
    return false;
}

bool options_read_config(VmOptions *options, const char *path, GError **error)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    Section section = { 0 };
    gsize len;

    if (!g_file_get_contents(path, &text, &len, error)) {
        return false;
    }
    if (len > CONFIG_SIZE_MAX) {
        error_setf(error, "larger than 1 MiB");
        return false;
    }
    lines = g_strsplit(text, "\n", -1);
    for (unsigned i = 0; lines[i]; i++) {
        char *line = g_strstrip(lines[i]);

        if (!*line || *line == '#') {
            continue;
        }
        if (!parse_line(options, &section, line, error)) {
            g_prefix_error(error, "line %u: ", i + 1);
            section_clear(&section);
            return false;
        }
    }
    return section_finish(options, &section, error);
}
