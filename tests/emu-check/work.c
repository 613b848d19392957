/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/emu-check/work.h"

#include <stddef.h>

#define PAGE 4096u

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Every bit of `value` counts. */
static uint64_t mix(uint64_t sum, uint64_t value)
{
    sum = (sum ^ value) * 0x9e3779b97f4a7c15ull;
    return sum ^ sum >> 29;
}

static void fill(uint8_t *memory, unsigned len, uint64_t seed)
{
    for (unsigned i = 0; i < len; i++) {
        memory[i] = next_random(&seed);
    }
}

static uint64_t digest(const uint8_t *memory, unsigned len)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < len; i++) {
        sum = mix(sum, memory[i]);
    }
    return sum;
}

/* ---- Integers ---- */

#define TURN(type, bits) \
    static uint64_t integers_##bits(uint64_t seed) \
    { \
        uint64_t sum = 0; \
        \
        for (unsigned i = 0; i < 500; i++) { \
            type a = next_random(&seed), b = next_random(&seed), shift = b % bits; \
            \
            sum = mix(sum, (type)(a + b)); \
            sum = mix(sum, (type)(a * b) ^ (type)(a - b)); \
            sum = mix(sum, (type)(a << shift | a >> (bits - shift) % bits)); \
            sum = mix(sum, a > b ? a / (type)(b | 1) : b % (type)(a | 1)); \
            sum += a < (type)(b >> 1); \
        } \
        return sum; \
    }
TURN(uint8_t, 8)
TURN(uint16_t, 16)
TURN(uint32_t, 32)
TURN(uint64_t, 64)

static uint64_t run_integers(uint8_t *memory)
{
    return integers_8(1) ^ integers_16(2) ^ integers_32(3) ^ integers_64(4);
}

static uint64_t run_bits(uint8_t *memory)
{
    uint64_t seed = 5, sum = 0;

    for (unsigned i = 0; i < 1000; i++) {
        uint64_t a = next_random(&seed), b = next_random(&seed);
        unsigned __int128 product = (unsigned __int128)a * b;

        sum = mix(sum, __builtin_popcountll(a) + 64 * __builtin_clzll(a | 1));
        sum = mix(sum, __builtin_ctzll(b | 1ull << 63) ^ __builtin_bswap64(a));
        sum = mix(sum, __builtin_ia32_pext_di(a, b) ^ __builtin_ia32_pdep_di(b, a));
        sum = mix(sum, (uint64_t)(product >> 64) ^ (uint64_t)(product + a));
        sum = mix(sum, (a & -a) ^ (b & (b - 1)) ^ (~a & b));
        sum = __builtin_ia32_crc32di(sum, a);
    }
    return sum;
}

/* The six flags after all kinds of instructions that have them all defined. */
static uint64_t run_flags(uint8_t *memory)
{
    uint64_t seed = 6, sum = 0;

    for (unsigned i = 0; i < 1000; i++) {
        uint64_t a = next_random(&seed), b = next_random(&seed), flags;
        uint8_t bytes[4];

        __asm__("add %2, %0\n\tpushf\n\tpop %1\n\tadc %2, %0\n\tsetc %3\n\tsbb %2, %0\n\t"
                "seto %4\n\tneg %k0\n\tsetbe %5\n\tcmp %w2, %w0\n\tsetl %6\n\tcmovp %2, %0"
                : "+&r"(a), "=&r"(flags)
                : "r"(b), "m"(bytes[0]), "m"(bytes[1]), "m"(bytes[2]), "m"(bytes[3])
                : "cc", "memory");
        sum = mix(mix(sum, a), flags & 0x8d5);
        sum = mix(sum, bytes[0] | bytes[1] << 1 | bytes[2] << 2 | bytes[3] << 3);
    }
    return sum;
}

/* ---- Floating point ---- */

static uint64_t run_vectors(uint8_t *memory)
{
    enum { N = 32 };
    double (*a)[N] = (void *)memory, (*b)[N] = a + N, (*c)[N] = b + N;
    float *f = (float *)(c + N);
    uint64_t seed = 7;

    for (unsigned i = 0; i < N * N; i++) {
        a[0][i] = (int64_t)next_random(&seed) * 0x1p-60;
        b[0][i] = (int32_t)next_random(&seed) * 0x1p-28;
        f[i] = (int16_t)next_random(&seed) * 0x1p-9f;
    }
    for (unsigned i = 0; i < N; i++) {
        for (unsigned j = 0; j < N; j++) {
            double sum = 0;

            for (unsigned k = 0; k < N; k++) {
                sum = __builtin_fma(a[i][k], b[k][j], sum);
            }
            c[i][j] = __builtin_sqrt(sum < 0 ? -sum : sum) / (b[i][j] + 3);
        }
    }
    for (unsigned i = 0; i < N * N; i++) {
        f[i] = f[i] > (float)c[0][i] ? f[i] : (float)c[0][i];
        ((int32_t *)f)[N * N + i] = (int32_t)(c[0][i] * 1000);
    }
    return digest(memory, 3 * sizeof(*a) * N + 8 * N * N);
}

