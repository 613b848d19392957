/* SPDX-License-Identifier: Apache-2.0 */
/* The null backend: what is written vanishes, and nothing ever comes. */
#include "chardev/backend.h"

static int null_write(Chardev *chr, const uint8_t *buf, int len)
{
    return len;
}

static const ChardevOps null_ops = {
    .backend = "null",
    .write = null_write,
};

static const TypeInfo null_type = {
    .name = "chardev-null",
    .parent = TYPE_CHARDEV,
    .description = "nothing: output vanishes",
    .instance_size = sizeof(Chardev),
    .ops = &null_ops,
};
QOM_TYPE(null_type);
