/* SPDX-License-Identifier: Apache-2.0 */
/* JSON out of hostile bytes: where values end, what is refused, how it goes on. */
#include "monitor/json-stream.h"

#include <string.h>

/* Feed text in pieces of `step` bytes; values and errors as one line. */
static char *feed(const char *text, size_t len, size_t step)
{
    JsonStream stream;
    GString *out = g_string_new(NULL);

    json_stream_init(&stream);
    for (size_t at = 0; at < len;) {
        json_object *value;
        g_autoptr(GError) error = NULL;
        size_t used;

        switch (json_stream_feed(&stream, (const uint8_t *)text + at, MIN(step, len - at), &used,
                                 &value, &error)) {
        case JSON_STREAM_VALUE:
            g_string_append_printf(out, "%s;",
                                   json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN));
            break;
        case JSON_STREAM_ERROR:
            g_assert_nonnull(error);
            g_assert_null(value);
            g_string_append(out, "!;");
            break;
        default:
            break;
        }
        json_object_put(value);
        g_assert_cmpint(used, >, 0);
        at += used;
    }
    json_stream_clear(&stream);
    return g_string_free(out, false);
}

static void test_values(void)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        { "{}", "{};" },
        { "{}{}", "{};{};" },
        { " \r\n\t{ } \n [ ]", "{};[];" },
        { "{\"a\": [1, {}]}{\"b\": 2}", "{\"a\":[1,{}]};{\"b\":2};" },
        { "{'a': 'b\"c'}", "{\"a\":\"b\\\"c\"};" },
        { "{\"}\": \"]{\\\"\"} []", "{\"}\":\"]{\\\"\"};[];" },
        { "1 2 \"x\" null true ", "1;2;\"x\";null;true;" },
        { "}\n{}", "!;{};" },
        { "} {}\n{}", "!;{};" },
        { "{]\n{}", "!;{};" },
        { "{\"a\n{}", "!;{};" },
        { "{\"a\tb\": 1}\n{}", "!;{};" },
        { "{\"a\\", "" },
        { "{\"a\\\n{}", "!;{};" },
        { "hello\n{}", "!;{};" },
        { "\xff{}", "{};" },
        { "{\"a\xff{}", "!;{};" },
        { "\xff\xff\n{}", "{};" },
        { "\"\xc3\xa4\" ", "\"\xc3\xa4\";" },
        { "\"\xc3\" \n{}", "!;{};" },
        { "\"\xc0\x80\" \n{}", "!;{};" },
        { "\"\xed\xa0\x80\" \n{}", "!;{};" },
        { "\"\xf8\x88\x80\x80\x80\" \n{}", "!;{};" },
        { "[18446744073709551615, -9223372036854775808]",
          "[18446744073709551615,-9223372036854775808];" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        size_t len = strlen(cases[i].text);

        for (size_t step = 1; step <= len + 1; step++) {
            g_autofree char *out = feed(cases[i].text, len, step);

            if (strcmp(out, cases[i].expected)) {
                g_error("'%s' in steps of %zu: '%s', not '%s'", cases[i].text, step, out,
                        cases[i].expected);
            }
        }
    }
}

static void test_nul(void)
{
    static const char text[] = "{\"a\0b\": 1}\n{}\0\n[]";
    g_autofree char *out = feed(text, sizeof(text) - 1, 4);

    g_assert_cmpstr(out, ==, "!;{};!;[];");
}

static void test_limits(void)
{
    size_t len = JSON_STREAM_MAX_BYTES + 100000;
    g_autofree char *text = g_strnfill(len, 'x');
    g_autofree char *out = NULL;

    text[0] = '"';
    memcpy(text + len - 4, "\n{} ", 4);
    out = feed(text, len, 4096);
    g_assert_cmpstr(out, ==, "!;{};");
    memset(text, '[', len);
    memcpy(text + len - 4, "\n{} ", 4);
    g_free(g_steal_pointer(&out));
    out = feed(text, len, 4096);
    g_assert_cmpstr(out, ==, "!;{};");
    memset(text, ' ', len);
    memcpy(text + len - 4, "\n{} ", 4);
    g_free(g_steal_pointer(&out));
    out = feed(text, len, 4096);
    g_assert_cmpstr(out, ==, "{};");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/monitor/json-stream/values", test_values);
    g_test_add_func("/monitor/json-stream/nul", test_nul);
    g_test_add_func("/monitor/json-stream/limits", test_limits);
    return g_test_run();
}
