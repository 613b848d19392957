/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding a CPU model by name, and the features of a row.
 */
#include "cpu/x86/cpu-table.h"

#include <string.h>

/* Those that are not a product. */
static const X86CpuModel special_models[] = {
    { .name = "base", .kind = X86_MODEL_BASE, .model_id = "", .vendor = "" },
    { .name = "host", .kind = X86_MODEL_HOST, .vendor = "" },
    { .name = "max", .kind = X86_MODEL_MAX, .vendor = "" },
};

unsigned x86_model_count(void)
{
    return G_N_ELEMENTS(special_models) + x86_models_intel_count + x86_models_amd_count;
}

const X86CpuModel *x86_model_get(unsigned index)
{
    if (index < x86_models_intel_count) {
        return &x86_models_intel[index];
    }
    index -= x86_models_intel_count;
    if (index < x86_models_amd_count) {
        return &x86_models_amd[index];
    }
    return &special_models[index - x86_models_amd_count];
}

size_t x86_model_stem(const char *name)
{
    const char *dash = strrchr(name, '-');

    return dash && dash[1] == 'v' && g_ascii_isdigit(dash[2]) ? (size_t)(dash - name) : 0;
}

static bool is_first_version_of(const char *row, const char *name)
{
    size_t stem = x86_model_stem(row);

    return stem && strlen(name) == stem && !strncmp(row, name, stem) &&
           !strcmp(row + stem, "-v1");
}

const X86CpuModel *x86_model_find(const char *name)
{
    for (unsigned i = 0; i < x86_model_count(); i++) {
        const X86CpuModel *model = x86_model_get(i);

        if (!strcmp(model->name, name) || !g_strcmp0(model->alias, name) ||
            is_first_version_of(model->name, name)) {
            return model;
        }
    }
    return NULL;
}

const char **x86_model_names(void)
{
    unsigned count = 0;
    const char **names = g_new0(const char *, 3 * x86_model_count() + 1);

    for (unsigned i = 0; i < x86_model_count(); i++) {
        const X86CpuModel *model = x86_model_get(i);
        size_t stem = x86_model_stem(model->name);

        if (stem && !strcmp(model->name + stem, "-v1")) {
            /* Interned: a bounded set of constant strings. */
            g_autofree char *plain = g_strndup(model->name, stem);

            names[count++] = g_intern_string(plain);
        }
        names[count++] = model->name;
        if (model->alias) {
            names[count++] = model->alias;
        }
    }
    return names;
}

static void change(uint64_t *words, const uint16_t *ids, bool set)
{
    for (; ids && *ids != F_END; ids++) {
        uint64_t mask = x86_feature_mask((X86FeatureId)*ids);

        if (set) {
            words[x86_feature_word((X86FeatureId)*ids)] |= mask;
        } else {
            words[x86_feature_word((X86FeatureId)*ids)] &= ~mask;
        }
    }
}

void x86_model_words(const X86CpuModel *model, uint64_t words[X86_FEATURE_WORD__MAX])
{
    if (model->parent) {
        x86_model_words(x86_model_find(model->parent), words);
    } else {
        memset(words, 0, X86_FEATURE_WORD__MAX * sizeof(words[0]));
    }
    change(words, model->adds, true);
    change(words, model->removes, false);
}
