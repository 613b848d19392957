/* SPDX-License-Identifier: Apache-2.0 */
/* query-command-line-options: the option table, as managers read it. */
#include "qapi/qapi-commands-misc.h"
#include "system/options-internal.h"
#include "util/error.h"

/* Groups of parameters that have another name than their option. */
static const struct {
    const char *option, *group;
} group_names[] = {
    { "smp", "smp-opts" }, { "boot", "boot-opts" }, { "m", "memory" }, { "acpitable", "acpi" },
};

static const char *group_name(const Option *option)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(group_names); i++) {
        if (g_str_equal(group_names[i].option, option->name)) {
            return group_names[i].group;
        }
    }
    return option->name;
}

static CommandLineParameterType parameter_type(const char *parameter)
{
    switch (parameter[0]) {
    case 'b':
        return COMMAND_LINE_PARAMETER_TYPE_BOOLEAN;
    case 'n':
        return COMMAND_LINE_PARAMETER_TYPE_NUMBER;
    case 'z':
        return COMMAND_LINE_PARAMETER_TYPE_SIZE;
    default:
        return COMMAND_LINE_PARAMETER_TYPE_STRING;
    }
}

static CommandLineOptionInfo *describe(const Option *option)
{
    CommandLineOptionInfo *info = g_new0(CommandLineOptionInfo, 1);

    info->option = g_strdup(group_name(option));
    info->parameters = CommandLineParameterInfo_list_new();
    for (unsigned i = 0; option->parameters[i]; i++) {
        CommandLineParameterInfo *parameter = g_new0(CommandLineParameterInfo, 1);

        parameter->name = g_strdup(OPTION_PARAMETER_NAME(option->parameters[i]));
        parameter->type = parameter_type(option->parameters[i]);
        g_ptr_array_add(info->parameters, parameter);
    }
    return info;
}

GPtrArray *qmp_query_command_line_options(const char *only, GError **error)
{
    g_autoptr(GPtrArray) list = CommandLineOptionInfo_list_new();

    for (const Option *option = option_table; option->name; option++) {
        if (option->parameters && (!only || g_str_equal(only, group_name(option)))) {
            g_ptr_array_add(list, describe(option));
        }
    }
    if (only && !list->len) {
        error_setf(error, "invalid option name: %s", only);
        return NULL;
    }
    return g_steal_pointer(&list);
}
