/* SPDX-License-Identifier: Apache-2.0 */
/* A LUKS volume in memory, and secrets for it. */
#ifndef VIREO_CRYPTO_TESTS_LUKS_MEMORY_H
#define VIREO_CRYPTO_TESTS_LUKS_MEMORY_H

#include <string.h>

#include "crypto/block.h"
#include "qom/object.h"
#include "util/bits.h"
#include "util/error.h"

typedef struct Volume {
    uint8_t *bytes;
    uint64_t len;
    uint64_t init_len; /* what creation asked for */
    unsigned writes_left; /* then they fail; ~0u: never */
} Volume;

static inline bool volume_read(void *opaque, uint64_t offset, void *buf, size_t len,
                               GError **error)
{
    const Volume *volume = opaque;

    if (!range_ok(offset, len, volume->len)) {
        error_setf(error, "read past the end");
        return false;
    }
    memcpy(buf, volume->bytes + offset, len);
    return true;
}

static inline bool volume_write(void *opaque, uint64_t offset, const void *buf, size_t len,
                                GError **error)
{
    Volume *volume = opaque;

    g_assert_true(range_ok(offset, len, volume->len));
    if (volume->writes_left == 0) {
        error_setf(error, "no more writes");
        return false;
    }
    volume->writes_left -= volume->writes_left != ~0u;
    memcpy(volume->bytes + offset, buf, len);
    return true;
}

static inline bool volume_init(void *opaque, uint64_t len, GError **error)
{
    Volume *volume = opaque;

    volume->init_len = volume->len = len;
    volume->bytes = g_realloc(volume->bytes, len);
    memset(volume->bytes, 0, len);
    return true;
}

static inline CryptoBlockIo volume_io(Volume *volume)
{
    return (CryptoBlockIo) {
        .read = volume_read,
        .write = volume_write,
        .init = volume_init,
        .opaque = volume,
    };
}

static inline void add_secret(const char *id, const char *data)
{
    json_object *options = json_object_new_object();
    g_autoptr(GError) error = NULL;

    json_object_object_add(options, "qom-type", json_object_new_string("secret"));
    json_object_object_add(options, "id", json_object_new_string(id));
    json_object_object_add(options, "data", json_object_new_string(data));
    user_object_create(options, false, &error);
    g_assert_no_error(error);
    json_object_put(options);
}

#endif
