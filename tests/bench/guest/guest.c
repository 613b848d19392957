/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bench guest: measures what leaving a guest costs, from inside, at native speed on any KVM.
 *
 * It is an ELF64 file with a PVH note, for `-M microvm -kernel` (or any machine that takes PVH).
 * Its first serial byte, '>', leaves at the very entry. Then come the words of its command line, in
 * order:
 *
 *   io-user[=N]      read COM1's scratch register: an exit to a device model in userspace
 *   io-none[=N]      write port 0x80, which a machine may or may not implement
 *   io-pic[=N]       read the 8259 mask port 0x21: in the kernel only with kernel-irqchip=on
 *   mmio-user[=N]    read the first virtio-mmio slot's magic register
 *   mmio-kernel[=N]  read the local APIC's version register
 *   timer[=N]        take N local APIC timer interrupts, one a millisecond
 *   touch[=MIB]      write to each 4 KiB page of the first MIB (from 2 MiB on)
 *   exit=debug       leave through isa-debug-exit at port 0xf4 (value 0)
 *   exit=triple      leave by a triple fault
 *   exit=idle        halt for good (the default)
 *
 * Each measurement prints "NAME.count=N" and "NAME.ticks=T" (TSC); "tsc-khz=K" comes first, 0 if
 * there is no KVM clock to tell it. See start.S for how privileges are arranged.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    COM1 = 0x3f8,
    COM1_LSR = COM1 + 5,
    COM1_SCRATCH = COM1 + 7,
    LSR_THR_EMPTY = 0x20,
    POST_PORT = 0x80,
    PIC_MASK_PORT = 0x21,
    PIC2_MASK_PORT = 0xa1,
    PIC_MASK_ALL = 0xff,
    DEBUG_EXIT_PORT = 0xf4,

    VECTOR_INT3 = 3,
    VECTOR_TIMER = 0x40,
    EXCEPTIONS = 32,
    GATE_KERNEL = 0x8e,
    GATE_USER = 0xee,
    KERNEL_CS = 0x08,

    KVM_CPUID_SIGNATURE = 0x40000000,
    KVM_CPUID_FEATURES = 0x40000001,
    KVM_FEATURE_CLOCKSOURCE2 = 1 << 3,
    MSR_KVM_SYSTEM_TIME_NEW = 0x4b564d01,

    LAPIC_TIMER_PERIODIC = 1 << 17,
    LAPIC_SOFTWARE_ENABLE = 0x1ff,
    LAPIC_DIVIDE_BY_1 = 0xb,
    /* KVM and QEMU both run the local APIC's bus at 1 GHz. */
    LAPIC_TICKS_PER_MS = 1000000,
};

#define LAPIC_BASE 0xfee00000UL
#define LAPIC_VERSION (LAPIC_BASE + 0x30)
#define LAPIC_SVR (LAPIC_BASE + 0xf0)
#define LAPIC_LVT_TIMER (LAPIC_BASE + 0x320)
#define LAPIC_INITIAL_COUNT (LAPIC_BASE + 0x380)
#define LAPIC_DIVIDE (LAPIC_BASE + 0x3e0)
#define VIRTIO_MMIO_BASE 0xfeb00000UL
#define PAGE_SIZE 4096UL
#define MIB (1UL << 20)
#define TOUCH_START (2 * MIB)

enum stub_function {
    STUB_CPUID,
    STUB_RDMSR,
    STUB_WRMSR,
    STUB_HALT,
    STUB_ENABLE_INTERRUPTS,
    STUB_TRIPLE_FAULT,
};

/* Xen public/arch-x86/hvm/start_info.h, version 0. */
struct hvm_start_info {
    uint32_t magic;
    uint32_t version;
    uint32_t flags;
    uint32_t module_count;
    uint64_t modules_address;
    uint64_t command_line_address;
    uint64_t rsdp_address;
};

struct gate {
    uint16_t offset_low;
    uint16_t selector;
    uint8_t stack;
    uint8_t type;
    uint16_t offset_middle;
    uint32_t offset_high;
    uint32_t reserved;
};

