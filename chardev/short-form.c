/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The short forms of -serial, -parallel, -monitor, -qmp, -qtest and -debugcon: "stdio",
 * "tcp::4444,server=on", "/dev/ttyS0". Each is rewritten into -chardev options.
 */
#include <string.h>

#include "chardev/backend.h"
#include "util/error.h"

/* Options being collected. Words after the first comma are added as -chardev would parse them. */
static json_object *new_options(const char *backend, const char *rest, GError **error)
{
    g_autofree char *text = g_strdup_printf("%s%s%s", backend, rest && *rest ? "," : "",
                                            rest ? rest : "");

    return chardev_parse_options(text, NULL, error);
}

static void put(json_object *options, const char *key, const char *value)
{
    json_object_object_add(options, key, json_object_new_string(value));
}

/*
 * Splits at the first single comma; the head's doubled commas are undone. *rest is after the
 * comma or "".
 */
static char *split_head(const char *text, const char **rest)
{
    GString *head = g_string_new(NULL);

    while (*text && !(text[0] == ',' && text[1] != ',')) {
        g_string_append_c(head, *text);
        text += text[0] == ',' ? 2 : 1;
    }
    *rest = *text ? text + 1 : text;
    return g_string_free(head, false);
}

/* "host:port", "[v6]:port", ":port" into two strings. */
static bool split_host_port(const char *text, char **host, char **port)
{
    const char *colon;

    if (*text == '[') {
        const char *close = strchr(text, ']');

        if (!close || close[1] != ':') {
            return false;
        }
        *host = g_strndup(text + 1, close - text - 1);
        colon = close + 1;
    } else {
        colon = strrchr(text, ':');
        if (!colon) {
            return false;
        }
        *host = g_strndup(text, colon - text);
    }
    *port = g_strdup(colon + 1);
    return **port != 0;
}

static json_object *parse_tcp(const char *arg, const char *protocol, GError **error)
{
    const char *rest;
    g_autofree char *head = split_head(arg, &rest);
    g_autofree char *host = NULL, *port = NULL;
    json_object *options;

    if (!split_host_port(head, &host, &port)) {
        error_setf(error, "'%s' is not HOST:PORT", head);
        return NULL;
    }
    options = new_options("socket", rest, error);
    if (options) {
        put(options, "host", host);
        put(options, "port", port);
        if (*protocol) {
            put(options, protocol, "on");
        }
    }
    return options;
}

static json_object *parse_plain_tcp(const char *arg, GError **error)
{
    return parse_tcp(arg, "", error);
}

static json_object *parse_telnet(const char *arg, GError **error)
{
    return parse_tcp(arg, "telnet", error);
}

static json_object *parse_tn3270(const char *arg, GError **error)
{
    return parse_tcp(arg, "tn3270", error);
}

static json_object *parse_path(const char *backend, const char *arg, GError **error)
{
    const char *rest;
    g_autofree char *path = split_head(arg, &rest);
    json_object *options;

    if (!*path) {
        error_setf(error, "a path is missing");
        return NULL;
    }
    options = new_options(backend, rest, error);
    if (options) {
        put(options, "path", path);
    }
    return options;
}

static json_object *parse_unix(const char *arg, GError **error)
{
    return parse_path("socket", arg, error);
}

static json_object *parse_file(const char *arg, GError **error)
{
    return parse_path("file", arg, error);
}

static json_object *parse_pipe(const char *arg, GError **error)
{
    return parse_path("pipe", arg, error);
}

/* udp:[remote_host]:remote_port[@[local_host]:local_port] */
static json_object *parse_udp(const char *arg, GError **error)
{
    const char *rest;
    g_autofree char *head = split_head(arg, &rest);
    g_autofree char *host = NULL, *port = NULL, *local_host = NULL, *local_port = NULL;
    char *at = strchr(head, '@');
    json_object *options;

    if (at) {
        *at++ = 0;
    }
    if (!split_host_port(head, &host, &port) ||
        (at && !split_host_port(at, &local_host, &local_port))) {
        error_setf(error, "'%s' is not [HOST]:PORT[@[HOST]:PORT]", arg);
        return NULL;
    }
    options = new_options("udp", rest, error);
    if (options) {
        put(options, "port", port);
        if (*host) {
            put(options, "host", host);
        }
        if (local_port) {
            put(options, "localport", local_port);
        }
        if (local_host && *local_host) {
            put(options, "localaddr", local_host);
        }
    }
    return options;
}

static json_object *parse_bare(const char *text, GError **error)
{
    const char *rest;
    g_autofree char *word = split_head(text, &rest);

    return new_options(word, rest, error);
}

static const struct {
    const char *prefix;
    json_object *(*parse)(const char *arg, GError **error);
} prefixed_forms[] = {
    { "tcp:", parse_plain_tcp },
    { "telnet:", parse_telnet },
    { "tn3270:", parse_tn3270 },
    { "unix:", parse_unix },
    { "file:", parse_file },
    { "pipe:", parse_pipe },
    { "udp:", parse_udp },
};

static const char *const bare_forms[] = { "stdio", "pty", "null", "ringbuf", NULL };

static json_object *parse_short(const char *text, GError **error)
{
    static const char *const all_forms[] = {
        "stdio", "pty", "null", "ringbuf", "none", "tcp:", "telnet:", "tn3270:", "unix:", "file:",
        "pipe:", "udp:", "chardev:", "mon:", "/dev/", NULL
    };
    const char *rest;
    g_autofree char *word = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(prefixed_forms); i++) {
        if (g_str_has_prefix(text, prefixed_forms[i].prefix)) {
            return prefixed_forms[i].parse(text + strlen(prefixed_forms[i].prefix), error);
        }
    }
    if (g_str_has_prefix(text, "/dev/parport") || g_str_has_prefix(text, "/dev/ppi")) {
        return parse_path("parallel", text, error);
    }
    if (g_str_has_prefix(text, "/dev/")) {
        return parse_path("serial", text, error);
    }
    word = split_head(text, &rest);
    for (size_t i = 0; bare_forms[i]; i++) {
        if (g_str_equal(word, bare_forms[i])) {
            return parse_bare(text, error);
        }
    }
    if (g_str_equal(word, "vc") || g_str_has_prefix(word, "vc:")) {
        return new_options("vc", NULL, error);
    }
    error_setf(error, "'%s' is not a character device", text);
    error_append_nearest(error, word, all_forms);
    return NULL;
}

Chardev *chardev_new_from_short(const char *id, const char *text, GError **error)
{
    json_object *options;
    bool with_mux = false;
    Chardev *chr;

    if (g_str_has_prefix(text, "mon:")) {
        text += strlen("mon:");
        with_mux = true;
    }
    if (g_str_equal(text, "none")) {
        return NULL;
    }
    if (g_str_has_prefix(text, "chardev:")) {
        return chardev_find(text + strlen("chardev:"), error);
    }
    options = parse_short(text, error);
    if (!options) {
        return NULL;
    }
    if (with_mux) {
        put(options, "mux", "on");
        if (g_str_has_prefix(text, "stdio") &&
            !json_object_object_get_ex(options, "signal", NULL)) {
            put(options, "signal", "off");
        }
    }
    chr = chardev_create(id, options, error);
    json_object_put(options);
    return chr;
}
