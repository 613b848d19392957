/* SPDX-License-Identifier: Apache-2.0 */
/* JSON to C and back: every kind of type, every kind of mistake. */
#include "qapi/keyval.h"
#include "qapi/tests/test-qapi-types-test-schema.h"
#include "util/error.h"

static json_object *parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    json_object *json = json_parse_text(text, &error);

    g_assert_no_error(error);
    return json;
}

/* Text to C, a copy of it, and back: must give what it was. */
static void round_trip(const QapiType *type, const char *text)
{
    json_object *in = parse(text), *out;
    g_autoptr(GError) error = NULL;
    void *obj, *copy;

    g_assert_true(qapi_from_json(type, in, QAPI_JSON, &obj, &error));
    g_assert_no_error(error);
    copy = qapi_clone(type, obj);
    qapi_free(type, obj);
    out = qapi_to_json(type, copy);
    qapi_free(type, copy);
    if (!json_object_equal(in, out)) {
        g_error("%s became %s", text, json_object_to_json_string(out));
    }
    json_object_put(in);
    json_object_put(out);
}

static void refuse_flags(const QapiType *type, const char *text, QapiFlags flags,
                         const char *expected)
{
    json_object *in = parse(text);
    g_autoptr(GError) error = NULL;
    void *obj = NULL;

    g_assert_false(qapi_from_json(type, in, flags, &obj, &error));
    g_assert_nonnull(error);
    g_assert_null(obj);
    if (!g_pattern_match_simple(expected, error->message)) {
        g_error("%s: '%s' is not like '%s'", text, error->message, expected);
    }
    json_object_put(in);
}

static void refuse(const QapiType *type, const char *text, const char *expected)
{
    refuse_flags(type, text, QAPI_JSON, expected);
}

static void test_round_trips(void)
{
    round_trip(&TestPoint_type, "{\"x\": 1, \"y\": -2}");
    round_trip(&TestPoint_type, "{\"x\": 1, \"y\": -2, \"label\": \"\\u00e4\"}");
    round_trip(&TestNumbers_type,
               "{\"i8\": -128, \"u8\": 255, \"i16\": -32768, \"u16\": 65535, \"i32\": -2147483648,"
               " \"u32\": 4294967295, \"i64\": -9223372036854775808,"
               " \"u64\": 18446744073709551615, \"size\": 0, \"real\": 1.5, \"flag\": false}");
    round_trip(&TestNumbers_type, "{}");
    round_trip(&TestLists_type,
               "{\"strings\": [\"a\", \"\"], \"ints\": [1, -1], \"bytes\": [0, 255],"
               " \"points\": [{\"x\": 0, \"y\": 0}], \"colors\": [\"light-green\", \"red\"],"
               " \"anything\": [null, {\"deep\": [1]}, \"s\"]}");
    round_trip(&TestLists_type, "{\"strings\": [], \"ints\": [], \"points\": []}");
    round_trip(&TestTree_type, "{\"name\": \"a\", \"child\": {\"name\": \"b\"},"
                               " \"children\": [{\"name\": \"c\", \"child\": {\"name\": \"d\"}}]}");
    round_trip(&TestShape_type,
               "{\"kind\": \"circle\", \"radius\": 3, \"center\": {\"x\": 1, \"y\": 2}}");
    round_trip(&TestShape_type,
               "{\"kind\": \"square\", \"side\": 3, \"names\": [\"q\"], \"color\": \"red\"}");
    round_trip(&TestShape_type, "{\"kind\": \"nothing\"}");
    round_trip(&TestNested_type, "{\"kind\": \"circle\", \"color\": \"red\", \"side\": 9}");
    round_trip(&TestNested_type, "{\"kind\": \"circle\", \"color\": \"blue\"}");
    round_trip(&TestNested_type, "{\"kind\": \"square\"}");
}

static void test_alternates(void)
{
    static const char *const values[] = {
        "{\"x\": 1, \"y\": 2}", "\"text\"", "7", "true", "[\"a\", \"b\"]", "null",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(values); i++) {
        g_autofree char *text = g_strdup_printf(
            "{\"shape\": {\"kind\": \"nothing\"}, \"default\": \"d\", \"alt\": %s}", values[i]);

        round_trip(&TestEverything_type, text);
    }
    refuse(&TestAlternate_type, "[1]", "Parameter '?0?' must be a string, not a number");
    refuse(&TestAlternate_type, "1.5", "*must be an integer*");
}

