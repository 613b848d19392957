/* SPDX-License-Identifier: Apache-2.0 */
/* Of a fuzzed image (disk.h): what would stop every mutation at the first look is made right. */
#ifndef VIREO_TESTS_FUZZ_MEND_H
#define VIREO_TESTS_FUZZ_MEND_H

/*
 * Checksums of vpc and vhdx; other names are fine. And in any file, LUKS headers come to have few
 * rounds of key derivation, for which the fuzzer would only wait.
 */
void fuzz_mend(const char *format);

#endif
