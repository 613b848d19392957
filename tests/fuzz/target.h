/* SPDX-License-Identifier: Apache-2.0 */
/* A fuzz target: what libFuzzer calls, or replay.c where there is no libFuzzer. */
#ifndef VIREO_TESTS_FUZZ_TARGET_H
#define VIREO_TESTS_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* For images (mutate.c): change bytes inside of records, mostly, and numbers as a whole. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
/* libFuzzer's own. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

#endif
