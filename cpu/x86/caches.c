/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cache descriptions that CPU models refer to. Descriptor bytes: Intel SDM vol. 2, table 3-12.
 */
#include "cpu/x86/cpu-table.h"

#define NO_DESCRIPTOR 0xff

/* A generic processor of 2008 and later: the same on every host. */
const X86Caches x86_caches_plain = {
    .l1d = { .type = 1, .level = 1, .size_kib = 32, .ways = 8, .line = 64, .descriptor = 0x2c,
             .self_initializing = true, .wbinvd_not_shared = true },
    .l1i = { .type = 2, .level = 1, .size_kib = 32, .ways = 8, .line = 64, .descriptor = 0x30,
             .self_initializing = true, .wbinvd_not_shared = true },
    .l2 = { .type = 3, .level = 2, .size_kib = 4096, .ways = 16, .line = 64, .descriptor = 0x7d,
            .self_initializing = true, .wbinvd_not_shared = true },
    .l3 = { .type = 3, .level = 3, .size_kib = 16384, .ways = 16, .line = 64, .descriptor = 0x4d,
            .self_initializing = true, .inclusive = true, .complex_indexing = true },
    .amd_l1d = { .type = 1, .level = 1, .size_kib = 64, .ways = 2, .line = 64 },
    .amd_l1i = { .type = 2, .level = 1, .size_kib = 64, .ways = 2, .line = 64 },
    .amd_l2 = { .type = 3, .level = 2, .size_kib = 512, .ways = 16, .line = 64 },
};

#define ZEN_L1D                                                                                    \
    { .type = 1, .level = 1, .size_kib = 32, .ways = 8, .line = 64, .descriptor = 0x2c,            \
      .self_initializing = true, .wbinvd_not_shared = true }
#define ZEN_L1I                                                                                    \
    { .type = 2, .level = 1, .size_kib = 64, .ways = 4, .line = 64, .descriptor = NO_DESCRIPTOR,   \
      .self_initializing = true, .wbinvd_not_shared = true }
#define ZEN2_L1I                                                                                   \
    { .type = 2, .level = 1, .size_kib = 32, .ways = 8, .line = 64, .descriptor = 0x30,            \
      .self_initializing = true, .wbinvd_not_shared = true }
#define ZEN_L2                                                                                     \
    { .type = 3, .level = 2, .size_kib = 512, .ways = 8, .line = 64, .descriptor = 0x80 }
#define ZEN_L3(kib, byte)                                                                          \
    { .type = 3, .level = 3, .size_kib = (kib), .ways = 16, .line = 64, .descriptor = (byte),      \
      .self_initializing = true, .inclusive = true, .complex_indexing = true }

const X86Caches x86_caches_zen = {
    .l1d = ZEN_L1D, .l1i = ZEN_L1I, .l2 = ZEN_L2, .l3 = ZEN_L3(8192, 0x4b),
    .amd_l1d = ZEN_L1D, .amd_l1i = ZEN_L1I, .amd_l2 = ZEN_L2,
};

const X86Caches x86_caches_zen2 = {
    .l1d = ZEN_L1D, .l1i = ZEN2_L1I, .l2 = ZEN_L2, .l3 = ZEN_L3(16384, 0x4d),
    .amd_l1d = ZEN_L1D, .amd_l1i = ZEN2_L1I, .amd_l2 = ZEN_L2,
};

const X86Caches x86_caches_zen3 = {
    .l1d = ZEN_L1D, .l1i = ZEN2_L1I, .l2 = ZEN_L2, .l3 = ZEN_L3(32768, NO_DESCRIPTOR),
    .amd_l1d = ZEN_L1D, .amd_l1i = ZEN2_L1I, .amd_l2 = ZEN_L2,
};