static uint64_t run_x87(uint8_t *memory)
{
    long double x = 1, y = 0.5L;
    uint64_t seed = 8, sum = 0;

    for (unsigned i = 0; i < 1000; i++) {
        union {
            long double value;
            uint64_t words[2];
        } bits = { .words = { 0, 0 } };

        x = x * 1.25L + (int32_t)next_random(&seed);
        y = (y - x) / (x > 0 ? 3.0L : -7.0L);
        x -= (int64_t)(y / 16);
        bits.value = x + y;
        sum = mix(mix(sum, bits.words[0]), bits.words[1] & 0xffff);
    }
    return sum;
}

/* ---- Control ---- */

static uint64_t add_one(uint64_t a) { return a + 1; }
static uint64_t turn_left(uint64_t a) { return a << 7 | a >> 57; }
static uint64_t times_three(uint64_t a) { return a * 3; }
static uint64_t invert(uint64_t a) { return ~a; }

static __attribute__((noinline)) uint64_t fibonacci(unsigned n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static __attribute__((noinline)) uint64_t choose(unsigned which, uint64_t a)
{
    switch (which) {
    case 0: return a ^ 0x55;
    case 1: return a * a;
    case 2: return a - 77;
    case 3: return a >> 3;
    case 4: return a | 1;
    case 5: return a & ~0xffull;
    case 6: return a + (a << 2);
    default: return 7;
    }
}

static uint64_t run_control(uint8_t *memory)
{
    static uint64_t (*volatile const functions[])(uint64_t) = { add_one, turn_left, times_three,
                                                                invert };
    uint64_t seed = 9, sum = fibonacci(16);

    for (unsigned i = 0; i < 3000; i++) {
        uint64_t a = next_random(&seed);

        sum = functions[a & 3](sum);
        sum = mix(sum, choose(a >> 2 & 7, a));
    }
    return sum;
}

static void sort(uint32_t *items, unsigned count)
{
    while (count > 1) {
        uint32_t pivot = items[(count - 1) / 2];
        unsigned left = 0, right = count - 1;

        for (;;) {
            while (items[left] < pivot) {
                left++;
            }
            while (items[right] > pivot) {
                right--;
            }
            if (left >= right) {
                break;
            }
            uint32_t other = items[left];
            items[left++] = items[right];
            items[right--] = other;
        }
        sort(items, right + 1);
        items += right + 1;
        count -= right + 1;
    }
}

static uint64_t run_sort(uint8_t *memory)
{
    enum { COUNT = 2000 };

    fill(memory, COUNT * 4, 10);
    sort((uint32_t *)memory, COUNT);
    return digest(memory, COUNT * 4);
}

/* ---- Memory ---- */

/* All sizes at all alignments, across lines and pages, over more pages than a TLB holds. */
static uint64_t run_memory(uint8_t *memory)
{
    uint64_t seed = 11, sum = 0;

    for (unsigned i = 0; i < 2 * PAGE; i++) {
        memory[i] = i;
    }
    for (unsigned i = 0; i < WORK_MEMORY / PAGE - 1; i++) {
        uint8_t *at = memory + i * PAGE + (i % 3 ? PAGE - i % 33 : i % 64);

        *(uint64_t __attribute__((aligned(1), may_alias)) *)at = next_random(&seed);
        *(uint16_t __attribute__((aligned(1), may_alias)) *)(at + 3) += i;
        sum = mix(sum, *(uint32_t __attribute__((aligned(1), may_alias)) *)(at + 2));
        at[5] ^= sum;
        sum = mix(sum, *(uint64_t __attribute__((aligned(1), may_alias)) *)at);
    }
    return mix(sum, digest(memory, 4 * PAGE));
}

static uint64_t run_atomics(uint8_t *memory)
{
    uint64_t *words = (uint64_t *)memory, seed = 12, sum = 0;

    fill(memory, PAGE, 13);
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t *at = &words[next_random(&seed) % 512], old = words[i % 512];

        sum = mix(sum, __atomic_fetch_add(at, i, __ATOMIC_SEQ_CST));
        sum = mix(sum, __atomic_exchange_n((uint32_t *)at, i, __ATOMIC_SEQ_CST));
        sum += __atomic_compare_exchange_n(&words[i % 512], &old, sum, 0, __ATOMIC_SEQ_CST,
                                           __ATOMIC_SEQ_CST);
        sum = mix(sum, __atomic_or_fetch((uint8_t *)at, 0x11, __ATOMIC_SEQ_CST));
    }
    return mix(sum, digest(memory, PAGE));
}

static uint64_t run_strings(uint8_t *memory)
{
    uint64_t sum = 0;

    fill(memory, 2 * PAGE, 14);
    for (unsigned i = 1; i < 200; i++) {
        void *to = memory + 3 * PAGE - i, *from = memory + i;
        uint64_t count = i * 3;

        __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
        count = i;
        __asm__ volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(sum) : "memory");
        to = memory;
        count = PAGE;
        __asm__ volatile("repne scasb" : "+D"(to), "+c"(count) : "a"(i) : "cc", "memory");
        sum = mix(sum, count);
    }
    return mix(sum, digest(memory, 6 * PAGE));
}

const Work works[] = {
    { "integers", run_integers }, { "bits", run_bits }, { "flags", run_flags },
    { "vectors", run_vectors }, { "x87", run_x87 }, { "control", run_control },
    { "sort", run_sort }, { "memory", run_memory }, { "atomics", run_atomics },
    { "strings", run_strings }, { NULL, NULL },
};
