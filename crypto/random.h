/* SPDX-License-Identifier: Apache-2.0 */
/* Unpredictable bytes from the kernel, good for keys. Any thread. */
#ifndef VIREO_CRYPTO_RANDOM_H
#define VIREO_CRYPTO_RANDOM_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

bool crypto_random_bytes(void *buf, size_t len, GError **error);

#endif
