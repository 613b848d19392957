/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VIREO_VIRTIO_TESTS_FUZZ_VHOST_USER_H
#define VIREO_VIRTIO_TESTS_FUZZ_VHOST_USER_H

#include <stddef.h>
#include <stdint.h>

/* What a frontend does, as bytes: see the .c file. Always 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte of a step. Smaller ones: a message of that number. */
enum {
    FUZZ_SET_UP = 0xff,  /* honest memory, and queue 0 started */
    FUZZ_WRITE = 0xfe,   /* offset (2 bytes), length (1), and so many bytes into the memory */
    FUZZ_KICK = 0xfd,    /* let queue 0 work */
    FUZZ_FINISH = 0xfc,  /* the device finishes what it has */
    FUZZ_CUT = 0xfb,     /* cut the memory short */
};

#define FUZZ_MEMORY (64u << 10)

#endif
