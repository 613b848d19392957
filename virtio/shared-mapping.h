/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that another process shares by a descriptor. It may cut the file short at any time; who
 * then touches the memory would be killed by SIGBUS. A mapping here turns into memory of our own
 * instead, and says that it is broken.
 */
#ifndef VIREO_VIRTIO_SHARED_MAPPING_H
#define VIREO_VIRTIO_SHARED_MAPPING_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* So many mappings may exist in a process. */
#define SHARED_MAPPING_MAX 1024

typedef struct SharedMapping {
    uint8_t *data;   /* len bytes from the file's offset on; NULL: not mapped */
    size_t len;
    uint8_t *base;   /* the mapping itself begins at a page */
    size_t mapped;
    int guard;
} SharedMapping;

/* fd is borrowed: a file of memory (memfd, tmpfs, hugetlbfs, ...) that has these bytes. */
bool shared_mapping_init(SharedMapping *mapping, int fd, uint64_t offset, uint64_t len,
                         GError **error);
/* The same of a file that is open for reading perhaps, and not to be written to. */
bool shared_mapping_init_for_reading(SharedMapping *mapping, int fd, uint64_t offset, uint64_t len,
                                     GError **error);
/* Also of one that is not mapped. */
void shared_mapping_cleanup(SharedMapping *mapping);
/* Has the file lost what was mapped? */
bool shared_mapping_is_broken(const SharedMapping *mapping);

#endif
