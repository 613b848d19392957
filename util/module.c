/* SPDX-License-Identifier: Apache-2.0 */
#include "util/module.h"

#include <dlfcn.h>
#include <string.h>
#include <unistd.h>

#include "util/error.h"
#include "util/vireo-config.h"

/* In the tree that this program was built in, unless that is gone; else where it was installed. */
static char *module_path(const char *name)
{
    g_autofree char *layer = g_strndup(name, strcspn(name, "-"));
    g_autofree char *built = g_strdup_printf("%s/%s/%s.so", VIREO_BUILD_ROOT, layer, name);

    return access(built, R_OK) == 0 ? g_steal_pointer(&built)
                                    : g_strdup_printf("%s/%s.so", VIREO_MODULEDIR, name);
}

static void *load(const char *name, GError **error)
{
    g_autofree char *path = module_path(name);
    /* A module that is loaded already is only counted again. */
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    if (!module) {
        error_setf(error, "Cannot load the module '%s': %s", name, dlerror());
    }
    return module;
}

bool module_load(const char *name, GError **error)
{
    return load(name, error) != NULL;
}

const void *module_symbol(const char *name, const char *symbol, GError **error)
{
    void *module = load(name, error);
    const void *found = module ? dlsym(module, symbol) : NULL;

    if (module && !found) {
        error_setf(error, "The module '%s' has no '%s'", name, symbol);
    }
    return found;
}
