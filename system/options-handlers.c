/* SPDX-License-Identifier: Apache-2.0 */
/* What each kind of option does with its argument. */
#include <stdio.h>
#include <string.h>

#include "accel/accel.h"
#include "chardev/chardev.h"
#include "hw/core/device.h"
#include "hw/i386/smbios.h"
#include "qapi/keyval.h"
#include "system/help.h"
#include "system/options-internal.h"
#include "util/datadir.h"
#include "util/error.h"
#include "util/log.h"
#include "util/parse.h"

#define FIELD_PTR(type, options, option) ((type *)((char *)(options) + (option)->field))

/* A part without '=' that is not first or help: "server" means server=on, "nowait" wait=off. */
static void append_part(GString *out, const char *part, size_t len, bool implied)
{
    g_autofree char *word = g_strndup(part, len);

    if (out->len) {
        g_string_append_c(out, ',');
    }
    g_string_append(out, word);
    if (implied || !len || strchr(word, '=') || g_str_equal(word, "help") ||
        g_str_equal(word, "?")) {
        return;
    }
    if (g_str_has_prefix(word, "no") && word[2]) {
        g_string_truncate(out, out->len - len);
        g_string_append_printf(out, "%s=off", word + 2);
    } else {
        g_string_append(out, "=on");
    }
}

json_object *options_parse_text(const char *text, const char *implied_key, bool *help,
                                GError **error)
{
    g_autoptr(GString) full = g_string_new(NULL);
    const char *start = text;
    bool first = true;

    if (keyval_is_json(text)) {
        return keyval_parse(text, implied_key, help, error);
    }
    for (const char *p = text;; p++) {
        if (p[0] == ',' && p[1] == ',') {
            p++;
            continue;
        }
        if (*p == ',' || *p == '\0') {
            append_part(full, start, p - start, first && implied_key);
            first = false;
            start = p + 1;
            if (!*p) {
                break;
            }
        }
    }
    return keyval_parse(full->str, implied_key, help, error);
}

const char *options_member(json_object *json, const char *key)
{
    json_object *value;

    return json_object_object_get_ex(json, key, &value) ? json_object_get_string(value) : NULL;
}

bool options_switch(json_object *json, const char *key, bool *value, GError **error)
{
    const char *text = options_member(json, key);

    if (text && !parse_bool(text, value, error)) {
        g_prefix_error(error, "%s: ", key);
        return false;
    }
    return true;
}

OptionResult opt_flag(VmOptions *options, const Option *option, const char *argument,
                      GError **error)
{
    *FIELD_PTR(bool, options, option) = true;
    return OPTION_OK;
}

OptionResult opt_string(VmOptions *options, const Option *option, const char *argument,
                        GError **error)
{
    char **field = FIELD_PTR(char *, options, option);

    g_free(*field);
    *field = g_strdup(argument);
    return OPTION_OK;
}

OptionResult opt_gdb_default(VmOptions *options, const Option *option, const char *argument,
                             GError **error)
{
    return opt_string(options, option, "tcp::1234", error);
}

OptionResult opt_string_list(VmOptions *options, const Option *option, const char *argument,
                             GError **error)
{
    g_ptr_array_add(*FIELD_PTR(GPtrArray *, options, option), g_strdup(argument));
    return OPTION_OK;
}

static void add_value(VmOptions *options, const Option *option, json_object *json, bool text)
{
    OptionValue *value = g_new0(OptionValue, 1);

    value->json = json;
    value->text = text;
    g_ptr_array_add(*FIELD_PTR(GPtrArray *, options, option), value);
}

/* Parameter names, for options whose argument asks for help and has no better. */
static void print_parameters(const Option *option)
{
    printf("-%s %s\n", option->name, option->argument);
}

OptionResult opt_values(VmOptions *options, const Option *option, const char *argument,
                        GError **error)
{
    bool help = false;
    json_object *json = options_parse_text(argument, option->key, &help, error);

    if (!json) {
        return OPTION_FAILED;
    }
    if (help) {
        json_object_put(json);
        print_parameters(option);
        return OPTION_HELP;
    }
    add_value(options, option, json, !keyval_is_json(argument));
    return OPTION_OK;
}

static bool parameter_known(const Option *option, const char *name, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();

    for (unsigned i = 0; option->parameters && option->parameters[i]; i++) {
        g_ptr_array_add(names, (void *)OPTION_PARAMETER_NAME(option->parameters[i]));
    }
    g_ptr_array_add(names, NULL);
    if (names->len == 1 || g_strv_contains((const char *const *)names->pdata, name)) {
        return true;
    }
    error_setf(error, "Invalid parameter '%s'", name);
    error_append_nearest(error, name, (const char *const *)names->pdata);
    return false;
}

