/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the bench guest's parts share. Everything runs at CPL3 with memory mapped to itself; there
 * is no C library. An error that ends a measurement is told by fail(), which does not return.
 */
#ifndef VIREO_TESTS_BENCH_GUEST_GUEST_H
#define VIREO_TESTS_BENCH_GUEST_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MIB (1UL << 20)
/* Memory for DMA, far above the image; the machine has at least 128 MiB. */
#define RINGS_BASE (8 * MIB)
#define DATA_BASE (16 * MIB)
#define DATA_SLOT MIB
#define DATA_SLOTS 64

enum {
    VECTOR_DEVICE = 0x41,
    ARGUMENTS = 3,
};

/* Counted up by the handler of VECTOR_DEVICE. */
extern volatile uint32_t device_interrupts;

/* One word of the command line: NAME=A:B:C; missing numbers are 0. */
struct job {
    const char *name;
    uint64_t argument[ARGUMENTS];
    bool by_interrupt; /* wait for interrupts instead of looking at the ring */
};

static inline void write_port(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void write_port16(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void write_port32(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint8_t read_port(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline uint32_t read_port32(uint16_t port)
{
    uint32_t value;

    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline void read_port_bytes(uint16_t port, void *to, size_t count)
{
    __asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"(port) : "memory");
}

/* One plain MOV each way, so that a software decoder of MMIO accesses meets the simplest form. */
static inline uint32_t read_mmio(uintptr_t address)
{
    uint32_t value;

    __asm__ volatile("movl (%1), %0" : "=r"(value) : "r"(address) : "memory");
    return value;
}

static inline void write_mmio(uintptr_t address, uint32_t value)
{
    __asm__ volatile("movl %0, (%1)" : : "r"(value), "r"(address) : "memory");
}

static inline uint8_t read_mmio8(uintptr_t address)
{
    uint8_t value;

    __asm__ volatile("movb (%1), %0" : "=q"(value) : "r"(address) : "memory");
    return value;
}

static inline void write_mmio8(uintptr_t address, uint8_t value)
{
    __asm__ volatile("movb %0, (%1)" : : "q"(value), "r"(address) : "memory");
}

static inline uint16_t read_mmio16(uintptr_t address)
{
    uint16_t value;

    __asm__ volatile("movw (%1), %0" : "=r"(value) : "r"(address) : "memory");
    return value;
}

static inline void write_mmio16(uintptr_t address, uint16_t value)
{
    __asm__ volatile("movw %0, (%1)" : : "r"(value), "r"(address) : "memory");
}

static inline uint64_t read_tsc(void)
{
    uint32_t low;
    uint32_t high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static inline void pause(void)
{
    __asm__ volatile("pause" : : : "memory");
}

/* console.c */
void print_text(const char *text);
void print_value(const char *name, const char *suffix, uint64_t value);
/* "name: why", then the guest stops for good. */
void fail(const char *name, const char *why) __attribute__((noreturn));

/* guest.c: the local APIC takes interrupts, the 8259s give none, and they reach CPL3. */
void enable_interrupts(void);

/* Each prints NAME.begin, does its work, and prints NAME.count and NAME.ticks. */
void print_begin(const struct job *job);
void print_result(const struct job *job, uint64_t count, uint64_t ticks);

/* disk.c. Arguments: KiB a request, requests at once, requests. */
void run_blk_random_read(const struct job *job);
void run_blk_random_write(const struct job *job);
void run_blk_read(const struct job *job);
void run_blk_write(const struct job *job);
/* Writes a pattern from the disk's start on, reads it back; prints NAME.errors too. */
void run_blk_verify(const struct job *job);

/* ide.c. Arguments: KiB a request, requests. */
void run_ide_read(const struct job *job);
void run_ide_write(const struct job *job);

/* virtio-net.c and e1000.c. Arguments: bytes of a frame, frames at once, frames. */
void run_net_send(const struct job *job);
void run_net_receive(const struct job *job);
/* Sends frames to a peer that returns each, and compares; prints NAME.errors too. */
void run_net_echo(const struct job *job);
void run_e1000_send(const struct job *job);
void run_e1000_receive(const struct job *job);

#endif
