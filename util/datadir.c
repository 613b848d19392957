/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search path for data files. The list of -L directories is process-wide and set at start-up.
 */
#include "util/datadir.h"

#include <unistd.h>

#include "util/error.h"
#include "util/vireo-config.h"

/* Packages that carry firmware, in the order in which they should win. */
static const char *const system_dirs[] = {
    VIREO_BUILD_ROMS,
    VIREO_DATADIR,
    "/usr/share/seabios",
    "/usr/lib/ipxe/qemu",
    "/usr/share/qemu",
    "/usr/share/OVMF",
    NULL,
};

static GPtrArray *user_dirs(void)
{
    static GPtrArray *dirs;

    if (!dirs) {
        dirs = g_ptr_array_new_with_free_func(g_free);
    }
    return dirs;
}

void datadir_add(const char *path)
{
    g_ptr_array_add(user_dirs(), g_strdup(path));
}

static char *try_dir(const char *dir, const char *name)
{
    char *path = g_build_filename(dir, name, NULL);

    if (access(path, R_OK) == 0) {
        return path;
    }
    g_free(path);
    return NULL;
}

char *datadir_find(const char *name, GError **error)
{
    g_autofree char *list = NULL;
    char *path = NULL;

    if (access(name, R_OK) == 0) {
        return g_strdup(name);
    }
    for (unsigned i = 0; !path && i < user_dirs()->len; i++) {
        path = try_dir(g_ptr_array_index(user_dirs(), i), name);
    }
    for (unsigned i = 0; !path && system_dirs[i]; i++) {
        path = try_dir(system_dirs[i], name);
    }
    if (!path) {
        list = g_strdelimit(g_strchomp(datadir_list()), "\n", ' ');
        error_setf(error, "Could not find '%s' (sought in: %s); -L adds a directory", name, list);
    }
    return path;
}

char *datadir_list(void)
{
    GString *out = g_string_new(NULL);

    for (unsigned i = 0; i < user_dirs()->len; i++) {
        g_string_append_printf(out, "%s\n", (const char *)g_ptr_array_index(user_dirs(), i));
    }
    for (unsigned i = 0; system_dirs[i]; i++) {
        g_string_append_printf(out, "%s\n", system_dirs[i]);
    }
    return g_string_free(out, FALSE);
}
