/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bench guest: measures what leaving a guest costs and what devices do, from inside, at native
 * speed on any KVM.
 *
 * It comes as an ELF64 file with a PVH note, for `-M microvm -kernel` (or any machine that takes
 * PVH), and as a ROM for `-bios`, with which `pc` needs no firmware. Its first serial byte, '>',
 * leaves at the very entry. Then come the words of its command line (from the ROM: of the fw_cfg
 * item opt/vireo/bench), in order:
 *
 *   io-user[=N]      read COM1's scratch register: an exit to a device model in userspace
 *   io-none[=N]      write port 0x80, which a machine may or may not implement
 *   io-pic[=N]       read the 8259 mask port 0x21: in the kernel only with kernel-irqchip=on
 *   mmio-user[=N]    read the first virtio-mmio slot's magic register
 *   mmio-kernel[=N]  read the local APIC's version register
 *   timer[=N]        take N local APIC timer interrupts, one a millisecond
 *   touch[=MIB]      write to each 4 KiB page of the first MIB (from 2 MiB on)
 *   wait=poll|irq    how the words behind it wait for virtio queues
 *   blk-randread, blk-randwrite, blk-read, blk-write, blk-verify   =KIB:DEPTH:COUNT
 *   ide-read, ide-write                                            =KIB:COUNT
 *   net-send, net-receive, net-echo, e1000-send, e1000-receive     =BYTES:BATCH:COUNT
 *   exit=debug       leave through isa-debug-exit at port 0xf4 (value 0)
 *   exit=triple      leave by a triple fault
 *   exit=idle        halt for good (the default)
 *
 * Each measurement prints "NAME.count=N" and "NAME.ticks=T" (TSC); "tsc-khz=K" comes first, 0 if
 * there is no KVM clock to tell it. See start.S for how privileges are arranged.
 */
#include "guest.h"

enum {
    COM1_SCRATCH = 0x3ff,
    POST_PORT = 0x80,
    PIC_MASK_PORT = 0x21,
    PIC2_MASK_PORT = 0xa1,
    PIC_MASK_ALL = 0xff,
    DEBUG_EXIT_PORT = 0xf4,
    FW_CFG_SELECT = 0x510,
    FW_CFG_DATA = 0x511,
    FW_CFG_FILE_DIR = 0x19,
    FW_CFG_MAX_FILES = 4096,

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
#define COMMAND_LINE_ITEM "opt/vireo/bench"
#define VIRTIO_MMIO_BASE 0xfeb00000UL
#define PAGE_SIZE 4096UL
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
void device_entry(void);
void fault_entry(void);
void guest_main(void);

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
    set_gate(VECTOR_DEVICE, device_entry, GATE_KERNEL);
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

void enable_interrupts(void)
{
    write_mmio(LAPIC_SVR, LAPIC_SOFTWARE_ENABLE);
    /* Without firmware nobody has silenced the 8259s, whose vectors are those of exceptions. */
    write_port(PIC_MASK_PORT, PIC_MASK_ALL);
    write_port(PIC2_MASK_PORT, PIC_MASK_ALL);
    stub_call(STUB_ENABLE_INTERRUPTS);
}

static void measure_timer(uint64_t count)
{
    enable_interrupts();
    write_mmio(LAPIC_DIVIDE, LAPIC_DIVIDE_BY_1);
    write_mmio(LAPIC_LVT_TIMER, VECTOR_TIMER | LAPIC_TIMER_PERIODIC);
    timer_ticks = 0;
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

struct job_kind {
    const char *name;
    void (*run)(const struct job *job);
};

static const struct job_kind job_kinds[] = {
    { "blk-randread", run_blk_random_read },
    { "blk-randwrite", run_blk_random_write },
    { "blk-read", run_blk_read },
    { "blk-write", run_blk_write },
    { "blk-verify", run_blk_verify },
    { "ide-read", run_ide_read },
    { "ide-write", run_ide_write },
    { "net-send", run_net_send },
    { "net-receive", run_net_receive },
    { "net-echo", run_net_echo },
    { "e1000-send", run_e1000_send },
    { "e1000-receive", run_e1000_receive },
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

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

/* The number behind the `=` or `:` that *rest stands at. */
static uint64_t parse_number(const char **rest)
{
    uint64_t number = 0;

    for (++*rest; **rest >= '0' && **rest <= '9'; ++*rest) {
        number = number * 10 + (uint64_t)(**rest - '0');
    }
    return number;
}

static bool run_measurement(const char *word)
{
    for (size_t i = 0; i < COUNT_OF(measurements); i++) {
        const struct measurement *measurement = &measurements[i];
        const char *rest = match_word(word, measurement->name);

        if (rest) {
            uint64_t count = *rest == '=' ? parse_number(&rest) : measurement->default_count;
            uint64_t start = read_tsc();

            measurement->run(count);
            uint64_t ticks = read_tsc() - start;
            print_value(measurement->name, ".count", count);
            print_value(measurement->name, ".ticks", ticks);
            return true;
        }
    }
    return false;
}

static bool run_job(const char *word, bool by_interrupt)
{
    for (size_t i = 0; i < COUNT_OF(job_kinds); i++) {
        const char *rest = match_word(word, job_kinds[i].name);
        struct job job = { .name = job_kinds[i].name, .by_interrupt = by_interrupt };

        if (rest) {
            for (unsigned n = 0; n < ARGUMENTS && (*rest == '=' || *rest == ':'); n++) {
                job.argument[n] = parse_number(&rest);
            }
            job_kinds[i].run(&job);
            return true;
        }
    }
    return false;
}

static void run_word(const char *word)
{
    static bool by_interrupt;

    if (run_measurement(word) || run_job(word, by_interrupt)) {
        return;
    }
    if (match_word(word, "wait=irq")) {
        by_interrupt = true;
    } else if (match_word(word, "wait=poll")) {
        by_interrupt = false;
    } else if (match_word(word, "exit=debug")) {
        write_port(DEBUG_EXIT_PORT, 0);
    } else if (match_word(word, "exit=triple")) {
        stub_call(STUB_TRIPLE_FAULT);
    }
}

/* QEMU docs/specs/fw_cfg: big-endian directory entries. */
struct fw_cfg_file {
    uint32_t size;
    uint16_t select;
    uint16_t reserved;
    char name[56];
};

static const char *fw_cfg_command_line(void)
{
    static char text[1024];
    struct fw_cfg_file file;
    uint32_t count, size;

    write_port16(FW_CFG_SELECT, FW_CFG_FILE_DIR);
    read_port_bytes(FW_CFG_DATA, &count, sizeof(count));
    count = __builtin_bswap32(count);
    while (count && count-- <= FW_CFG_MAX_FILES) {
        read_port_bytes(FW_CFG_DATA, &file, sizeof(file));
        if (match_word(file.name, COMMAND_LINE_ITEM)) {
            size = __builtin_bswap32(file.size);
            write_port16(FW_CFG_SELECT, __builtin_bswap16(file.select));
            read_port_bytes(FW_CFG_DATA, text, size < sizeof(text) ? size : sizeof(text) - 1);
            return text;
        }
    }
    return "";
}

static const char *command_line(void)
{
    const struct hvm_start_info *info = (const void *)(uintptr_t)start_info_address;

    if (!info) {
        return fw_cfg_command_line();
    }
    if (!info->command_line_address) {
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
