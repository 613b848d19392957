/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What managers ask about CPU models: query-cpu-definitions, query-cpu-model-expansion, -cpu help.
 */
#include "cpu/x86/cpu-internal.h"

#include <string.h>

#include "util/error.h"

#define HELP_WIDTH 78

static void add_string(json_object *object, const char *key, const char *value)
{
    json_object_object_add(object, key, json_object_new_string(value));
}

static void add_bool(json_object *object, const char *key, bool value)
{
    json_object_object_add(object, key, json_object_new_boolean(value));
}

static void add_int(json_object *object, const char *key, int64_t value)
{
    json_object_object_add(object, key, json_object_new_int64(value));
}

/* Names of what this host lacks for the model. */
static json_object *unavailable(const X86CpuModel *model, const X86AccelCaps *caps)
{
    json_object *list = json_object_new_array();
    g_autoptr(X86CpuConfig) config = x86_cpu_config_for_model(model->name, caps, NULL);

    if (!config || x86_config_is_host(config) || !x86_cpu_expand(config, caps, NULL)) {
        return list;
    }
    x86_cpu_filter(config, caps);
    for (unsigned word = 0; word < X86_FEATURE_WORD__MAX; word++) {
        for (uint64_t left = config->missing[word]; left; left &= left - 1) {
            const char *name =
                x86_feature_name((X86FeatureWord)word, (unsigned)__builtin_ctzll(left));

            if (name) {
                json_object_array_add(list, json_object_new_string(name));
            }
        }
    }
    return list;
}

static void add_definition(json_object *list, const char *name, const char *alias_of,
                           const X86CpuModel *model, json_object *lacking)
{
    json_object *entry = json_object_new_object();
    g_autofree char *type = g_strdup_printf("%s-x86_64-cpu", name);

    add_string(entry, "name", name);
    add_string(entry, "typename", type);
    json_object_object_add(entry, "unavailable-features", json_object_get(lacking));
    add_bool(entry, "static", model->kind == X86_MODEL_BASE);
    add_bool(entry, "migration-safe",
             model->kind == X86_MODEL_BASE || model->kind == X86_MODEL_NAMED);
    add_bool(entry, "deprecated", false);
    if (alias_of) {
        add_string(entry, "alias-of", alias_of);
    }
    json_object_array_add(list, entry);
}

/* "EPYC" of "EPYC-v1": the caller's; NULL for other versions. */
static char *plain_name(const X86CpuModel *model)
{
    size_t stem = x86_model_stem(model->name);

    return stem && g_str_equal(model->name + stem, "-v1") ? g_strndup(model->name, stem) : NULL;
}

json_object *x86_cpu_definitions(const X86AccelCaps *caps)
{
    json_object *list = json_object_new_array();

    for (unsigned i = 0; i < x86_model_count(); i++) {
        const X86CpuModel *model = x86_model_get(i);
        g_autofree char *plain = plain_name(model);
        json_object *lacking = unavailable(model, caps);

        if (plain) {
            add_definition(list, plain, model->name, model, lacking);
        }
        if (model->alias) {
            add_definition(list, model->alias, model->name, model, lacking);
        }
        add_definition(list, model->name, NULL, model, lacking);
        json_object_put(lacking);
    }
    return list;
}

static bool named_feature_on(const X86CpuConfig *config, const char *name)
{
    const X86FeatureInfo *feature = x86_feature_find(name);

    return feature && x86_config_has(config, feature->id);
}

/* Those that static expansion shows: all that a machine-independent copy of the model needs. */
static json_object *static_props(const X86CpuConfig *config)
{
    json_object *props = json_object_new_object();
    size_t count;
    const X86FeatureInfo *features = x86_features(&count);

    for (size_t i = 0; i < count; i++) {
        add_bool(props, features[i].name, x86_config_has(config, features[i].id));
    }
    add_bool(props, "lmce", config->props[P_LMCE]);
    add_int(props, "family", config->props[P_FAMILY]);
    add_int(props, "model", config->props[P_MODEL]);
    add_int(props, "stepping", config->props[P_STEPPING]);
    add_string(props, "vendor", config->vendor);
    add_string(props, "model-id", config->model_id);
    add_int(props, "min-level", config->level);
    add_int(props, "min-xlevel", config->xlevel);
    return props;
}

static void add_prop(json_object *props, const X86CpuConfig *config, X86CpuProp prop)
{
    static const char *const words[] = { "off", "on", "auto" };
    const X86PropInfo *info = x86_prop_info(prop);

    switch (info->kind) {
    case X86_PROP_BOOL:
        add_bool(props, info->name, config->props[prop]);
        break;
    case X86_PROP_NUMBER:
    case X86_PROP_FREQUENCY:
        add_int(props, info->name, config->props[prop]);
        break;
    case X86_PROP_ON_OFF_AUTO:
        add_string(props, info->name, words[config->props[prop]]);
        break;
    case X86_PROP_TEXT:
        break;
    }
}

