/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The debugged guest: rounds of calls, writes and odd instructions for ever, with a timer interrupt
 * every millisecond. The tests know its symbols; see start.S for the rest.
 */
#include <stdint.h>

enum {
    KERNEL_CS = 0x08,
    GATE = 0x8e,
    VECTOR_INT3 = 3,
    VECTOR_UD = 6,
    VECTOR_TIMER = 0x40,
    AP_CODE = 0x8000,
    LAPIC_ENABLE = 0x1ff,
    LAPIC_PERIODIC = 1 << 17,
    LAPIC_TICKS = 1000000,
    ICR_INIT_ALL = 0xc4500,
    ICR_STARTUP_ALL = 0xc4600,
};

#define LAPIC(offset) (*(volatile uint32_t *)(0xfee00000UL + (offset)))

typedef struct Gate {
    uint16_t offset_low, selector;
    uint8_t stack, type;
    uint16_t offset_middle;
    uint32_t offset_high, zero;
} Gate;

void timer_entry(void);
void breakpoint_entry(void);
void fault_entry(void);
void odd_instructions(void);
void guest_main(void);
void add_round(uint64_t amount);
int patched(void);
extern const uint8_t ap_code[], ap_code_end[];

volatile uint32_t timer_ticks, own_breakpoints, faults, counter;
volatile uint64_t rounds, total;
volatile uint32_t watched[4], patch_result;
/* Set by the debugger: no INT3, UD2, SSE, x87, which a KVM that interprets CPL0 lacks. */
volatile uint32_t plain;
static Gate idt[256];

static void set_gate(unsigned vector, void (*entry)(void))
{
    uint64_t offset = (uint64_t)entry;

    idt[vector] = (Gate){ (uint16_t)offset, KERNEL_CS, 0, GATE, (uint16_t)(offset >> 16),
                          (uint32_t)(offset >> 32), 0 };
}

static void start_others(void)
{
    for (const uint8_t *from = ap_code; from < ap_code_end; from++) {
        *(volatile uint8_t *)(uintptr_t)(AP_CODE + (from - ap_code)) = *from;
    }
    LAPIC(0x300) = ICR_INIT_ALL;
    for (uint32_t start = timer_ticks; timer_ticks - start < 12;) {
    }
    LAPIC(0x300) = ICR_STARTUP_ALL | AP_CODE >> 12;
}

static void set_up(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) pointer = { sizeof(idt) - 1, (uint64_t)idt };

    set_gate(VECTOR_INT3, breakpoint_entry);
    set_gate(VECTOR_UD, fault_entry);
    set_gate(VECTOR_TIMER, timer_entry);
    __asm__ volatile("lidt %0" : : "m"(pointer));
    LAPIC(0xf0) = LAPIC_ENABLE;
    LAPIC(0x3e0) = 0xb;
    LAPIC(0x320) = LAPIC_PERIODIC | VECTOR_TIMER;
    LAPIC(0x380) = LAPIC_TICKS;
    __asm__ volatile("sti");
}

void __attribute__((noinline)) add_round(uint64_t amount)
{
    total += amount;
    rounds++;
}

/* The debugger changes what it returns, in memory. */
int __attribute__((noinline)) patched(void)
{
    int value;

    __asm__ volatile("mov $1, %0" : "=r"(value));
    return value;
}

void guest_main(void)
{
    set_up();
    start_others();
    for (;;) {
        for (uint64_t i = 0; i < 100; i++) {
            add_round(i);
        }
        watched[1] = (uint32_t)rounds;
        patch_result = (uint32_t)patched();
        odd_instructions();
    }
}
