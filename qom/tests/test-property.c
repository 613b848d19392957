/* SPDX-License-Identifier: Apache-2.0 */
/* Every kind of property by JSON and by text, globals, and user-created objects. */
#include "qom/object.h"

#include <string.h>

#include "util/error.h"

enum { COLOUR_RED, COLOUR_GREEN, COLOUR_BLUE };
static const char *const colour_names[] = { "red", "green", "blue", NULL };

typedef struct Gadget {
    Object parent;
    bool on;
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    int32_t i32;
    int64_t i64;
    uint64_t size;
    uint32_t size32;
    char *text;
    char *needed;
    int colour;
    PropOnOffAuto mode;
    uint32_t flags32;
    uint64_t flags64;
    uint8_t uuid[16];
    json_object *any;
    Object *peer;
    int computed;
    bool complete;
    bool stubborn;
    bool fails;
} Gadget;

static json_object *get_twice(Object *obj, const Property *prop)
{
    return json_object_new_int(((Gadget *)obj)->computed * 2);
}

static bool set_half(Object *obj, const Property *prop, json_object *value, GError **error)
{
    int number = json_object_get_int(value);

    if (number % 2) {
        error_setf(error, "%d is odd", number);
        return false;
    }
    ((Gadget *)obj)->computed = number / 2;
    return true;
}

static const Property gadget_properties[] = {
    PROP_BOOL("on", Gadget, on, true, "whether it runs"),
    PROP_UINT8("u8", Gadget, u8, 8, "a byte"),
    PROP_UINT16("u16", Gadget, u16, 16, "a word"),
    PROP_UINT32("u32", Gadget, u32, 32, "a long"),
    PROP_UINT64("u64", Gadget, u64, UINT64_MAX, "a quad"),
    PROP_INT32("i32", Gadget, i32, -32, "a signed long"),
    PROP_INT64("i64", Gadget, i64, INT64_MIN, "a signed quad"),
    PROP_SIZE("size", Gadget, size, 1 << 20, "bytes"),
    { .name = "size32", .kind = &prop_kind_size32, .offset = offsetof(Gadget, size32),
      .def.u = 4096, .max = 65536 },
    PROP_STRING("text", Gadget, text, "hello", "words"),
    { .name = "needed", .kind = &prop_kind_string, .offset = offsetof(Gadget, needed),
      .flags = PROP_REQUIRED },
    PROP_ENUM("colour", Gadget, colour, colour_names, COLOUR_GREEN, "paint"),
    PROP_ON_OFF_AUTO("mode", Gadget, mode, PROP_AUTO, "how"),
    PROP_BIT("bit3", Gadget, flags32, 3, true, "a bit"),
    PROP_BIT("bit31", Gadget, flags32, 31, false, "the highest bit"),
    PROP_BIT64("bit63", Gadget, flags64, 63, true, "a bit"),
    PROP_UUID("uuid", Gadget, uuid, "identity"),
    { .name = "any", .kind = &prop_kind_json, .offset = offsetof(Gadget, any) },
    PROP_LINK("peer", Gadget, peer, "gadget", "the other one"),
    PROP_COMPUTED("twice", prop_kind_int32, get_twice, set_half, "computed"),
    PROP_COMPUTED("fixed", prop_kind_int32, get_twice, NULL, "computed, read-only"),
    { .name = "live", .kind = &prop_kind_bool, .offset = offsetof(Gadget, stubborn),
      .flags = PROP_LIVE },
    { .name = "fails", .kind = &prop_kind_bool, .offset = offsetof(Gadget, fails) },
    PROP_END,
};

static bool gadget_complete(Object *obj, GError **error)
{
    Gadget *gadget = (Gadget *)obj;

    if (gadget->fails) {
        error_setf(error, "it fails as asked");
        return false;
    }
    gadget->complete = true;
    return true;
}

static bool gadget_may_delete(Object *obj, GError **error)
{
    if (((Gadget *)obj)->stubborn) {
        error_setf(error, "it will not go");
        return false;
    }
    return true;
}

static const UserObjectHooks gadget_hooks = {
    .complete = gadget_complete,
    .may_delete = gadget_may_delete,
};

static const TypeInfo gadget_type = {
    .name = "gadget",
    .parent = TYPE_USER_OBJECT,
    .description = "for tests",
    .instance_size = sizeof(Gadget),
    .user_creatable = true,
    .properties = gadget_properties,
    .hooks = &gadget_hooks,
};
QOM_TYPE(gadget_type);