/* Linux Documentation/virt/kvm/x86/msr.rst, MSR_KVM_SYSTEM_TIME_NEW. */
struct pvclock_time {
    uint32_t version;
    uint32_t padding;
    uint64_t tsc_timestamp;
    uint64_t system_time;
    uint32_t tsc_to_system_mul;
    int8_t tsc_shift;
    uint8_t flags;
    uint8_t padding2[2];
};

extern struct gate idt[];
extern uint32_t start_info_address;
extern volatile uint32_t timer_ticks;
void stub_entry(void);
void timer_entry(void);
void fault_entry(void);
void guest_main(void);

static inline void write_port(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint8_t read_port(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
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

static inline uint64_t read_tsc(void)
{
    uint32_t low;
    uint32_t high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static uint32_t stub_cpuid(uint32_t leaf)
{
    uint32_t eax = STUB_CPUID;
    uint32_t ecx = 0;

    __asm__ volatile("int3" : "+a"(eax), "+c"(ecx) : "S"(leaf) : "ebx", "edx", "memory");
    return eax;
}

static void stub_write_msr(uint32_t msr, uint64_t value)
{
    uint32_t eax = STUB_WRMSR;

    __asm__ volatile("int3"
                     : "+a"(eax)
                     : "S"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(msr)
                     : "memory");
}

static void stub_call(enum stub_function function)
{
    uint32_t eax = function;

    __asm__ volatile("int3" : "+a"(eax) : : "memory");
}

static void print_char(char c)
{
    while (!(read_port(COM1_LSR) & LSR_THR_EMPTY)) {
    }
    write_port(COM1, (uint8_t)c);
}

static void print_text(const char *text)
{
    while (*text) {
        print_char(*text++);
    }
}

static void print_number(uint64_t number)
{
    char digits[21];
    char *position = digits + sizeof(digits) - 1;

    *position = '\0';
    do {
        *--position = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    print_text(position);
}

static void print_value(const char *name, const char *suffix, uint64_t value)
{
    print_text(name);
    print_text(suffix);
    print_char('=');
    print_number(value);
    print_char('\n');
}

static void set_gate(unsigned vector, void (*handler)(void), uint8_t type)
{
    uintptr_t address = (uintptr_t)handler;

    idt[vector] = (struct gate){
        .offset_low = (uint16_t)address,
        .selector = KERNEL_CS,
        .type = type,
        .offset_middle = (uint16_t)(address >> 16),
        .offset_high = (uint32_t)(address >> 32),
    };
}

static void set_gates(void)
{
    for (unsigned vector = 0; vector < EXCEPTIONS; vector++) {
        set_gate(vector, fault_entry, GATE_KERNEL);
    }
    set_gate(VECTOR_INT3, stub_entry, GATE_USER);
    set_gate(VECTOR_TIMER, timer_entry, GATE_KERNEL);
}

/*
 * KVM's clock page tells nanoseconds = (ticks << shift) * mul >> 32; the frequency follows.
 */
static uint64_t tsc_khz(void)
{
    static struct pvclock_time clock __attribute__((aligned(64)));

    if (stub_cpuid(KVM_CPUID_SIGNATURE) < KVM_CPUID_FEATURES ||
        !(stub_cpuid(KVM_CPUID_FEATURES) & KVM_FEATURE_CLOCKSOURCE2)) {
        return 0;
    }
    stub_write_msr(MSR_KVM_SYSTEM_TIME_NEW, (uintptr_t)&clock | 1);
    __asm__ volatile("" : : : "memory");
    if (clock.tsc_to_system_mul == 0) {
        return 0;
    }
    uint64_t khz = (1000000ULL << 32) / clock.tsc_to_system_mul;
    return clock.tsc_shift < 0 ? khz << -clock.tsc_shift : khz >> clock.tsc_shift;
}

static void measure_io_user(uint64_t count)
{
    while (count--) {
        read_port(COM1_SCRATCH);
    }
}

static void measure_io_none(uint64_t count)
{
    while (count--) {
        write_port(POST_PORT, 0);
    }
}

static void measure_io_pic(uint64_t count)
{
    while (count--) {
        read_port(PIC_MASK_PORT);
    }
}

static void measure_mmio_user(uint64_t count)
{
    while (count--) {
        read_mmio(VIRTIO_MMIO_BASE);
    }
}

static void measure_mmio_kernel(uint64_t count)
{
    while (count--) {
        read_mmio(LAPIC_VERSION);
    }
}

static void measure_timer(uint64_t count)
{
    write_mmio(LAPIC_SVR, LAPIC_SOFTWARE_ENABLE);
    write_mmio(LAPIC_DIVIDE, LAPIC_DIVIDE_BY_1);
    write_mmio(LAPIC_LVT_TIMER, VECTOR_TIMER | LAPIC_TIMER_PERIODIC);
    timer_ticks = 0;
    /* Without firmware nobody has silenced the 8259s, whose vectors are those of exceptions. */
    write_port(PIC_MASK_PORT, PIC_MASK_ALL);
    write_port(PIC2_MASK_PORT, PIC_MASK_ALL);
    stub_call(STUB_ENABLE_INTERRUPTS);
    write_mmio(LAPIC_INITIAL_COUNT, LAPIC_TICKS_PER_MS);
    while (timer_ticks < count) {
        __asm__ volatile("pause");
    }
    write_mmio(LAPIC_INITIAL_COUNT, 0);
}

static void measure_touch(uint64_t mib)
{
    for (uint64_t address = TOUCH_START; address < mib * MIB; address += PAGE_SIZE) {
        *(volatile uint64_t *)address = address;
    }
}

struct measurement {
    const char *name;
    uint64_t default_count;
    void (*run)(uint64_t count);
};

static const struct measurement measurements[] = {
    { "io-user", 10000, measure_io_user },
    { "io-none", 10000, measure_io_none },
    { "io-pic", 10000, measure_io_pic },
    { "mmio-user", 10000, measure_mmio_user },
    { "mmio-kernel", 10000, measure_mmio_kernel },
    { "timer", 100, measure_timer },
    { "touch", 64, measure_touch },
};

/* If `word` (up to a blank) is `name` or name=..., the text behind it; else NULL. */
static const char *match_word(const char *word, const char *name)
{
    while (*name) {
        if (*word++ != *name++) {
            return NULL;
        }
    }
    return *word == '\0' || *word == ' ' || *word == '=' ? word : NULL;
}

static uint64_t parse_count(const char *rest, uint64_t default_count)
{
    uint64_t count = 0;

    if (*rest != '=') {
        return default_count;
    }
    for (rest++; *rest >= '0' && *rest <= '9'; rest++) {
        count = count * 10 + (uint64_t)(*rest - '0');
    }
    return count;
}

static void run_word(const char *word)
{
    for (size_t i = 0; i < sizeof(measurements) / sizeof(measurements[0]); i++) {
        const struct measurement *measurement = &measurements[i];
        const char *rest = match_word(word, measurement->name);
        if (rest) {
            uint64_t count = parse_count(rest, measurement->default_count);
            uint64_t start = read_tsc();
            measurement->run(count);
            uint64_t ticks = read_tsc() - start;
            print_value(measurement->name, ".count", count);
            print_value(measurement->name, ".ticks", ticks);
            return;
        }
    }
    if (match_word(word, "exit=debug")) {
        write_port(DEBUG_EXIT_PORT, 0);
    } else if (match_word(word, "exit=triple")) {
        stub_call(STUB_TRIPLE_FAULT);
    }
}

static const char *command_line(void)
{
    const struct hvm_start_info *info = (const void *)(uintptr_t)start_info_address;

    if (!info || !info->command_line_address) {
        return "";
    }
    return (const char *)(uintptr_t)info->command_line_address;
}

/* Runs at CPL3, entered by start.S, and never returns. */
void guest_main(void)
{
    const char *word = command_line();

    set_gates();
    print_text("bench: ready\n");
    if (*word) {
        print_value("tsc-khz", "", tsc_khz());
    }
    while (*word) {
        if (*word == ' ') {
            word++;
            continue;
        }
        run_word(word);
        while (*word && *word != ' ') {
            word++;
        }
    }
    print_text("bench: idle\n");
    stub_call(STUB_HALT);
    __builtin_unreachable();
}
