/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "qapi/keyval.h"
#include "tools/image-options.h"
#include "tools/img/img.h"
#include "util/error.h"
#include "util/parse.h"

int img_usage_error(const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, fmt);
    text = g_strdup_vprintf(fmt, args);
    va_end(args);
    error_report("%s", text);
    fprintf(stderr, "Try 'vireo-img --help' for more information\n");
    return 1;
}

int img_fail(const char *filename, GError *error)
{
    if (filename) {
        error_report("%s: %s", filename, error->message);
        g_error_free(error);
    } else {
        error_report_err(error);
    }
    return 1;
}

bool img_parse_size(const char *what, const char *text, int64_t *bytes)
{
    GError *error = NULL;
    uint64_t value;

    if (!parse_size(text, 1, &value, &error)) {
        g_prefix_error(&error, "Invalid %s: ", what);
        error_report_err(error);
        return false;
    }
    if (value > BLOCK_MAX_LENGTH) {
        error_report("Invalid %s '%s': must be less than 8 EiB", what, text);
        return false;
    }
    *bytes = value;
    return true;
}

/* keyval_parse() nests at dots; the drivers' options are called by the whole dotted name. */
static void flatten(json_object *from, const char *prefix, json_object *to)
{
    json_object_object_foreach(from, key, value) {
        g_autofree char *name = *prefix ? g_strdup_printf("%s.%s", prefix, key) : g_strdup(key);

        if (json_object_is_type(value, json_type_object)) {
            flatten(value, name, to);
        } else {
            json_object_object_add(to, name, json_object_get(value));
        }
    }
}

/* "force_size,compat=1.1" -> "force_size=on,compat=1.1": a bare word switches something on. */
static char *spell_out(const char *text)
{
    GString *out = g_string_new(NULL);

    while (*text) {
        g_autofree char *word = NULL;
        const char *end = text;
        bool bare;

        /* A doubled comma is part of the value. */
        while (*end && !(*end == ',' && end[1] != ',')) {
            end += *end == ',' ? 2 : 1;
        }
        word = g_strndup(text, end - text);
        bare = *word && !strchr(word, '=') && strcmp(word, "help") != 0 && strcmp(word, "?") != 0;
        g_string_append_printf(out, "%s%s", word, bare ? "=on" : "");
        if (*end) {
            g_string_append_c(out, *end++);
        }
        text = end;
    }
    return g_string_free(out, FALSE);
}

static ImgParse add_create_options(ImgOptions *options, const char *text)
{
    g_autofree char *spelt = spell_out(text);
    GError *error = NULL;
    bool help = false;
    json_object *nested = keyval_parse(spelt, NULL, &help, &error);

    if (!nested) {
        g_prefix_error(&error, "Invalid option list: ");
        error_report_err(error);
        return IMG_EXIT_BAD;
    }
    options->create_help |= help;
    if (!options->create_options) {
        options->create_options = json_object_new_object();
    }
    flatten(nested, "", options->create_options);
    json_object_put(nested);
    return IMG_PARSED;
}

static ImgParse add_object(const char *text)
{
    GError *error = NULL;

    if (!tool_add_object(text, &error)) {
        error_report_err(error);
        return IMG_EXIT_BAD;
    }
    return IMG_PARSED;
}

static ImgParse set_output(ImgOptions *options, const char *text)
{
    options->json = !strcmp(text, "json");
    if (!options->json && strcmp(text, "human") != 0) {
        error_report("--output must be used with human or json as argument.");
        return IMG_EXIT_BAD;
    }
    return IMG_PARSED;
}

static ImgParse set_progress(ImgOptions *options, const char *text)
{
    if (text && strcmp(text, "json") != 0 && strcmp(text, "text") != 0) {
        error_report("--progress takes 'text' or 'json', not '%s'", text);
        return IMG_EXIT_BAD;
    }
    options->progress = true;
    options->progress_json = text && !strcmp(text, "json");
    return IMG_PARSED;
}

ProgressStyle img_progress_style(const ImgOptions *options)
{
    if (options->quiet) {
        return PROGRESS_SILENT;
    }
    return options->progress_json ? PROGRESS_JSON
                                  : options->progress ? PROGRESS_PERCENT : PROGRESS_AUTO;
}

static ImgParse print_help(const char *command)
{
    for (const ImgCommand *c = img_commands; c->name; c++) {
        if (!strcmp(c->name, command)) {
            printf("usage: vireo-img %s %s\n%s\n", c->name, c->usage, c->summary);
        }
    }
    return IMG_EXIT_OK;
}

/* One result of getopt_long; *own: it is none of the common ones. */
static ImgParse common_option(ImgOptions *options, int c, bool *own)
{
    *own = c == 'o' && options->own_o;
    if (*own) {
        return IMG_PARSED;
    }
    switch (c) {
    case 'h':
        return print_help(options->command);
    case 'f':
        options->format = optarg;
        return IMG_PARSED;
    case 'o':
        return add_create_options(options, optarg);
    case 'p':
        return set_progress(options, NULL);
    case 'q':
        options->quiet = true;
        return IMG_PARSED;
    case 't':
        options->cache = optarg;
        return IMG_PARSED;
    case 'T':
        options->source_cache = optarg;
        return IMG_PARSED;
    case 'U':
        options->force_share = true;
        return IMG_PARSED;
    case IMG_OPT_OBJECT:
        return add_object(optarg);
    case IMG_OPT_IMAGE_OPTS:
        options->image_opts = true;
        return IMG_PARSED;
    case IMG_OPT_OUTPUT:
        return set_output(options, optarg);
    case IMG_OPT_PROGRESS:
        return set_progress(options, optarg);
    default:
        *own = true;
        return IMG_PARSED;
    }
}

static ImgParse bad_option(const ImgOptions *options, int c, const char *word)
{
    error_report("%s: %s", c == ':' ? "Option needs an argument" : "Unknown option", word);
    fprintf(stderr, "Try 'vireo-img %s --help' for more information\n", options->command);
    return IMG_EXIT_BAD;
}

ImgParse img_parse(ImgOptions *options, int argc, char **argv, const char *shorts,
                   const struct option *longs, ImgOwnOption *own, void *opaque)
{
    int c;

    while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        ImgParse parsed;
        bool is_own;

        if (c == '?' || c == ':') {
            return bad_option(options, c, argv[optind - 1]);
        }
        parsed = common_option(options, c, &is_own);
        if (parsed != IMG_PARSED) {
            return parsed;
        }
        if (is_own && !own(opaque, c)) {
            return IMG_EXIT_BAD;
        }
    }
    return IMG_PARSED;
}

void img_options_cleanup(ImgOptions *options)
{
    json_object_put(options->create_options);
}
