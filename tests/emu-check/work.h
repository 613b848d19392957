/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads of many kinds, each with one number as its result: the same in the guest as in a program on
 * the host. No library is needed.
 */
#ifndef VIREO_TESTS_EMU_CHECK_WORK_H
#define VIREO_TESTS_EMU_CHECK_WORK_H

#include <stdint.h>

#define WORK_MEMORY (8u << 20)

typedef struct Work {
    const char *name;
    /* memory: WORK_MEMORY bytes, of any content, at a page's start. */
    uint64_t (*run)(uint8_t *memory);
} Work;

/* Ends with a NULL name. */
extern const Work works[];

#endif