/* Later occurrences of the option override single keys of earlier ones. */
OptionResult opt_merge(VmOptions *options, const Option *option, const char *argument,
                       GError **error)
{
    json_object *target = *FIELD_PTR(json_object *, options, option);
    bool help = false;
    json_object *json = options_parse_text(argument, option->key, &help, error);
    bool ok = json != NULL;

    if (help) {
        json_object_put(json);
        print_parameters(option);
        return OPTION_HELP;
    }
    if (json) {
        json_object_object_foreach(json, key, value) {
            ok = ok && parameter_known(option, key, error);
            json_object_object_add(target, key, json_object_get(value));
        }
        json_object_put(json);
    }
    return ok ? OPTION_OK : OPTION_FAILED;
}

OptionResult opt_machine_property(VmOptions *options, const Option *option, const char *argument,
                                  GError **error)
{
    json_object_object_add(options->machine, option->key, json_object_new_string(argument));
    return OPTION_OK;
}

OptionResult opt_global_flag_machine(VmOptions *options, const Option *option,
                                     const char *argument, GError **error)
{
    json_object_object_add(options->machine, option->key, json_object_new_string("off"));
    return OPTION_OK;
}

OptionResult opt_machine(VmOptions *options, const Option *option, const char *argument,
                         GError **error)
{
    bool help = false;
    json_object *json = options_parse_text(argument, option->key, &help, error);
    json_object *type = NULL, *accel;

    if (!json) {
        return OPTION_FAILED;
    }
    json_object_object_get_ex(json, "type", &type);
    if (help || (type && g_str_equal(json_object_get_string(type), "help"))) {
        OptionResult result = help_machine(help ? json_object_get_string(type) : NULL, error);

        json_object_put(json);
        return result;
    }
    if (json_object_object_get_ex(json, "accel", &accel)) {
        g_ptr_array_add(options->accels, g_strdup(json_object_get_string(accel)));
        json_object_object_del(json, "accel");
    }
    json_object_object_foreach(json, key, value) {
        json_object_object_add(options->machine, key, json_object_get(value));
    }
    json_object_put(json);
    return OPTION_OK;
}

OptionResult opt_accel(VmOptions *options, const Option *option, const char *argument,
                       GError **error)
{
    if (g_str_equal(argument, "help") || g_str_equal(argument, "?")) {
        return help_print(accel_help(), error);
    }
    if (g_str_has_suffix(argument, ",help")) {
        g_autofree char *name = g_strndup(argument, strlen(argument) - strlen(",help"));

        return help_print(accel_properties_help(name, error), error);
    }
    g_ptr_array_add(options->accels, g_strdup(argument));
    return OPTION_OK;
}

OptionResult opt_enable_kvm(VmOptions *options, const Option *option, const char *argument,
                            GError **error)
{
    g_ptr_array_add(options->accels, g_strdup("kvm"));
    return OPTION_OK;
}

OptionResult opt_cpu(VmOptions *options, const Option *option, const char *argument,
                     GError **error)
{
    if (g_str_equal(argument, "help") || g_str_equal(argument, "?")) {
        return help_print(x86_cpu_help(), error);
    }
    return opt_string(options, option, argument, error);
}

OptionResult opt_device(VmOptions *options, const Option *option, const char *argument,
                        GError **error)
{
    bool help = false;
    json_object *json = options_parse_text(argument, option->key, &help, error);
    json_object *driver = NULL;
    const char *name;

    if (!json) {
        return OPTION_FAILED;
    }
    json_object_object_get_ex(json, "driver", &driver);
    name = driver ? json_object_get_string(driver) : NULL;
    if (help || (name && (g_str_equal(name, "help") || g_str_equal(name, "?")))) {
        OptionResult result = help_print(help && name ? device_type_help(name, error)
                                                      : device_types_help(), error);

        json_object_put(json);
        return result;
    }
    add_value(options, option, json, !keyval_is_json(argument));
    return OPTION_OK;
}

OptionResult opt_object(VmOptions *options, const Option *option, const char *argument,
                        GError **error)
{
    bool help = false;
    json_object *json = keyval_parse(argument, option->key, &help, error);
    json_object *type = NULL;
    const char *name;

    if (!json) {
        return OPTION_FAILED;
    }
    json_object_object_get_ex(json, "qom-type", &type);
    name = type ? json_object_get_string(type) : NULL;
    if (help || (name && (g_str_equal(name, "help") || g_str_equal(name, "?")))) {
        OptionResult result = help_object(help ? name : NULL, error);

        json_object_put(json);
        return result;
    }
    add_value(options, option, json, !keyval_is_json(argument));
    return OPTION_OK;
}