static void test_reserved_names(void)
{
    json_object *in =
        parse("{\"shape\": {\"kind\": \"nothing\"}, \"default\": \"d\", \"3d\": true}");
    g_autoptr(TestEverything) all = NULL;

    g_assert_true(TestEverything_from_json(in, QAPI_JSON, &all, NULL));
    g_assert_cmpstr(all->q_default, ==, "d");
    g_assert_true(all->has_3d && all->q_3d);
    g_assert_null(all->alt);
    json_object_put(in);
}

static void test_refusals(void)
{
    static const struct {
        const QapiType *type;
        const char *text, *expected;
    } cases[] = {
        { &TestPoint_type, "[]", "The argument must be an object, not an array" },
        { &TestPoint_type, "{\"x\": 1}", "Parameter 'y' is missing" },
        { &TestPoint_type, "{\"x\": 1, \"y\": \"2\"}",
          "Parameter 'y' must be an integer, not a string" },
        { &TestPoint_type, "{\"x\": 1, \"y\": null}",
          "Parameter 'y' must be an integer, not null" },
        { &TestPoint_type, "{\"x\": 1.0, \"y\": 2}", "Parameter 'x' must be an integer" },
        { &TestPoint_type, "{\"x\": 1, \"y\": 2, \"lable\": \"\"}",
          "Parameter 'lable' is unexpected*did you mean 'label'*" },
        { &TestPoint_type, "{\"x\": 9223372036854775808, \"y\": 2}",
          "Parameter 'x' is out of range*" },
        { &TestPoint_type, "{\"x\": 1, \"y\": 2, \"label\": \"a\\u0000b\"}", "*'label'*NUL*" },
        { &TestNumbers_type, "{\"i8\": 128}", "Parameter 'i8' is out of range (-128 to 127)" },
        { &TestNumbers_type, "{\"u8\": -1}", "Parameter 'u8' is out of range (0 to 255)" },
        { &TestNumbers_type, "{\"u64\": -1}", "Parameter 'u64' is out of range*" },
        { &TestNumbers_type, "{\"size\": \"1k\"}", "Parameter 'size' must be an integer*" },
        { &TestNumbers_type, "{\"flag\": 1}", "Parameter 'flag' must be a boolean*" },
        { &TestNumbers_type, "{\"real\": NaN}", "Parameter 'real' must be a finite number" },
        { &TestLists_type, "{\"strings\": {}}", "Parameter 'strings' must be an array*" },
        { &TestLists_type, "{\"points\": [{\"x\": 1, \"y\": 2}, {\"x\": 1}]}",
          "Parameter 'points?1?.y' is missing" },
        { &TestLists_type, "{\"bytes\": [256]}", "Parameter 'bytes?0?' is out of range*" },
        { &TestLists_type, "{\"colors\": [\"rad\"]}",
          "Parameter 'colors?0?': 'rad' is not one of 'red', 'light-green', 'blue'" },
        { &TestLists_type, "{\"colors\": [\"ultraviolet\"]}", "*'ultraviolet' is not one of*" },
        { &TestShape_type, "{\"kind\": \"circle\"}", "Parameter 'radius' is missing" },
        { &TestShape_type, "{\"kind\": \"circle\", \"radius\": 1, \"side\": 1}",
          "*'side' is unexpected*" },
        { &TestShape_type, "{\"radius\": 1}", "Parameter 'kind' is missing" },
        { &TestShape_type, "{\"kind\": \"circle\", \"radius\": 1, \"center\": {\"x\": []}}",
          "Parameter 'center.x' must be an integer, not an array" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        refuse(cases[i].type, cases[i].text, cases[i].expected);
    }
}

/* Nested by our own hands: the parser would not. */
static void test_depth(void)
{
    json_object *tree = parse("{\"name\": \"leaf\"}");
    g_autoptr(GError) error = NULL;
    TestTree *out = NULL;

    for (int i = 0; i < 100000; i++) {
        json_object *parent = parse("{\"name\": \"n\"}");

        json_object_object_add(parent, "child", tree);
        tree = parent;
        if (i == QAPI_MAX_DEPTH - 2) {
            g_assert_true(TestTree_from_json(tree, QAPI_JSON, &out, &error));
            g_assert_no_error(error);
            g_clear_pointer(&out, TestTree_free);
        }
    }
    g_assert_false(TestTree_from_json(tree, QAPI_JSON, &out, &error));
    g_assert_true(g_str_has_suffix(error->message, "is nested too deeply"));
    /* json-c frees recursively: take it apart by hand. */
    while (tree) {
        json_object *child = json_object_get(json_object_object_get(tree, "child"));

        json_object_put(tree);
        tree = child;
    }
}

static void check_keyval(const QapiType *type, const char *text, const char *expected)
{
    g_autoptr(GError) error = NULL;
    json_object *in = keyval_parse(text, NULL, NULL, &error), *out, *wanted = parse(expected);
    void *obj;

    g_assert_no_error(error);
    g_assert_true(qapi_from_json(type, in, keyval_flags(text), &obj, &error));
    g_assert_no_error(error);
    out = qapi_to_json(type, obj);
    if (!json_object_equal(out, wanted)) {
        g_error("%s became %s", text, json_object_to_json_string(out));
    }
    qapi_free(type, obj);
    json_object_put(in);
    json_object_put(out);
    json_object_put(wanted);
}

static void test_keyval_scalars(void)
{
    check_keyval(&TestNumbers_type, "i8=-0x10,u64=0xffffffffffffffff,size=1.5K,flag=on,real=2.5",
                 "{\"i8\": -16, \"u64\": 18446744073709551615, \"size\": 1536, \"flag\": true,"
                 " \"real\": 2.5}");
    check_keyval(&TestNumbers_type, "i64=64k", "{\"i64\": 65536}");
    refuse_flags(&TestNumbers_type, "{\"i64\": \"9E\"}", QAPI_KEYVAL, "Parameter 'i64'*");
    refuse_flags(&TestNumbers_type, "{\"i64\": \"64q\"}", QAPI_KEYVAL, "Parameter 'i64': *'64q'*");
    check_keyval(&TestPoint_type, "x=1,y=-2,label=a,,b",
                 "{\"x\": 1, \"y\": -2, \"label\": \"a,b\"}");
    check_keyval(&TestLists_type, "bytes=0-3,,6", "{\"bytes\": [0, 1, 2, 3, 6]}");
    check_keyval(&TestLists_type, "ints.0=5,ints.1=6,strings.0=x",
                 "{\"strings\": [\"x\"], \"ints\": [5, 6]}");
    check_keyval(&TestShape_type, "kind=circle,radius=1,center.x=1,center.y=2",
                 "{\"kind\": \"circle\", \"radius\": 1, \"center\": {\"x\": 1, \"y\": 2}}");
    check_keyval(&TestPoint_type, "{\"x\": 1, \"y\": 2}", "{\"x\": 1, \"y\": 2}");
    refuse_flags(&TestNumbers_type, "{\"u8\": \"256\"}", QAPI_KEYVAL,
                 "Parameter 'u8' is out of range*");
    refuse_flags(&TestNumbers_type, "{\"u8\": \"x\"}", QAPI_KEYVAL, "Parameter 'u8': *'x'*");
    refuse_flags(&TestNumbers_type, "{\"flag\": \"maybe\"}", QAPI_KEYVAL,
                 "Parameter 'flag': *maybe*");
    refuse_flags(&TestNumbers_type, "{\"real\": \"1.5x\"}", QAPI_KEYVAL, "Parameter 'real'*1.5x*");
    refuse_flags(&TestLists_type, "{\"bytes\": \"250-260\"}", QAPI_KEYVAL, "*bad range '250-260'*");
    refuse_flags(&TestLists_type, "{\"ints\": \"0-99999999999\"}", QAPI_KEYVAL, "*bad range*");
    refuse_flags(&TestLists_type, "{\"ints\": \"\"}", QAPI_KEYVAL, "*");
    refuse_flags(&TestLists_type, "{\"ints\": \"3-\"}", QAPI_KEYVAL, "*");
    refuse_flags(&TestLists_type, "{\"ints\": \",\"}", QAPI_KEYVAL, "*");
}

static void test_enums(void)
{
    TestColor color;
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(TEST_COLOR__MAX, ==, 3);
    g_assert_cmpstr(TestColor_str(TEST_COLOR_LIGHT_GREEN), ==, "light-green");
    g_assert_true(TestColor_parse("blue", &color, &error));
    g_assert_cmpint(color, ==, TEST_COLOR_BLUE);
    g_assert_false(TestColor_parse("", &color, &error));
    g_assert_nonnull(error);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qapi/visit/round-trips", test_round_trips);
    g_test_add_func("/qapi/visit/alternates", test_alternates);
    g_test_add_func("/qapi/visit/reserved-names", test_reserved_names);
    g_test_add_func("/qapi/visit/refusals", test_refusals);
    g_test_add_func("/qapi/visit/depth", test_depth);
    g_test_add_func("/qapi/visit/keyval-scalars", test_keyval_scalars);
    g_test_add_func("/qapi/visit/enums", test_enums);
    return g_test_run();
}
