/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer's entry point, which test-fuzz.c calls too. */
#ifndef VIREO_MONITOR_TESTS_FUZZ_QMP_H
#define VIREO_MONITOR_TESTS_FUZZ_QMP_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
