/* SPDX-License-Identifier: Apache-2.0 */
/* What help prints: see help.h. */
#include "system/help.h"

#include <stdio.h>

#include "hw/core/machine.h"
#include "system/machine-setup.h"
#include "util/error.h"
#include "util/trace.h"
#include "util/vireo-config.h"

void help_version(void)
{
    printf("Vireo virtual machine monitor version " VIREO_VERSION
           " (compatible with QEMU emulator version 7.2.0)\n");
}

void help_options(void)
{
    help_version();
    printf("usage: vireo [options]\n\n");
    for (const Option *option = option_table; option->name; option++) {
        g_auto(GStrv) lines = g_strsplit(option->argument ? option->argument : "", "\n", -1);

        for (unsigned i = 0; lines[i] || i == 0; i++) {
            printf("-%s%s%s\n", option->name, lines[i] && *lines[i] ? " " : "",
                   lines[i] ? lines[i] : "");
            if (!lines[i]) {
                break;
            }
        }
        printf("                %s\n", option->help);
    }
}

OptionResult help_print(char *text, GError **error)
{
    if (!text) {
        return OPTION_FAILED;
    }
    fputs(text, stdout);
    g_free(text);
    return OPTION_HELP;
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
    const TypeInfo *const *left = a, *const *right = b;

    return strcmp((*left)->name, (*right)->name);
}

static void print_machines(void)
{
    g_autoptr(GPtrArray) types = type_list(TYPE_MACHINE, false);

    g_ptr_array_sort(types, compare_names);
    printf("Supported machines are:\n");
    for (unsigned i = 0; i < types->len; i++) {
        const TypeInfo *type = g_ptr_array_index(types, i);
        const MachineOps *ops = type_ops(type);
        g_autofree char *name = g_strndup(type->name, strlen(type->name) - strlen("-machine"));

        if (ops->alias) {
            printf("%-20s %s (alias of %s)\n", ops->alias, type->description, name);
        }
        printf("%-20s %s%s\n", name, type->description, ops->is_default ? " (default)" : "");
    }
}

static bool print_property(const TypeInfo *owner, const Property *prop, void *opaque)
{
    g_autofree char *def = NULL;
    g_autofree char *left = NULL;

    if (prop->flags & (PROP_HIDDEN | PROP_READ_ONLY)) {
        return true;
    }
    def = property_default_text(prop);
    left = g_strdup_printf("  %s=<%s>", prop->name, prop->kind->type_name);
    printf("%-24s - %s%s%s%s\n", left, prop->description ? prop->description : "",
           def ? " (default: " : "", def ? def : "", def ? ")" : "");
    return true;
}

static OptionResult print_properties(const TypeInfo *type, const char *name)
{
    printf("%s options:\n", name);
    type_foreach_property(type, print_property, NULL);
    return OPTION_HELP;
}

OptionResult help_machine(const char *name, GError **error)
{
    const TypeInfo *type;

    if (!name) {
        print_machines();
        return OPTION_HELP;
    }
    type = machine_type_find(name, error);
    return type ? print_properties(type, name) : OPTION_FAILED;
}

OptionResult help_object(const char *name, GError **error)
{
    const TypeInfo *type;

    if (!name) {
        g_autoptr(GPtrArray) types = type_list(TYPE_USER_OBJECT, false);

        g_ptr_array_sort(types, compare_names);
        printf("List of user creatable objects:\n");
        for (unsigned i = 0; i < types->len; i++) {
            printf("  %s\n", ((const TypeInfo *)g_ptr_array_index(types, i))->name);
        }
        return OPTION_HELP;
    }
    type = type_find(name);
    if (!type || !type_is_a(type, TYPE_USER_OBJECT)) {
        error_setf(error, "'%s' is not a type of object that can be created", name);
        return OPTION_FAILED;
    }
    return print_properties(type, name);
}

OptionResult help_trace(GError **error)
{
    return help_print(trace_help(), error);
}
