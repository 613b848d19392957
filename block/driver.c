/* SPDX-License-Identifier: Apache-2.0 */
/* The registry of drivers: those linked in, and those that modules bring. */
#include "block/driver.h"

#include <string.h>

#include "block/open.h"
#include "util/error.h"
#include "util/module.h"

/* Made by the linker; absent in a program without any driver. */
extern const BlockDriver *const __start_vireo_block_drivers[] __attribute__((weak));
extern const BlockDriver *const __stop_vireo_block_drivers[] __attribute__((weak));

/* Drivers that live in modules: by name, by protocol prefix, and where. */
static const struct {
    const char *name, *protocol, *module;
} in_modules[] = {
    { "http", "http", "block-curl" },   { "https", "https", "block-curl" },
    { "ftp", "ftp", "block-curl" },     { "ftps", "ftps", "block-curl" },
    { "ssh", "ssh", "block-ssh" },
};

static GPtrArray *registered; /* what modules brought; they are loaded once and stay */

void block_driver_register(const BlockDriver *driver)
{
    if (!registered) {
        registered = g_ptr_array_new();
    }
    g_ptr_array_add(registered, (void *)driver);
}

/* The drivers in no order, counted from 0; NULL: there are no more. */
static const BlockDriver *driver_at(size_t i)
{
    size_t linked = (size_t)(__stop_vireo_block_drivers - __start_vireo_block_drivers);

    if (i < linked) {
        return __start_vireo_block_drivers[i];
    }
    i -= linked;
    return registered && i < registered->len ? g_ptr_array_index(registered, i) : NULL;
}

static int by_name(const void *a, const void *b)
{
    const BlockDriver *const *x = a, *const *y = b;

    return strcmp((*x)->name, (*y)->name);
}

GPtrArray *block_driver_list(void)
{
    GPtrArray *list = g_ptr_array_new();
    const BlockDriver *driver;

    for (size_t i = 0; (driver = driver_at(i)); i++) {
        g_ptr_array_add(list, (void *)driver);
    }
    g_ptr_array_sort(list, by_name);
    return list;
}

static const BlockDriver *find(const char *name, const char *protocol)
{
    const BlockDriver *driver;

    for (size_t i = 0; (driver = driver_at(i)); i++) {
        if (name ? !strcmp(driver->name, name)
                 : driver->protocol && !strcmp(driver->protocol, protocol)) {
            return driver;
        }
    }
    return NULL;
}

/* The driver that claims something most; of two that claim it alike the first by name. */
typedef struct Claim {
    const BlockDriver *driver; /* NULL: nobody */
    int score;
} Claim;

static void claim(Claim *best, const BlockDriver *driver, int score)
{
    if (score > best->score ||
        (best->driver && score == best->score && strcmp(driver->name, best->driver->name) < 0)) {
        *best = (Claim){ driver, score };
    }
}

/* One of them is NULL. False with the error set if there is a module that cannot be loaded. */
static bool load_module_of(const char *name, const char *protocol, GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(in_modules); i++) {
        if (name ? !strcmp(in_modules[i].name, name)
                 : !g_strcmp0(in_modules[i].protocol, protocol)) {
            return module_load(in_modules[i].module, error);
        }
    }
    return true;
}

static void unknown_driver(const char *name, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autoptr(GPtrArray) list = block_driver_list();

    for (guint i = 0; i < list->len; i++) {
        g_ptr_array_add(names, (void *)((const BlockDriver *)g_ptr_array_index(list, i))->name);
    }
    g_ptr_array_add(names, NULL);
    error_setf(error, "Unknown driver '%s'", name);
    error_append_nearest(error, name, (const char *const *)names->pdata);
}

const BlockDriver *block_driver_find(const char *name, GError **error)
{
    const BlockDriver *driver = find(name, NULL);

    if (!driver) {
        if (!load_module_of(name, NULL, error)) {
            return NULL;
        }
        driver = find(name, NULL);
    }
    if (!driver) {
        unknown_driver(name, error);
    }
    return driver;
}

/* The driver that claims a plain path most: a block device, else "file". */
static const BlockDriver *find_by_path(const char *path, GError **error)
{
    const BlockDriver *driver;
    Claim best = { 0 };

    for (size_t i = 0; (driver = driver_at(i)); i++) {
        claim(&best, driver, driver->probe_name ? driver->probe_name(path) : 0);
    }
    return best.driver ? best.driver : block_driver_find("file", error);
}

const BlockDriver *block_driver_find_protocol(const char *filename, GError **error)
{
    g_autofree char *prefix = NULL;
    const BlockDriver *driver;

    if (!block_path_has_protocol(filename)) {
        return find_by_path(filename, error);
    }
    prefix = g_strndup(filename, strcspn(filename, ":+"));
    driver = find(NULL, prefix);
    if (!driver) {
        if (!load_module_of(NULL, prefix, error)) {
            return NULL;
        }
        driver = find(NULL, prefix);
    }
    if (!driver) {
        error_setf(error, "Unknown protocol '%s' (a file whose name has a colon is written as "
                   "\"./%s\")", prefix, filename);
    }
    return driver;
}

const BlockDriver *block_probe(const uint8_t *buf, size_t len, const char *filename)
{
    const BlockDriver *driver;
    Claim best = { 0 };

    for (size_t i = 0; (driver = driver_at(i)); i++) {
        claim(&best, driver, driver->probe ? driver->probe(buf, len, filename) : 0);
    }
    return best.driver;
}

void block_snapshot_free(BlockSnapshot *snapshot)
{
    if (snapshot) {
        g_free(snapshot->id);
        g_free(snapshot->name);
        g_free(snapshot);
    }
}
