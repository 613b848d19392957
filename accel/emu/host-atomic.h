/* SPDX-License-Identifier: Apache-2.0 */
/* A 16-byte compare and swap on the host, without libatomic. */
#ifndef VIREO_ACCEL_EMU_HOST_ATOMIC_H
#define VIREO_ACCEL_EMU_HOST_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

typedef struct EmuHost128 {
    uint64_t low, high;
} EmuHost128;

/*
 * If the 16 aligned bytes at `cell` are *expected, they become `desired`: true. Else *expected
 * becomes what they are. Sequentially consistent.
 */
#if defined(__x86_64__)
static inline bool emu_host_swap128(void *cell, EmuHost128 *expected, EmuHost128 desired)
{
    EmuHost128 *target = cell;
    bool swapped;

    __asm__ volatile("lock cmpxchg16b %1"
                     : "=@ccz"(swapped), "+m"(*target), "+a"(expected->low), "+d"(expected->high)
                     : "b"(desired.low), "c"(desired.high)
                     : "memory");
    return swapped;
}
#elif defined(__aarch64__)
static inline bool emu_host_swap128(void *cell, EmuHost128 *expected, EmuHost128 desired)
{
    EmuHost128 old, write;
    uint32_t failed;

    /* Storing what was there proves that both halves were read at once. */
    __asm__ volatile("1: ldaxp %[olow], %[ohigh], [%[cell]]\n"
                     "cmp %[olow], %[elow]\n"
                     "ccmp %[ohigh], %[ehigh], #0, eq\n"
                     "csel %[wlow], %[dlow], %[olow], eq\n"
                     "csel %[whigh], %[dhigh], %[ohigh], eq\n"
                     "stlxp %w[failed], %[wlow], %[whigh], [%[cell]]\n"
                     "cbnz %w[failed], 1b\n"
                     "dmb ish"
                     : [olow] "=&r"(old.low), [ohigh] "=&r"(old.high), [wlow] "=&r"(write.low),
                       [whigh] "=&r"(write.high), [failed] "=&r"(failed)
                     : [cell] "r"(cell), [elow] "r"(expected->low), [ehigh] "r"(expected->high),
                       [dlow] "r"(desired.low), [dhigh] "r"(desired.high)
                     : "cc", "memory");
    failed = old.low != expected->low || old.high != expected->high;
    *expected = old;
    return !failed;
}
#else
static inline bool emu_host_swap128(void *cell, EmuHost128 *expected, EmuHost128 desired)
{
    unsigned __int128 old = (unsigned __int128)expected->high << 64 | expected->low;
    unsigned __int128 new = (unsigned __int128)desired.high << 64 | desired.low;
    bool swapped = __atomic_compare_exchange_n((unsigned __int128 *)cell, &old, new, false,
                                               __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);

    expected->low = (uint64_t)old;
    expected->high = (uint64_t)(old >> 64);
    return swapped;
}
#endif

#endif