static json_object *full_props(const X86CpuConfig *config)
{
    json_object *props = static_props(config);
    size_t count;
    const X86FeatureAlias *aliases = x86_feature_aliases(&count);

    for (size_t i = 0; i < count; i++) {
        add_bool(props, aliases[i].alias, named_feature_on(config, aliases[i].name));
    }
    for (int i = 0; i < P__MAX; i++) {
        bool shown = i != P_FAMILY && i != P_MODEL && i != P_STEPPING && i != P_MIN_LEVEL &&
                     i != P_MIN_XLEVEL && i != P_LMCE && i != P_LBR_FMT;

        if (shown && (!x86_prop_info((X86CpuProp)i)->host_only || x86_config_is_host(config))) {
            add_prop(props, config, (X86CpuProp)i);
        }
    }
    add_int(props, "level", config->level);
    add_int(props, "xlevel", config->xlevel);
    add_int(props, "xlevel2", 0);
    add_int(props, "level-func7", config->level_func7);
    add_bool(props, "hv-apicv", config->props[P_HV_FEATURES_FIRST + X86_HV_AVIC]);
    add_string(props, "hv-vendor-id", config->prop_set[P_HV_VENDOR_ID] ? config->hv_vendor : "");
    return props;
}

static bool apply_json(X86CpuConfig *config, json_object *props, GError **error)
{
    if (!props) {
        return true;
    }
    if (!json_object_is_type(props, json_type_object)) {
        error_setf(error, "props must be an object");
        return false;
    }
    json_object_object_foreach(props, key, value) {
        if (!x86_cpu_set_json(config, key, value, error)) {
            return false;
        }
    }
    return true;
}

json_object *x86_cpu_model_expansion(const char *type, json_object *model,
                                     const X86AccelCaps *caps, GError **error)
{
    bool is_static = g_str_equal(type, "static");
    json_object *name = NULL, *props = NULL, *result, *inner;
    g_autoptr(X86CpuConfig) config = NULL;

    if (!is_static && !g_str_equal(type, "full")) {
        error_setf(error, "a CPU model is expanded to 'static' or 'full', not '%s'", type);
        return NULL;
    }
    if (!json_object_object_get_ex(model, "name", &name) ||
        !json_object_is_type(name, json_type_string)) {
        error_setf(error, "the CPU model has no name");
        return NULL;
    }
    json_object_object_get_ex(model, "props", &props);
    config = x86_cpu_config_for_model(json_object_get_string(name), caps, error);
    if (!config || !apply_json(config, props, error) || !x86_cpu_expand(config, caps, error)) {
        return NULL;
    }
    inner = json_object_new_object();
    add_string(inner, "name", is_static ? "base" : json_object_get_string(name));
    json_object_object_add(inner, "props", is_static ? static_props(config) : full_props(config));
    result = json_object_new_object();
    json_object_object_add(result, "model", inner);
    return result;
}

static int compare_features(const void *a, const void *b)
{
    return strcmp((*(const X86FeatureInfo *const *)a)->name,
                  (*(const X86FeatureInfo *const *)b)->name);
}

static void help_features(GString *text)
{
    size_t count, column = 0;
    const X86FeatureInfo *features = x86_features(&count);
    g_autofree const X86FeatureInfo **sorted = g_new(const X86FeatureInfo *, count);

    for (size_t i = 0; i < count; i++) {
        sorted[i] = &features[i];
    }
    qsort(sorted, count, sizeof(sorted[0]), compare_features);
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(sorted[i]->name) + 1;

        if (i && g_str_equal(sorted[i]->name, sorted[i - 1]->name)) {
            continue;
        }
        if (column == 0 || column + length > HELP_WIDTH) {
            g_string_append(text, column ? "\n " : " ");
            column = 1;
        }
        g_string_append_printf(text, " %s", sorted[i]->name);
        column += length;
    }
    g_string_append_c(text, '\n');
}

static const char *describe(const X86CpuModel *model)
{
    switch (model->kind) {
    case X86_MODEL_BASE:
        return "no features at all: a start for building one's own";
    case X86_MODEL_HOST:
        return "the host's processor, as far as KVM can pass it on";
    case X86_MODEL_MAX:
        return "everything that the accelerator can offer";
    case X86_MODEL_NAMED:
        break;
    }
    return model->model_id ? model->model_id : "";
}

char *x86_cpu_help(void)
{
    GString *text = g_string_new("CPU models (NAME alone means NAME-v1):\n");

    for (unsigned i = 0; i < x86_model_count(); i++) {
        const X86CpuModel *model = x86_model_get(i);
        g_autofree char *plain = plain_name(model);

        if (plain) {
            g_string_append_printf(text, "x86 %-26s is %s\n", plain, model->name);
        }
        if (model->alias) {
            g_string_append_printf(text, "x86 %-26s is %s\n", model->alias, model->name);
        }
        g_string_append_printf(text, "x86 %-26s %s\n", model->name, describe(model));
    }
    g_string_append(text, "\nFeatures (+NAME, -NAME, NAME=on|off):\n");
    help_features(text);
    g_string_append(text, "\nProperties (NAME=VALUE):\n");
    for (int i = 0; i < P__MAX; i++) {
        static const char *const kinds[] = { "on|off", "number", "Hz (K, M, G)", "on|off|auto",
                                             "text" };
        const X86PropInfo *info = x86_prop_info((X86CpuProp)i);

        if (!info->per_cpu) {
            g_string_append_printf(text, "  %-26s %s\n", info->name, kinds[info->kind]);
        }
    }
    return g_string_free(text, FALSE);
}