static const TypeInfo internal_type = {
    .name = "internal-gadget",
    .parent = "gadget",
};
QOM_TYPE(internal_type);

static const Property special_properties[] = {
    PROP_UINT8("u8", Gadget, u8, 99, "a byte with another default"),
    PROP_END,
};

static const TypeInfo special_type = {
    .name = "special-gadget",
    .parent = "gadget",
    .user_creatable = true,
    .properties = special_properties,
};
QOM_TYPE(special_type);

/* The property's value as JSON text; the caller's. */
static char *show(void *obj, const char *name)
{
    g_autoptr(GError) error = NULL;
    json_object *value = object_property_get(obj, name, &error);
    char *text;

    g_assert_no_error(error);
    text = g_strdup(json_object_to_json_string_ext(value, JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(value);
    return text;
}

static void assert_shows(void *obj, const char *name, const char *json)
{
    g_autofree char *text = show(obj, name);

    g_assert_cmpstr(text, ==, json);
}

static bool set_json(void *obj, const char *name, const char *json, GError **error)
{
    json_object *value = json_tokener_parse(json);
    bool ok = object_property_set(obj, name, value, error);

    json_object_put(value);
    return ok;
}

typedef struct Case {
    const char *name;
    const char *in;  /* JSON or text */
    const char *out; /* JSON; NULL: refused */
} Case;

static void run_cases(const Case *cases, size_t n,
                      bool (*set)(void *, const char *, const char *, GError **))
{
    for (size_t i = 0; i < n; i++) {
        g_autoptr(Object) obj = object_new("gadget");
        g_autoptr(GError) error = NULL;
        g_autofree char *before = show(obj, cases[i].name);
        bool ok = set(obj, cases[i].name, cases[i].in, &error);

        if (cases[i].out) {
            g_assert_no_error(error);
            g_assert_true(ok);
            assert_shows(obj, cases[i].name, cases[i].out);
        } else {
            g_assert_false(ok);
            g_assert_nonnull(error);
            g_assert_nonnull(strstr(error->message, cases[i].name));
            assert_shows(obj, cases[i].name, before); /* a refused value changes nothing */
        }
    }
}

static void test_defaults(void)
{
    g_autoptr(Object) obj = object_new("gadget");
    g_autoptr(Object) special = object_new("special-gadget");

    assert_shows(obj, "on", "true");
    assert_shows(obj, "u8", "8");
    assert_shows(special, "u8", "99");
    assert_shows(obj, "u64", "18446744073709551615");
    assert_shows(obj, "i32", "-32");
    assert_shows(obj, "i64", "-9223372036854775808");
    assert_shows(obj, "size", "1048576");
    assert_shows(obj, "text", "\"hello\"");
    assert_shows(obj, "needed", "\"\"");
    assert_shows(obj, "colour", "\"green\"");
    assert_shows(obj, "mode", "\"auto\"");
    assert_shows(obj, "bit3", "true");
    assert_shows(obj, "bit31", "false");
    assert_shows(obj, "bit63", "true");
    assert_shows(obj, "any", "null");
    assert_shows(obj, "peer", "\"\"");
    assert_shows(obj, "type", "\"gadget\"");
}

static void test_json(void)
{
    static const Case cases[] = {
        { "on", "false", "false" },
        { "on", "\"off\"", NULL },
        { "on", "0", NULL },
        { "u8", "255", "255" },
        { "u8", "256", NULL },
        { "u8", "-1", NULL },
        { "u8", "1.5", NULL },
        { "u8", "\"1\"", NULL },
        { "u16", "65535", "65535" },
        { "u16", "65536", NULL },
        { "u32", "4294967295", "4294967295" },
        { "u32", "4294967296", NULL },
        { "u64", "18446744073709551615", "18446744073709551615" },
        { "i32", "-2147483648", "-2147483648" },
        { "i32", "2147483648", NULL },
        { "i32", "-2147483649", NULL },
        { "i64", "9223372036854775807", "9223372036854775807" },
        { "i64", "9223372036854775808", NULL },
        { "size", "4096", "4096" },
        { "size", "\"4k\"", NULL },
        { "size32", "65537", NULL },
        { "text", "\"a b\"", "\"a b\"" },
        { "text", "null", NULL },
        { "text", "\"a\\u0000b\"", NULL },
        { "text", "[]", NULL },
        { "colour", "\"blue\"", "\"blue\"" },
        { "colour", "\"bleu\"", NULL },
        { "colour", "2", NULL },
        { "mode", "\"off\"", "\"off\"" },
        { "mode", "true", NULL },
        { "bit3", "false", "false" },
        { "bit31", "true", "true" },
        { "bit63", "false", "false" },
        { "uuid", "\"00112233-4455-6677-8899-aabbccddeeff\"",
          "\"00112233-4455-6677-8899-aabbccddeeff\"" },
        { "uuid", "\"0011\"", NULL },
        { "uuid", "5", NULL },
        { "any", "{\"a\":[1,2]}", "{\"a\":[1,2]}" },
        { "peer", "\"nobody\"", NULL },
        { "peer", "\"/\"", NULL },
        { "twice", "6", "6" },
    };

    run_cases(cases, G_N_ELEMENTS(cases), set_json);
}

static bool parse(void *obj, const char *name, const char *text, GError **error)
{
    return object_property_parse(obj, name, text, error);
}

static void test_text(void)
{
    static const Case cases[] = {
        { "on", "off", "false" },
        { "on", "yes", "true" },
        { "on", "maybe", NULL },
        { "u8", "0x7f", "127" },
        { "u8", "256", NULL },
        { "u8", "", NULL },
        { "u8", "-1", NULL },
        { "i32", "-5", "-5" },
        { "i32", "5 ", NULL },
        { "size", "4k", "4096" },
        { "size", "1.5M", "1572864" },
        { "size", "1Q", NULL },
        { "size32", "64k", "65536" },
        { "size32", "65K", NULL },
        { "text", "", "\"\"" },
        { "text", "true", "\"true\"" },
        { "colour", "red", "\"red\"" },
        { "colour", "Red", NULL },
        { "mode", "on", "\"on\"" },
        { "mode", "yes", NULL },
        { "bit3", "off", "false" },
        { "bit63", "no", "false" },
        { "twice", "8", "8" },
        { "any", "word", "\"word\"" },
    };

    run_cases(cases, G_N_ELEMENTS(cases), parse);
}

static void assert_refused(void *obj, const char *name, const char *text, const char *message)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(object_property_parse(obj, name, text, &error));
    g_assert_cmpstr(error->message, ==, message);
}

static void test_messages(void)
{
    g_autoptr(Object) obj = object_new("gadget");

    assert_refused(obj, "color", "red", "'gadget' has no property 'color'; did you mean 'colour'?");
    assert_refused(obj, "u8", "300", "property 'gadget.u8': 300 is out of range (0 to 255)");
    assert_refused(obj, "u8", "x", "property 'gadget.u8': 'x' is not a number");
    assert_refused(obj, "colour", "gren",
                   "property 'gadget.colour' does not take 'gren' (red, green, blue); "
                   "did you mean 'green'?");
    assert_refused(obj, "fixed", "1", "property 'gadget.fixed' cannot be set");
    assert_refused(obj, "type", "dog", "property 'gadget.type' cannot be set");
    assert_refused(obj, "twice", "3", "3 is odd");
}

static void test_sealed(void)
{
    g_autoptr(Object) obj = object_new("gadget");

    obj->sealed = true;
    g_assert_false(object_property_set_int(obj, "u8", 1, NULL));
    g_assert_true(object_property_set_bool(obj, "live", true, NULL));
    g_assert_true(object_property_set_int(obj, "twice", 2, NULL));
}

static void test_uuid_auto(void)
{
    g_autoptr(Object) a = object_new("gadget");
    g_autoptr(Object) b = object_new("gadget");

    g_assert_true(object_property_set_str(a, "uuid", "auto", NULL));
    g_assert_true(object_property_set_str(b, "uuid", "auto", NULL));
    g_assert_cmpint(memcmp(((Gadget *)a)->uuid, ((Gadget *)b)->uuid, 16), !=, 0);
    g_assert_cmphex(((Gadget *)a)->uuid[6] >> 4, ==, 4);
}

static void test_globals(void)
{
    object_add_global("gadget", "u8", "77");
    object_add_global("special-gadget", "u8", "78");
    object_add_global("gadget", "nonsense", "1");
    object_add_global("unplugged", "x", "y");
    {
        g_autoptr(Object) obj = object_new("gadget");
        g_autoptr(Object) special = object_new("special-gadget");
        g_autoptr(GError) error = NULL;
        g_auto(GStrv) unused = object_unused_globals();

        assert_shows(obj, "u8", "77");
        assert_shows(special, "u8", "78");
        g_assert_false(object_apply_globals(obj, &error));
        g_assert_cmpstr(error->message, ==,
                        "-global gadget.nonsense=1: 'gadget' has no property 'nonsense'");
        g_assert_true(object_apply_globals(obj, NULL)); /* said once */
        g_assert_cmpuint(g_strv_length(unused), ==, 1);
        g_assert_cmpstr(unused[0], ==, "unplugged.x=y");
    }
    object_clear_globals();
}

static Object *create(const char *json, bool text, GError **error)
{
    json_object *options = json_tokener_parse(json);
    Object *obj = user_object_create(options, text, error);

    json_object_put(options);
    return obj;
}

static void test_user_object(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = NULL;
    Object *a = create("{'qom-type':'gadget','id':'a','needed':'x','size':4096}", false, &error);
    Object *b;

    g_assert_no_error(error);
    g_assert_true(((Gadget *)a)->complete);
    g_assert_true(a->sealed);
    path = object_path(a);
    g_assert_cmpstr(path, ==, "/objects/a");
    b = create("{'qom-type':'special-gadget','id':'b','needed':'y','size':'1k','peer':'a'}", true,
               &error);
    g_assert_no_error(error);
    g_assert_cmpuint(((Gadget *)b)->size, ==, 1024);
    g_assert_true(((Gadget *)b)->peer == a);
    assert_shows(b, "peer", "\"/objects/a\"");
    g_assert_true(user_object_find("b", "gadget", NULL) == b);
    g_assert_null(user_object_find("a", "special-gadget", &error));
    g_assert_nonnull(strstr(error->message, "'a' is a gadget, not a special-gadget"));
    g_clear_error(&error);
    g_assert_null(user_object_find("c", "gadget", NULL));

    ((Gadget *)a)->stubborn = true;
    g_assert_false(user_object_delete("a", NULL));
    ((Gadget *)a)->stubborn = false;
    g_assert_true(user_object_delete("a", NULL)); /* b's link keeps the orphan alive */
    assert_shows(b, "peer", "\"\"");
    g_assert_true(user_object_delete("b", NULL));
    g_assert_false(user_object_delete("b", NULL));
}

static void test_user_object_refused(void)
{
    static const struct {
        const char *json;
        const char *message;
    } rows[] = {
        { "{'id':'a'}", "*'qom-type'*" },
        { "{'qom-type':'gadget'}", "*'id'*" },
        { "{'qom-type':7,'id':'a'}", "*string*" },
        { "{'qom-type':'gadgte','id':'a'}", "*'gadgte'*did you mean 'gadget'?" },
        { "{'qom-type':'internal-gadget','id':'a'}", "*'internal-gadget' is not an object type*" },
        { "{'qom-type':'user-object','id':'a'}", "*not an object type*" },
        { "{'qom-type':'container','id':'a'}", "*not an object type*" },
        { "{'qom-type':'gadget','id':'9','needed':'x'}", "*'9'*" },
        { "{'qom-type':'gadget','id':'a/b','needed':'x'}", "*'a/b'*" },
        { "{'qom-type':'gadget','id':'a'}", "*'gadget.needed' must be given" },
        { "{'qom-type':'gadget','id':'a','needed':'x','bogus':1}", "*'bogus'*" },
        { "{'qom-type':'gadget','id':'a','needed':'x','fails':true}", "it fails as asked" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(create(rows[i].json, false, &error));
        if (!g_pattern_match_simple(rows[i].message, error->message)) {
            g_error("'%s' is not like '%s'", error->message, rows[i].message);
        }
        g_assert_null(object_child(object_container("/objects"), "a"));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/property/defaults", test_defaults);
    g_test_add_func("/property/json", test_json);
    g_test_add_func("/property/text", test_text);
    g_test_add_func("/property/messages", test_messages);
    g_test_add_func("/property/sealed", test_sealed);
    g_test_add_func("/property/uuid-auto", test_uuid_auto);
    g_test_add_func("/property/globals", test_globals);
    g_test_add_func("/user-object/life", test_user_object);
    g_test_add_func("/user-object/refused", test_user_object_refused);
    return g_test_run();
}
