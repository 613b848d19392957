/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Modules: parts that need a heavy library (curl, ssh, GnuTLS, SDL) are shared objects, loaded when
 * something of them is asked for first. A module's constructor registers what it has; it stays.
 *
 * "block-curl" is <libdir>/vireo/block-curl.so, or, in a build tree, block/block-curl.so.
 */
#ifndef VIREO_UTIL_MODULE_H
#define VIREO_UTIL_MODULE_H

#include <glib.h>
#include <stdbool.h>

/* True if it is there (again). False: not installed, or it does not load. Main thread. */
bool module_load(const char *name, GError **error);
/*
 * What the module exports by this name, for modules that have nothing to register. NULL: not
 * installed, does not load, or has no such thing. Any thread.
 */
const void *module_symbol(const char *name, const char *symbol, GError **error);

#endif
