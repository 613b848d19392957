/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x87 arithmetic by the x87 of an x86-64 host. The control word is the guest's, unmasked
 * exceptions included: they only become pending, and are cleared before an instruction would wait
 * for them. Functions are entered and left with the control word of the ABI and an empty stack;
 * exception flags may stay set, which costs less than clearing them each time (see
 * x87_host_begin).
 */
#ifndef VIREO_ACCEL_EMU_X87_HOST_H
#define VIREO_ACCEL_EMU_X87_HOST_H

#include "accel/emu/x87-arith.h"

/*
 * Flags that are set before an operation look like its own. That does no harm where the guest has
 * them set, and masked, as well.
 */
static inline void x87_host_begin(const EmuFpu *fpu)
{
    uint16_t fsw;

    __asm__ volatile("fnstsw %0" : "=a"(fsw));
    if (EMU_UNLIKELY(fsw & X87_EXCEPTIONS & ~(fpu->fsw & fpu->fcw))) {
        __asm__ volatile("fnclex");
    }
}

#define X87_HOST_CLOBBERS "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)"
static const uint16_t x87_host_abi_fcw = X87_FCW_RESET;

/* With the ABI's control word; with another. `store` gets results off the stack, emptying it. */
#define X87_HOST_DEFAULT(status, load, insn, store, outputs, ...) \
    __asm__ volatile(load insn "\n\tfnstsw %[fsw]\n\t" store \
                     : [fsw] "=&a"(status), outputs : __VA_ARGS__ : X87_HOST_CLOBBERS)
#define X87_HOST_OTHER(status, load, insn, store, outputs, ...) \
    __asm__ volatile(load "fldcw %[fcw]\n\t" insn "\n\tfnstsw %[fsw]\n\t" \
                     "testb $0x80, %b[fsw]\n\tjz 1f\n\tfnclex\n1:\tfldcw %[abi]\n\t" store \
                     : [fsw] "=&a"(status), outputs \
                     : [fcw] "m"(fpu->fcw), [abi] "m"(x87_host_abi_fcw), __VA_ARGS__ \
                     : X87_HOST_CLOBBERS, "cc")

static inline bool x87_host_writes(const EmuFpu *fpu, uint16_t status)
{
    return !(status & ~fpu->fcw & (X87_IE | X87_DE | X87_ZE));
}

/* One result, ST(0), stored in *dst; `rest` empties the stack below it. */
#define X87_HOST_RESULT(load, insn, rest, ...) \
    do { \
        uint16_t status_; \
        EmuF80 result_; \
        \
        x87_host_begin(fpu); \
        if (EMU_LIKELY(fpu->fcw == X87_FCW_RESET)) { \
            X87_HOST_DEFAULT(status_, load, insn, "fstpt %[dst]" rest, [dst] "=m"(*dst), \
                             __VA_ARGS__); \
            return status_; \
        } \
        X87_HOST_OTHER(status_, load, insn, "fstpt %[dst]" rest, [dst] "=m"(result_), \
                       __VA_ARGS__); \
        if (x87_host_writes(fpu, status_)) { \
            *dst = result_; \
        } \
        return status_; \
    } while (0)

#define X87_HOST_BINARY(name, insn) \
    static inline uint16_t x87_host_##name(const EmuFpu *fpu, EmuF80 *dst, const EmuF80 *a, \
                                           const EmuF80 *b) \
    { \
        X87_HOST_RESULT("fldt %[b]\n\tfldt %[a]\n\t", insn, "\n\tfstp %%st", [a] "m"(*a), \
                        [b] "m"(*b)); \
    }
#define X87_HOST_MEMORY(name, insn) \
    static inline uint16_t x87_host_##name(const EmuFpu *fpu, EmuF80 *dst, const EmuF80 *a, \
                                           uint64_t b) \
    { \
        X87_HOST_RESULT("fldt %[a]\n\t", insn " %[b]", "", [a] "m"(*a), [b] "m"(b)); \
    }
