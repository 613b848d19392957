/* SPDX-License-Identifier: Apache-2.0 */
/* The QMP face of the object tree. */
#include <string.h>

#include "qapi/qapi-commands-qdev.h"
#include "qapi/qapi-commands-qom.h"
#include "qom/object.h"
#include "util/error.h"

typedef struct Lamp {
    Object parent;
    uint8_t watts;
    char *label;
    Object *socket;
} Lamp;

static const Property device_properties[] = {
    PROP_STRING("everybody", Lamp, label, NULL, "what every device has"),
    PROP_END,
};
static const TypeInfo device_type = {
    .name = "device",
    .parent = TYPE_OBJECT,
    .is_abstract = true,
    .properties = device_properties,
};
QOM_TYPE(device_type);

static const Property lamp_properties[] = {
    PROP_UINT8("watts", Lamp, watts, 60, "how bright"),
    PROP_STRING("label", Lamp, label, NULL, "what is written on it"),
    PROP_LINK("socket", Lamp, socket, "lamp", "where it sits"),
    PROP_END,
};
static const TypeInfo lamp_type = {
    .name = "lamp",
    .parent = "device",
    .instance_size = sizeof(Lamp),
    .properties = lamp_properties,
};
QOM_TYPE(lamp_type);

static void lamp_put(void)
{
    g_autoptr(Object) lamp = object_new("lamp");

    if (!object_resolve("/machine/lamp0", NULL)) {
        bool ok = object_add_child(object_container("/machine"), "lamp0", lamp, NULL);

        g_assert_true(ok);
    }
}

static char *show(GPtrArray *list)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < list->len; i++) {
        const ObjectPropertyInfo *info = g_ptr_array_index(list, i);

        g_string_append_printf(text, "%s:%s", info->name, info->type);
        if (info->default_value) {
            g_string_append_printf(text, "=%s", json_object_get_string(info->default_value));
        }
        g_string_append_c(text, ' ');
    }
    g_ptr_array_unref(list);
    return g_string_free(text, FALSE);
}

static void test_list(void)
{
    g_autofree char *lamp = NULL;
    g_autofree char *machine = NULL;
    g_autofree char *type = NULL;
    g_autofree char *device = NULL;

    lamp_put();
    lamp = show(qmp_qom_list("lamp0", NULL));
    g_assert_cmpstr(lamp, ==, "type:string everybody:str watts:uint8 label:str socket:link<lamp> ");
    machine = show(qmp_qom_list("/machine", NULL));
    g_assert_cmpstr(machine, ==, "type:string lamp0:child<lamp> ");
    type = show(qmp_qom_list_properties("device", NULL));
    g_assert_cmpstr(type, ==, "type:string everybody:str ");
    device = show(qmp_device_list_properties("lamp", NULL));
    g_assert_cmpstr(device, ==, "watts:uint8=60 label:str socket:link<lamp> ");
}

static void test_list_types(void)
{
    g_autoptr(GPtrArray) concrete = qmp_qom_list_types("device", false, false, NULL);
    g_autoptr(GPtrArray) all = qmp_qom_list_types("device", true, true, NULL);
    g_autoptr(GPtrArray) none = qmp_qom_list_types("nonsense", true, true, NULL);
    const ObjectTypeInfo *info = g_ptr_array_index(all, 0);

    g_assert_cmpuint(concrete->len, ==, 1);
    g_assert_cmpuint(all->len, ==, 2);
    g_assert_cmpuint(none->len, ==, 0);
    g_assert_cmpstr(info->name, ==, "device");
    g_assert_cmpstr(info->parent, ==, "object");
    g_assert_true(info->has_abstract && info->abstract);
}

static void test_get_set(void)
{
    json_object *value = json_object_new_int(40);

    lamp_put();
    g_assert_true(qmp_qom_set("/machine/lamp0", "watts", value, NULL));
    json_object_put(value);
    value = qmp_qom_get("lamp0", "watts", NULL);
    g_assert_cmpint(json_object_get_int(value), ==, 40);
    g_assert_false(qmp_qom_set("lamp0", "label", value, NULL));
    json_object_put(value);
    value = qmp_qom_get("/machine", "lamp0", NULL);
    g_assert_cmpstr(json_object_get_string(value), ==, "/machine/lamp0");
    json_object_put(value);
}

static void assert_class(void *result, GError *error, VireoError code)
{
    g_assert_null(result);
    g_assert_error(error, VIREO_ERROR, (int)code);
    g_error_free(error);
}

static void test_errors(void)
{
    GError *error = NULL;
    void *result;

    lamp_put();
    result = qmp_qom_list("/nobody", &error);
    assert_class(result, g_steal_pointer(&error), VIREO_ERROR_DEVICE_NOT_FOUND);
    result = qmp_qom_get("nobody", "x", &error);
    assert_class(result, g_steal_pointer(&error), VIREO_ERROR_DEVICE_NOT_FOUND);
    result = qmp_qom_get("lamp0", "colour", &error);
    assert_class(result, g_steal_pointer(&error), VIREO_ERROR_GENERIC);
    result = qmp_qom_list_properties("nobody", &error);
    assert_class(result, g_steal_pointer(&error), VIREO_ERROR_DEVICE_NOT_FOUND);
    result = qmp_device_list_properties("nobody", &error);
    assert_class(result, g_steal_pointer(&error), VIREO_ERROR_DEVICE_NOT_FOUND);
    result = qmp_device_list_properties("device", &error);
    assert_class(result, g_steal_pointer(&error), VIREO_ERROR_GENERIC);
    result = qmp_device_list_properties("container", &error);
    assert_class(result, g_steal_pointer(&error), VIREO_ERROR_GENERIC);
    g_assert_false(qmp_object_del("nobody", &error));
    assert_class(NULL, g_steal_pointer(&error), VIREO_ERROR_GENERIC);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qom-qmp/list", test_list);
    g_test_add_func("/qom-qmp/list-types", test_list_types);
    g_test_add_func("/qom-qmp/get-set", test_get_set);
    g_test_add_func("/qom-qmp/errors", test_errors);
    return g_test_run();
}