OptionResult opt_chardev(VmOptions *options, const Option *option, const char *argument,
                         GError **error)
{
    bool help;
    json_object *json = chardev_parse_options(argument, &help, error), *backend = NULL;
    OptionResult result;

    if (!json) {
        g_prefix_error(error, "-chardev %s: ", argument);
        return OPTION_FAILED;
    }
    if (!help) {
        add_value(options, option, json, !keyval_is_json(argument));
        return OPTION_OK;
    }
    json_object_object_get_ex(json, "backend", &backend);
    result = help_print(backend ? chardev_backend_help(json_object_get_string(backend), error)
                                : chardev_backends_help(), error);
    json_object_put(json);
    return result;
}

OptionResult opt_global(VmOptions *options, const Option *option, const char *argument,
                        GError **error)
{
    const char *dot = strchr(argument, '.');
    const char *equals = strchr(argument, '=');
    json_object *json;

    if (!dot || !equals || dot > equals || g_str_has_prefix(argument, "driver=")) {
        return opt_values(options, option, argument, error);
    }
    json = json_object_new_object();
    json_object_object_add(json, "driver", json_object_new_string_len(argument, dot - argument));
    json_object_object_add(json, "property",
                           json_object_new_string_len(dot + 1, equals - dot - 1));
    json_object_object_add(json, "value", json_object_new_string(equals + 1));
    add_value(options, option, json, true);
    return OPTION_OK;
}

OptionResult opt_smbios(VmOptions *options, const Option *option, const char *argument,
                        GError **error)
{
    bool help = false;
    json_object *json;

    if (g_str_equal(argument, "help")) {
        return help_print(smbios_options_help(), error);
    }
    json = options_parse_text(argument, NULL, &help, error);
    if (!json) {
        return OPTION_FAILED;
    }
    if (!smbios_check_option(json, error)) {
        json_object_put(json);
        return OPTION_FAILED;
    }
    add_value(options, option, json, true);
    return OPTION_OK;
}

OptionResult opt_acpitable(VmOptions *options, const Option *option, const char *argument,
                           GError **error)
{
    if (g_str_equal(argument, "help")) {
        print_parameters(option);
        return OPTION_HELP;
    }
    return opt_string_list(options, option, argument, error);
}

OptionResult opt_log_items(VmOptions *options, const Option *option, const char *argument,
                           GError **error)
{
    if (g_str_equal(argument, "help") || g_str_equal(argument, "?")) {
        return help_print(log_items_help(), error);
    }
    return opt_string(options, option, argument, error);
}

OptionResult opt_trace(VmOptions *options, const Option *option, const char *argument,
                       GError **error)
{
    if (g_str_equal(argument, "help") || g_str_equal(argument, "?")) {
        return help_trace(error);
    }
    return opt_string_list(options, option, argument, error);
}

OptionResult opt_echr(VmOptions *options, const Option *option, const char *argument,
                      GError **error)
{
    uint64_t character;

    if (!parse_uint64(argument, &character, NULL) || character < 1 || character > 255) {
        error_setf(error, "'%s' is not a character's number, 1 to 255", argument);
        return OPTION_FAILED;
    }
    chardev_mux_set_escape(character);
    return OPTION_OK;
}

OptionResult opt_data_dir(VmOptions *options, const Option *option, const char *argument,
                          GError **error)
{
    if (g_str_equal(argument, "help") || g_str_equal(argument, "?")) {
        return help_print(datadir_list(), error);
    }
    datadir_add(argument);
    return OPTION_OK;
}

OptionResult opt_ignored_display(VmOptions *options, const Option *option, const char *argument,
                                 GError **error)
{
    static const char *const kinds[] = { "none", NULL };

    if (g_str_equal(argument, "help")) {
        puts("none");
        return OPTION_HELP;
    }
    if (!g_str_equal(argument, "none")) {
        error_setf(error, "Display '%s' is not available; this build has: none", argument);
        error_append_nearest(error, argument, kinds);
        return OPTION_FAILED;
    }
    return opt_string(options, option, argument, error);
}

OptionResult opt_read_config(VmOptions *options, const Option *option, const char *argument,
                             GError **error)
{
    return options_read_config(options, argument, error) ? OPTION_OK : OPTION_FAILED;
}

OptionResult opt_help(VmOptions *options, const Option *option, const char *argument,
                      GError **error)
{
    help_options();
    return OPTION_HELP;
}

OptionResult opt_version(VmOptions *options, const Option *option, const char *argument,
                         GError **error)
{
    help_version();
    return OPTION_HELP;
}
