/* SPDX-License-Identifier: Apache-2.0 */
/* Every type that is linked in: are its tables of properties and of saved state in order? */
#include <string.h>

#include "hw/core/device.h"
#include "vmstate/vmstate.h"

static unsigned flaws;

static void complain(const char *format, ...) G_GNUC_PRINTF(1, 2);

static void complain(const char *format, ...)
{
    va_list args;
    g_autofree char *text = NULL;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_test_message("%s", text);
    flaws++;
}

static size_t instance_size(const TypeInfo *type)
{
    size_t size = 0;

    for (; type; type = type_parent(type)) {
        size = MAX(size, type->instance_size);
    }
    return size;
}

static void check_property(const TypeInfo *type, const Property *prop)
{
    bool stored = prop->offset != 0;

    if (!prop->kind) {
        complain("%s.%s has no kind", type->name, prop->name);
        return;
    }
    if (stored && prop->offset >= instance_size(type)) {
        complain("%s.%s lies outside of the struct", type->name, prop->name);
    }
    if (!stored && !prop->get && !prop->set) {
        complain("%s.%s has neither storage nor functions", type->name, prop->name);
    }
    if (prop->kind == &prop_kind_enum && !prop->arg) {
        complain("%s.%s is an enumeration without names", type->name, prop->name);
    }
    if (prop->kind == &prop_kind_link && !prop->arg) {
        complain("%s.%s is a link without a type", type->name, prop->name);
    }
    if (prop->max && prop->def.u > prop->max && strncmp(prop->kind->type_name, "uint", 4) == 0) {
        complain("%s.%s has a default above its maximum", type->name, prop->name);
    }
    for (const Property *other = type->properties; other < prop; other++) {
        if (strcmp(other->name, prop->name) == 0) {
            complain("%s.%s stands there twice", type->name, prop->name);
        }
    }
}

static void test_types(void)
{
    g_autoptr(GPtrArray) types = type_list(TYPE_OBJECT, true);

    for (guint i = 0; i < types->len; i++) {
        const TypeInfo *type = g_ptr_array_index(types, i);
        const TypeInfo *parent = type_parent(type);

        if (parent && type->instance_size && type->instance_size < instance_size(parent)) {
            complain("%s is smaller than its parent %s", type->name, parent->name);
        }
        if (type->user_creatable && !type->is_abstract && !type->description) {
            complain("%s can be created but has no description", type->name);
        }
        for (const Property *prop = type->properties; prop && prop->name; prop++) {
            check_property(type, prop);
        }
    }
    g_assert_cmpuint(types->len, >, 10);
    g_assert_cmpuint(flaws, ==, 0);
}

static void test_saved_state(void)
{
    g_autoptr(GPtrArray) types = type_list(TYPE_DEVICE, true);

    flaws = 0;
    for (guint i = 0; i < types->len; i++) {
        const TypeInfo *type = g_ptr_array_index(types, i);
        const DeviceHooks *hooks = type->hooks;
        g_autofree char *flaw = hooks && hooks->vmstate ? vmstate_check(hooks->vmstate) : NULL;

        if (flaw) {
            complain("%s: %s", type->name, flaw);
        }
    }
    g_assert_cmpuint(flaws, ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tables/types", test_types);
    g_test_add_func("/tables/saved-state", test_saved_state);
    return g_test_run();
}
