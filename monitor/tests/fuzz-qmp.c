/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile bytes into everything that reads a client's text. The first byte chooses the way in; the
 * rest is the text. Under libFuzzer (-Dfuzz=true) this is the whole program; test-fuzz.c feeds it
 * mutations of good requests.
 */
#include "monitor/tests/fuzz-qmp.h"

#include <string.h>

#include "monitor/hmp-internal.h"
#include "monitor/json-stream.h"
#include "monitor/tests/harness.h"
#include "qapi/keyval.h"
#include "qapi/qapi-types-char.h"
#include "qapi/qapi-types-introspect.h"
#include "qapi/qapi-types-machine.h"
#include "qapi/qapi-types-pci.h"
#include "qapi/qapi-types-qom.h"
#include "qapi/qapi-types-run-state.h"

/* A stream of requests, answered. */
static void fuzz_requests(const uint8_t *data, size_t size)
{
    JsonStream stream;

    json_stream_init(&stream);
    while (size) {
        json_object *request = NULL;
        g_autoptr(GError) error = NULL;
        size_t used;

        if (json_stream_feed(&stream, data, size, &used, &request, &error) == JSON_STREAM_VALUE) {
            json_object *response = qmp_dispatch(&test_commands, request, false);

            g_assert_true(!response || json_object_to_json_string(response));
            json_object_put(response);
        }
        json_object_put(request);
        g_assert_cmpint(used, >, 0);
        data += used;
        size -= used;
    }
    json_stream_clear(&stream);
}

static const QapiType *const types[] = {
    &ChardevBackend_type, &ObjectOptions_type, &NumaOptions_type,       &SchemaInfo_type,
    &PciDeviceInfo_type,  &Memdev_type,        &BootConfiguration_type, &GuestPanicInformation_type,
};

/* What one type makes of it, and of what it made. */
static void visit(const QapiType *type, json_object *json, QapiFlags flags)
{
    g_autoptr(GError) error = NULL;
    void *obj = NULL, *copy;

    if (qapi_from_json(type, json, flags, &obj, &error)) {
        copy = qapi_clone(type, obj);
        qapi_free(type, obj);
        json_object_put(qapi_to_json(type, copy));
        qapi_free(type, copy);
    } else {
        g_assert_nonnull(error);
    }
}

static void fuzz_types(const char *text)
{
    json_object *json = json_parse_text(text, NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
        visit(types[i], json, QAPI_JSON);
        visit(types[i], json, QAPI_KEYVAL);
    }
    json_object_put(json);
}

static void fuzz_keyval(const char *text)
{
    bool help;
    json_object *json = keyval_parse(text, "type", &help, NULL);

    for (size_t i = 0; json && i < G_N_ELEMENTS(types); i++) {
        visit(types[i], json, keyval_flags(text));
    }
    json_object_put(json);
}

/* Commands that touch nothing outside. */
static void fuzz_line(const char *text)
{
    static const char *const commands[] = { "p ", "xp ", "x ", "help ", "info ", "i ", "cpu ",
                                            "sum " };
    size_t choice = (uint8_t)*text % G_N_ELEMENTS(commands);
    g_autofree char *line = g_strconcat(commands[choice], *text ? text + 1 : "", NULL);
    g_autofree char *out = monitor_run_line(line, 0, NULL);
    int cpu = 0;
    Hmp hmp = { .out = g_string_new(NULL), .cpu = &cpu };
    size_t start;
    GPtrArray *words = hmp_complete(&hmp, text, strlen(text), &start);

    g_assert_nonnull(out);
    g_clear_pointer(&words, g_ptr_array_unref);
    g_string_free(hmp.out, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const ways[])(const char *text) = { fuzz_types, fuzz_keyval, fuzz_line };
    static bool ready;
    g_autofree char *text = NULL;

    if (!ready) {
        monitor_init(&test_commands);
        ready = true;
    }
    if (size < 2) {
        return 0;
    }
    if (data[0] % 4 == 3) {
        fuzz_requests(data + 1, size - 1);
        return 0;
    }
    text = g_strndup((const char *)data + 1, size - 1);
    ways[data[0] % 4](text);
    return 0;
}
