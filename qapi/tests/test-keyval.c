/* SPDX-License-Identifier: Apache-2.0 */
/* "key=value,..." to JSON: shapes, escapes, help, mistakes. */
#include "qapi/keyval.h"
#include "util/error.h"

static void test_shapes(void)
{
    static const struct {
        const char *text, *implied, *expected;
    } cases[] = {
        { "", NULL, "{}" },
        { "a=1,b=two", NULL, "{\"a\":\"1\",\"b\":\"two\"}" },
        { "a=", NULL, "{\"a\":\"\"}" },
        { "a=1,a=2", NULL, "{\"a\":\"2\"}" },
        { "a=x=y", NULL, "{\"a\":\"x=y\"}" },
        { "a=x,,y,,", NULL, "{\"a\":\"x,y,\"}" },
        { "a=1,", NULL, "{\"a\":\"1\"}" },
        { "null,id=c", "backend", "{\"backend\":\"null\",\"id\":\"c\"}" },
        { "backend=null", "backend", "{\"backend\":\"null\"}" },
        { "f.a=1,f.b.c=2", NULL, "{\"f\":{\"a\":\"1\",\"b\":{\"c\":\"2\"}}}" },
        { "l.1=b,l.0=a", NULL, "{\"l\":[\"a\",\"b\"]}" },
        { "l.0.x=1,l.1.y.0=2", NULL, "{\"l\":[{\"x\":\"1\"},{\"y\":[\"2\"]}]}" },
        { "{\"a\": [1, {}]}", NULL, "{\"a\":[1,{}]}" },
        { "{\"a\": 1} ", NULL, "{\"a\":1}" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        json_object *json = keyval_parse(cases[i].text, cases[i].implied, NULL, &error);

        g_assert_no_error(error);
        g_assert_cmpstr(json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN), ==,
                        cases[i].expected);
        json_object_put(json);
    }
}

static void test_mistakes(void)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        { "a", "Expected '=' after parameter 'a'" },
        { "a=1,b", "Expected '=' after parameter 'b'" },
        { "=1", "'' is not a valid key" },
        { "a..b=1", "'a..b' is not a valid key" },
        { "a.=1", "'a.' is not a valid key" },
        { ".a=1", "'.a' is not a valid key" },
        { "a=1,a.b=2", "*has a value and members too" },
        { "a.b=2,a=1", "*has a value and members too" },
        { "l.0=a,l.x=b", "Key 'l' has both numbered and named members" },
        { "l.1=a", "List 'l' lacks element 0" },
        { "l.00=a", "List 'l' lacks element 0" },
        { "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q=1", "*is not a valid key" },
        { "{", "JSON: *" },
        { "{} x", "JSON: *" },
        { "{\"a\": }", "JSON: *" },
        { "{\"a\": \"\xff\"}", "JSON: *" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(keyval_parse(cases[i].text, NULL, NULL, &error));
        g_assert_nonnull(error);
        if (!g_pattern_match_simple(cases[i].expected, error->message)) {
            g_error("%s: '%s' is not like '%s'", cases[i].text, error->message, cases[i].expected);
        }
    }
}

static void test_hostile(void)
{
    g_autoptr(GString) deep = g_string_new("{\"a\":");
    g_autofree char *key = g_strnfill(100000, 'k');
    g_autofree char *option = g_strdup_printf("%s=1", key);
    g_autofree char *commas = g_strnfill(100001, ',');
    g_autoptr(GError) error = NULL;
    json_object *json;

    g_assert_null(keyval_parse(option, NULL, NULL, &error));
    g_clear_error(&error);
    json = keyval_parse(commas, "x", NULL, &error);
    g_assert_true(json || error);
    json_object_put(json);
    g_clear_error(&error);
    for (int i = 0; i < 100000; i++) {
        g_string_append_c(deep, '[');
    }
    g_assert_null(keyval_parse(deep->str, NULL, NULL, &error));
    g_assert_nonnull(error);
}

static void test_help(void)
{
    static const struct {
        const char *text, *expected;
        bool help;
    } cases[] = {
        { "help", "{}", true },         { "?", "{}", true },
        { "null,help", "{\"b\":\"null\"}", true }, { "help=on", "{\"help\":\"on\"}", false },
        { "null", "{\"b\":\"null\"}", false },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        bool help = !cases[i].help;
        json_object *json = keyval_parse(cases[i].text, "b", &help, NULL);

        g_assert_cmpstr(json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN), ==,
                        cases[i].expected);
        g_assert_true(help == cases[i].help);
        json_object_put(json);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qapi/keyval/shapes", test_shapes);
    g_test_add_func("/qapi/keyval/mistakes", test_mistakes);
    g_test_add_func("/qapi/keyval/hostile", test_hostile);
    g_test_add_func("/qapi/keyval/help", test_help);
    return g_test_run();
}