#define X87_HOST_ARITHMETIC(name) \
    X87_HOST_BINARY(name, "f" #name " %%st(1), %%st") \
    X87_HOST_MEMORY(name##_f32, "f" #name "s") \
    X87_HOST_MEMORY(name##_f64, "f" #name "l") \
    X87_HOST_MEMORY(name##_i16, "fi" #name "s") \
    X87_HOST_MEMORY(name##_i32, "fi" #name "l")
#define X87_HOST_UNARY(name, insn) \
    static inline uint16_t x87_host_##name(const EmuFpu *fpu, EmuF80 *dst, const EmuF80 *a) \
    { \
        X87_HOST_RESULT("fldt %[a]\n\t", insn, "", [a] "m"(*a)); \
    }
/* These pop, and compute nothing they can leave behind when they do not. */
#define X87_HOST_POPPING(name) \
    static inline uint16_t x87_host_##name(const EmuFpu *fpu, EmuF80 *dst, const EmuF80 *a, \
                                           const EmuF80 *b) \
    { \
        uint16_t status; \
        EmuF80 result; \
        \
        x87_host_begin(fpu); \
        X87_HOST_OTHER(status, "fldt %[b]\n\tfldt %[a]\n\t", "f" #name, \
                       "fstpt %[dst]\n\tfninit", [dst] "=m"(result), [a] "m"(*a), [b] "m"(*b)); \
        if (x87_host_writes(fpu, status)) { \
            *dst = result; \
        } \
        return status; \
    }
/*
 * The stack may hold one or two values after these. `unless`: the bit that says that nothing was
 * done; FXTRACT has none and leaves an older one standing.
 */
#define X87_HOST_SPLIT(name, unless) \
    static inline uint16_t x87_host_##name(const EmuFpu *fpu, EmuF80 *high, EmuF80 *low, \
                                           const EmuF80 *a) \
    { \
        uint16_t status; \
        EmuF80 results[2]; \
        \
        x87_host_begin(fpu); \
        X87_HOST_OTHER(status, "fldz\n\tfldt %[a]\n\t", "f" #name, \
                       "fstpt %[results]\n\tfstpt 16+%[results]\n\tfninit", \
                       [results] "=m"(results), [a] "m"(*a)); \
        if (x87_host_writes(fpu, status) && !(status & (unless))) { \
            *low = results[0]; \
            *high = results[1]; \
        } \
        return status; \
    }
#define X87_HOST_STORE(name, insn) \
    static inline uint16_t x87_host_##name(const EmuFpu *fpu, uint64_t *value, const EmuF80 *a) \
    { \
        uint16_t status; \
        \
        x87_host_begin(fpu); \
        X87_HOST_OTHER(status, "fldt %[a]\n\t", insn " %[to]", "fninit", [to] "+m"(*value), \
                       [a] "m"(*a)); \
        return status; \
    }
#define X87_HOST_STORE_KEEP(name, insn) \
    static inline uint16_t x87_host_##name(const EmuFpu *fpu, uint64_t *value, const EmuF80 *a) \
    { \
        uint16_t status; \
        \
        x87_host_begin(fpu); \
        if (EMU_LIKELY(fpu->fcw == X87_FCW_RESET)) { \
            X87_HOST_DEFAULT(status, "fldt %[a]\n\t", insn " %[to]", "fstp %%st", \
                             [to] "+m"(*value), [a] "m"(*a)); \
        } else { \
            X87_HOST_OTHER(status, "fldt %[a]\n\t", insn " %[to]", "fstp %%st", \
                           [to] "+m"(*value), [a] "m"(*a)); \
        } \
        return status; \
    }
#define X87_HOST_COMPARE(name, type, parameter, load, insn, rest, constraint) \
    static inline uint16_t x87_host_##name(const EmuFpu *fpu, const EmuF80 *a, type parameter) \
    { \
        uint16_t status; \
        uint32_t none = 0; \
        \
        x87_host_begin(fpu); \
        if (EMU_LIKELY(fpu->fcw == X87_FCW_RESET)) { \
            X87_HOST_DEFAULT(status, load, insn, rest, [none] "+m"(none), [a] "m"(*a), \
                             constraint); \
        } else { \
            X87_HOST_OTHER(status, load, insn, rest, [none] "+m"(none), [a] "m"(*a), \
                           constraint); \
        } \
        return status; \
    }
#define X87_HOST_COMPARE_MEMORY(name, insn) \
    X87_HOST_COMPARE(name, uint64_t, b, "fldt %[a]\n\t", insn " %[b]", "fstp %%st", [b] "m"(b))
X87_FOR_EACH_BINARY(X87_HOST_ARITHMETIC)
X87_HOST_UNARY(sqrt, "fsqrt")
X87_HOST_UNARY(rndint, "frndint")
X87_HOST_UNARY(f2xm1, "f2xm1")
X87_HOST_UNARY(sin, "fsin")
X87_HOST_UNARY(cos, "fcos")
X87_HOST_BINARY(scale, "fscale")
X87_HOST_BINARY(prem, "fprem")
X87_HOST_BINARY(prem1, "fprem1")
X87_HOST_POPPING(yl2x)
X87_HOST_POPPING(yl2xp1)
X87_HOST_POPPING(patan)
X87_HOST_SPLIT(xtract, 0)
X87_HOST_SPLIT(ptan, X87_C2)
X87_HOST_SPLIT(sincos, X87_C2)
X87_HOST_STORE_KEEP(st_f32, "fsts")
X87_HOST_STORE_KEEP(st_f64, "fstl")
X87_HOST_STORE_KEEP(ist_i16, "fists")
X87_HOST_STORE_KEEP(ist_i32, "fistl")
X87_HOST_STORE(ist_i64, "fistpll")
X87_HOST_STORE(istt_i16, "fisttps")
X87_HOST_STORE(istt_i32, "fisttpl")
X87_HOST_STORE(istt_i64, "fisttpll")
X87_HOST_COMPARE(com, const EmuF80 *, b, "fldt %[b]\n\tfldt %[a]\n\t", "fcom %%st(1)",
                 "fstp %%st\n\tfstp %%st", [b] "m"(*b))
X87_HOST_COMPARE(ucom, const EmuF80 *, b, "fldt %[b]\n\tfldt %[a]\n\t", "fucom %%st(1)",
                 "fstp %%st\n\tfstp %%st", [b] "m"(*b))
X87_HOST_COMPARE_MEMORY(com_f32, "fcoms")
X87_HOST_COMPARE_MEMORY(com_f64, "fcoml")
X87_HOST_COMPARE_MEMORY(com_i16, "ficoms")
X87_HOST_COMPARE_MEMORY(com_i32, "ficoml")

#endif
