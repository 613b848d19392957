/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The KVM accelerator against the host's real /dev/kvm, with 16-bit guests of a few instructions.
 * Without a usable /dev/kvm every test says so and is skipped.
 *
 * The test thread plays the main loop: it holds the VM lock and lets go of it while it waits. The
 * guest speaks through ports: what it writes to TEST_PORT is collected, and DONE_PORT ends the
 * wait.
 */
#include <string.h>
#include <unistd.h>

#include "accel/accel.h"
#include "accel/kvm/kvm-internal.h"
#include "accel/vm-events.h"
#include "memory/memory.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/vm-lock.h"

#define RAM_SIZE (1 * MiB)
#define CODE 0x1000
#define TEST_PORT 0x100
#define DONE_PORT 0x101
#define MMIO_BASE 0xd0000000u

typedef struct Lab {
    MemoryRegion *ram, *rom, *ports, *mmio;
    uint8_t *bytes;
    GArray *written;         /* uint32_t values of TEST_PORT */
    bool done, reset_requested, panicked, failed, debug_stopped;
    unsigned mmio_writes;
    uint64_t last_mmio;
    unsigned cpu_count;
} Lab;

/* The ports' callbacks and the run state's hooks have nothing else to find the test by. */
static Lab *lab;
static pthread_cond_t lab_cond = PTHREAD_COND_INITIALIZER;

static uint64_t port_read(void *opaque, uint64_t offset, unsigned size)
{
    return 0x5a5a5a5a;
}

static void port_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    if (offset == TEST_PORT) {
        uint32_t v = value;

        g_array_append_val(lab->written, v);
    } else if (offset == DONE_PORT) {
        lab->done = true;
        pthread_cond_broadcast(&lab_cond);
    }
}

static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned size)
{
    return 0x11223344u + offset;
}

static void mmio_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    lab->mmio_writes++;
    lab->last_mmio = value;
}

static const MemoryRegionOps port_ops = { .read = port_read, .write = port_write,
                                          .impl = { 1, 4, .unaligned = true } };
static const MemoryRegionOps mmio_ops = { .read = mmio_read, .write = mmio_write };

static void on_reset(VmCause cause)
{
    lab->reset_requested = true;
    pthread_cond_broadcast(&lab_cond);
}

static void on_internal_error(void)
{
    lab->failed = true;
    pthread_cond_broadcast(&lab_cond);
}

static void on_debug_stop(unsigned index)
{
    lab->debug_stopped = true;
    pthread_cond_broadcast(&lab_cond);
}

static const VmEventsOps events = {
    .reset = on_reset,
    .internal_error = on_internal_error,
    .debug_stop = on_debug_stop,
};

static void wait_for(const bool *flag)
{
    while (!*flag && !lab->failed) {
        vm_lock_cond_wait(&lab_cond);
    }
}

/* A machine of cpus CPUs; false (and the test skipped) if KVM is not to be had. */
static bool lab_start(const char *accel, AccelIrqchip irqchip, unsigned cpus)
{
    const char *const list[] = { accel, NULL };
    const AccelConfig config = { .irqchip = irqchip, .max_cpus = cpus, .needs_pit = true };
    const X86Topology topology = { 1, 1, cpus, 1 };
    g_autoptr(GError) error = NULL;

    if (!accel_select(list, &config, true, &error)) {
        g_test_skip(error->message);
        return false;
    }
    g_assert_cmpint(accel_irqchip(), ==, irqchip);
    lab = g_new0(Lab, 1);
    lab->written = g_array_new(FALSE, TRUE, sizeof(uint32_t));
    lab->ram = memory_region_new_ram(NULL, "ram", RAM_SIZE, &error);
    lab->rom = memory_region_new_rom(NULL, "rom", 64 * KiB, &error);
    g_assert_no_error(error);
    lab->bytes = memory_region_ram_ptr(lab->ram);
    lab->ports = memory_region_new_io(NULL, &port_ops, NULL, "ports", 0x1000);
    lab->mmio = memory_region_new_io(NULL, &mmio_ops, NULL, "mmio", 0x1000);
    memory_region_add(memory_system(), 0, lab->ram);
    memory_region_add_overlap(memory_system(), 0xc0000, lab->rom, 1);
    memory_region_add(memory_system(), MMIO_BASE, lab->mmio);
    memory_region_add(memory_io(), 0, lab->ports);
    for (unsigned i = 0; i < cpus; i++) {
        VCpu *cpu = vcpu_new(NULL, i, i, NULL, &topology, &error);

        g_assert_no_error(error);
        vcpu_reset(cpu);
    }
    lab->cpu_count = cpus;
    return true;
}

static void lab_stop(void)
{
    vcpus_pause_all();
    for (unsigned i = 0; i < lab->cpu_count; i++) {
        vcpu_free(vcpu_get(i));
    }
    memory_region_remove(memory_io(), lab->ports);
    memory_region_remove(memory_system(), lab->mmio);
    memory_region_remove(memory_system(), lab->rom);
    memory_region_remove(memory_system(), lab->ram);
    memory_region_free(lab->ports);
    memory_region_free(lab->mmio);
    memory_region_free(lab->rom);
    memory_region_free(lab->ram);
    accel_cleanup();
    g_array_unref(lab->written);
    g_clear_pointer(&lab, g_free);
}

static void place(VCpu *cpu, uint16_t ip)
{
    g_assert_true(vcpu_sync_state(cpu, NULL));
    cpu->state.segs[X86_CS].selector = 0;
    cpu->state.segs[X86_CS].base = 0;
    cpu->state.rip = ip;
    cpu->state.regs[X86_RSP] = 0x8000 + cpu->index * 0x1000;
    cpu->state.mp_state = X86_MP_RUNNABLE;
    vcpu_state_changed(cpu);
}

/* 4 GiB through DS in real mode. */
static void use_flat_data(VCpu *cpu)
{
    place(cpu, CODE);
    cpu->state.segs[X86_DS].limit = 0xffffffff;
    cpu->state.segs[X86_DS].attr |= 1u << 15;
}

/* Put code at CODE and let CPU 0 run it; others stay where they are. */
static void run_code(const uint8_t *code, size_t size)
{
    memcpy(lab->bytes + CODE, code, size);
    place(vcpu_get(0), CODE);
    lab->done = false;
    vcpus_resume_all();
}

#define RUN(...) \
    run_code((const uint8_t[]) { __VA_ARGS__ }, sizeof((const uint8_t[]) { __VA_ARGS__ }))
#define OUT_TEST_AX 0xba, 0x00, 0x01, 0xef       /* mov dx, 100h; out dx, ax */
#define OUT_TEST_AL 0xba, 0x00, 0x01, 0xee
#define OUT_DONE 0xba, 0x01, 0x01, 0xee          /* mov dx, 101h; out dx, al */
#define CLI_HLT 0xfa, 0xf4

static uint32_t written(unsigned i)
{
    g_assert_cmpuint(i, <, lab->written->len);
    return g_array_index(lab->written, uint32_t, i);
}

static void test_ports(void)
{
    if (!lab_start("kvm", ACCEL_IRQCHIP_ON, 1)) {
        return;
    }
    /* mov ax, 1234h; out; in ax, dx; out dx, ax; string: rep outsb of 3 bytes; rep insb of 2 */
    memcpy(lab->bytes + 0x3000, "\x01\x02\x03", 3);
    RUN(0xb8, 0x34, 0x12, OUT_TEST_AX, 0xed, 0xef, 0xfc, 0xbe, 0x00, 0x30, 0xb9, 0x03, 0x00, 0xf3,
        0x6e, 0xbf, 0x00, 0x40, 0xb9, 0x02, 0x00, 0xf3, 0x6c, OUT_DONE, CLI_HLT);
    wait_for(&lab->done);
    g_assert_cmpuint(lab->written->len, ==, 5);
    g_assert_cmphex(written(0), ==, 0x1234);
    g_assert_cmphex(written(1), ==, 0x5a5a);
    g_assert_cmphex(written(4), ==, 3);
    g_assert_cmpmem(lab->bytes + 0x4000, 3, "\x5a\x5a\x00", 3);
    lab_stop();
}

/* In 32-bit flat segments: reads, writes and an access that crosses the region's page. */
static void test_mmio_and_rom(void)
{
    VCpu *cpu;

    if (!lab_start("kvm", ACCEL_IRQCHIP_ON, 1)) {
        return;
    }
    memcpy(memory_region_ram_ptr(lab->rom), "ROM!", 4);
    cpu = vcpu_get(0);
    use_flat_data(cpu);
    /* mov ebx, MMIO; mov eax, [ebx+4]; mov [ebx], eax; mov ebx, C0000h; mov eax, [ebx];
       mov dword [ebx], 0; mov ax, [ebx] ; out */
    RUN(0x66, 0xbb, 0x00, 0x00, 0x00, 0xd0, 0x67, 0x66, 0x8b, 0x43, 0x04, 0x67, 0x66, 0x89, 0x03,
        0x66, 0xbb, 0x00, 0x00, 0x0c, 0x00, 0x67, 0x66, 0xc7, 0x03, 0x00, 0x00, 0x00, 0x00,
        0x67, 0x66, 0x8b, 0x03, OUT_TEST_AX, OUT_DONE, CLI_HLT);
    wait_for(&lab->done);
    g_assert_cmpuint(lab->mmio_writes, ==, 1);
    g_assert_cmphex(lab->last_mmio, ==, 0x11223348);
    g_assert_cmphex(written(0), ==, 'R' | 'O' << 8);
    g_assert_cmpmem(memory_region_ram_ptr(lab->rom), 4, "ROM!", 4);
    lab_stop();
}

/* A handler for IVT vector `vector` at 0x2000: writes the vector number and returns. */
static void put_handler(unsigned vector)
{
    const uint8_t code[] = { 0x50, 0x52, 0xb8, vector, 0x00, OUT_TEST_AL, 0x5a, 0x58,
                             0xc6, 0x06, 0x00, 0x50, 0x01, 0xcf }; /* mov byte [5000h], 1; iret */

    memcpy(lab->bytes + 0x2000, code, sizeof(code));
    stl_le(lab->bytes + vector * 4, 0x2000);
}

/* In the kernel's APIC: software enable, then wait for one MSI by irqfd and one by msi_send. */
static void test_msi(void)
{
    EventNotifier notifier;
    g_autoptr(GError) error = NULL;
    int virq;

    if (!lab_start("kvm", ACCEL_IRQCHIP_ON, 1)) {
        return;
    }
    put_handler(0x40);
    use_flat_data(vcpu_get(0));
    g_assert_true(event_notifier_init(&notifier, &error));
    virq = accel_ops()->route_add_msi(accel_current(), 0xfee00000, 0x40);
    g_assert_cmpint(virq, >=, 24);
    g_assert_cmpint(accel_ops()->route_commit(accel_current()), ==, 0);
    g_assert_cmpint(accel_ops()->irqfd_add(accel_current(), &notifier, NULL, virq), ==, 0);
    /* mov ebx, FEE00000h; mov dword [ebx+F0h], 1FFh; l: sti; hlt; cli; cmp byte [5000h], 1; jne l;
       mov byte [5000h], 0; mov dword [ebx+B0h], 0 (EOI); done; l2: the same again */
#define WAIT_INT                                                                                   \
    0xfb, 0xf4, 0xfa, 0x80, 0x3e, 0x00, 0x50, 0x01, 0x75, 0xf6, 0xc6, 0x06, 0x00, 0x50, 0x00,      \
    0x67, 0x66, 0xc7, 0x83, 0xb0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, OUT_DONE
    RUN(0x66, 0xbb, 0x00, 0x00, 0xe0, 0xfe, 0x67, 0x66, 0xc7, 0x83, 0xf0, 0x00, 0x00, 0x00, 0xff,
        0x01, 0x00, 0x00, OUT_DONE, WAIT_INT, WAIT_INT, CLI_HLT);
    wait_for(&lab->done);
    lab->done = false;
    event_notifier_set(&notifier);
    wait_for(&lab->done);
    g_assert_cmpuint(lab->written->len, ==, 1);
    g_assert_cmphex(written(0), ==, 0x40);
    lab->done = false;
    g_assert_cmpint(accel_ops()->msi_send(accel_current(), 0xfee00000, 0x40), ==, 0);
    wait_for(&lab->done);
    g_assert_cmpuint(lab->written->len, ==, 2);
    g_assert_cmpint(accel_ops()->irqfd_del(accel_current(), &notifier, virq), ==, 0);
    accel_ops()->route_del(accel_current(), virq);
    g_assert_cmpint(accel_ops()->route_add_msi(accel_current(), 0xfee00000, 0x41), ==, virq);
    event_notifier_cleanup(&notifier);
    lab_stop();
}

/* The PIC's IRQ 5 by GSI, in virtual wire mode: ICW 1-4 at both, all but IRQ 5 masked. */
static void test_gsi(void)
{
    if (!lab_start("kvm", ACCEL_IRQCHIP_ON, 1)) {
        return;
    }
    put_handler(0x25);
    RUN(0xb0, 0x11, 0xe6, 0x20, 0xb0, 0x20, 0xe6, 0x21, 0xb0, 0x04, 0xe6, 0x21, 0xb0, 0x01, 0xe6,
        0x21, 0xb0, 0xdf, 0xe6, 0x21, OUT_DONE, 0xfb, 0xf4, 0xfa, OUT_DONE, CLI_HLT);
    wait_for(&lab->done);
    lab->done = false;
    accel_ops()->set_gsi(accel_current(), 5, true);
    wait_for(&lab->done);
    g_assert_cmpuint(lab->written->len, ==, 1);
    g_assert_cmphex(written(0), ==, 0x25);
    accel_ops()->set_gsi(accel_current(), 5, false);
    accel_ops()->set_gsi(accel_current(), 4711, true);
    lab_stop();
}

static void test_ioeventfd(void)
{
    EventNotifier port, exact, other;

    if (!lab_start("kvm", ACCEL_IRQCHIP_ON, 1)) {
        return;
    }
    g_assert_true(event_notifier_init(&port, NULL));
    g_assert_true(event_notifier_init(&exact, NULL));
    g_assert_true(event_notifier_init(&other, NULL));
    memory_region_add_eventfd(lab->ports, 0x200, 0, false, 0, &port);
    memory_region_add_eventfd(lab->mmio, 0x10, 2, true, 7, &exact);
    memory_region_add_eventfd(lab->mmio, 0x10, 2, true, 8, &other);
    use_flat_data(vcpu_get(0));
    /* mov dx, 200h; out dx, ax; mov ebx, MMIO + 10h; mov word [ebx], 7 */
    RUN(0xba, 0x00, 0x02, 0xef, 0x66, 0xbb, 0x10, 0x00, 0x00, 0xd0, 0x67, 0xc7, 0x03, 0x07, 0x00,
        OUT_DONE, CLI_HLT);
    wait_for(&lab->done);
    g_assert_true(event_notifier_test_and_clear(&port));
    g_assert_true(event_notifier_test_and_clear(&exact));
    g_assert_false(event_notifier_test_and_clear(&other));
    g_assert_cmpuint(lab->mmio_writes, ==, 0);
    memory_region_del_eventfd(lab->ports, 0x200, 0, false, 0, &port);
    memory_region_del_eventfd(lab->mmio, 0x10, 2, true, 7, &exact);
    memory_region_del_eventfd(lab->mmio, 0x10, 2, true, 8, &other);
    event_notifier_cleanup(&port);
    event_notifier_cleanup(&exact);
    event_notifier_cleanup(&other);
    lab_stop();
}

static void test_coalesced(void)
{
    if (!lab_start("kvm", ACCEL_IRQCHIP_ON, 1)) {
        return;
    }
    memory_region_set_coalescing(lab->mmio, 0, 0x1000, true);
    use_flat_data(vcpu_get(0));
    /* mov ebx, MMIO; mov cx, 50; l: mov [ebx], cx; loop l; done (whose exit drains the ring) */
    RUN(0x66, 0xbb, 0x00, 0x00, 0x00, 0xd0, 0xb9, 0x32, 0x00, 0x67, 0x89, 0x0b, 0xe2, 0xfb,
        OUT_DONE, CLI_HLT);
    wait_for(&lab->done);
    g_assert_cmpuint(lab->mmio_writes, ==, 50);
    g_assert_cmphex(lab->last_mmio, ==, 1);
    memory_region_set_coalescing(lab->mmio, 0, 0x1000, false);
    lab_stop();
}

static void check_dirty(const char *accel)
{
    unsigned long *bitmap;

    if (!lab_start(accel, ACCEL_IRQCHIP_ON, 1)) {
        return;
    }
    bitmap = g_new0(unsigned long, RAM_SIZE / 4096 / 64 + 1);
    memory_region_set_log(lab->ram, DIRTY_MIGRATION, true);
    memory_region_snapshot_dirty(lab->ram, DIRTY_MIGRATION, 0, RAM_SIZE, bitmap);
    /* mov byte [6000h], 1; done; hlt */
    RUN(0xc6, 0x06, 0x00, 0x60, 0x01, OUT_DONE, CLI_HLT);
    wait_for(&lab->done);
    vcpus_pause_all();
    memory_region_snapshot_dirty(lab->ram, DIRTY_MIGRATION, 0, RAM_SIZE, bitmap);
    g_assert_true(bitmap[0] >> 6 & 1);
    g_assert_false(bitmap[0] >> 7 & 1);
    /* Written again after the log was cleared: noticed again. */
    memory_region_snapshot_dirty(lab->ram, DIRTY_MIGRATION, 0, RAM_SIZE, bitmap);
    g_assert_false(bitmap[0] >> 6 & 1);
    RUN(0xc6, 0x06, 0x00, 0x60, 0x02, OUT_DONE, CLI_HLT);
    wait_for(&lab->done);
    memory_region_snapshot_dirty(lab->ram, DIRTY_MIGRATION, 0, RAM_SIZE, bitmap);
    g_assert_true(bitmap[0] >> 6 & 1);
    memory_region_set_log(lab->ram, DIRTY_MIGRATION, false);
    g_free(bitmap);
    lab_stop();
}

static void test_dirty_log(void)
{
    check_dirty("kvm");
}

static void test_dirty_ring(void)
{
    check_dirty("kvm,dirty-ring-size=4096");
}

/* Registers survive set, run and get; an MSR too. */
static void test_state(void)
{
    X86CpuState *state;
    uint64_t value;
    VCpu *cpu;

    if (!lab_start("kvm", ACCEL_IRQCHIP_ON, 1)) {
        return;
    }
    cpu = vcpu_get(0);
    state = &cpu->state;
    g_assert_cmphex(state->segs[X86_CS].base, ==, 0xffff0000);
    g_assert_cmphex(state->regs[X86_RDX], ==, 0);
    place(cpu, CODE);
    state->regs[X86_RBX] = 0xcafe;
    state->regs[X86_R15] = 0x123456789abcdef0;
    g_assert_true(x86_cpu_state_set_msr(state, 0x174, 0x77)); /* SYSENTER_CS */
    stl_le(state->xsave + 24, 0x1f81);
    RUN(0x43, OUT_DONE, CLI_HLT); /* inc bx */
    wait_for(&lab->done);
    vcpus_pause_all();
    g_assert_false(cpu->state_valid);
    g_assert_true(vcpu_sync_state(cpu, NULL));
    g_assert_cmphex(state->regs[X86_RBX], ==, 0xcaff);
    g_assert_cmphex(state->regs[X86_R15], ==, 0x123456789abcdef0);
    g_assert_true(x86_cpu_state_get_msr(state, 0x174, &value));
    g_assert_cmphex(value, ==, 0x77);
    g_assert_cmphex(ldl_le(state->xsave + 24), ==, 0x1f81);
    /* Completed port access: RIP stands behind the OUT. */
    g_assert_cmphex(state->rip, >=, CODE + 5);
    lab_stop();
}

static void test_pause_resume(void)
{
    if (!lab_start("kvm", ACCEL_IRQCHIP_ON, 2)) {
        return;
    }
    /* done; l: inc word [6000h]; jmp l  (CPU 1 spins as well) */
    memcpy(lab->bytes + 0x1100, "\xff\x06\x02\x60\xeb\xfa", 6);
    place(vcpu_get(1), 0x1100);
    RUN(OUT_DONE, 0xff, 0x06, 0x00, 0x60, 0xeb, 0xfa);
    wait_for(&lab->done);
    for (unsigned i = 0; i < 20; i++) {
        uint32_t before;

        vcpus_pause_all();
        before = ldl_le(lab->bytes + 0x6000);
        vm_unlock();
        g_usleep(1000);
        vm_lock();
        g_assert_cmphex(ldl_le(lab->bytes + 0x6000), ==, before);
        vcpus_resume_all();
        vm_unlock();
        g_usleep(1000);
        vm_lock();
    }
    g_assert_cmphex(ldw_le(lab->bytes + 0x6002), !=, 0);
    lab_stop();
}

/* While both CPUs run in RAM, the region below them is remapped: they must not notice. */
static void test_remap_under_load(void)
{
    if (!lab_start("kvm", ACCEL_IRQCHIP_ON, 2)) {
        return;
    }
    memcpy(lab->bytes + 0x1100, "\xff\x06\x02\x60\xeb\xfa", 6);
    place(vcpu_get(1), 0x1100);
    RUN(OUT_DONE, 0xff, 0x06, 0x00, 0x60, 0xeb, 0xfa);
    wait_for(&lab->done);
    for (unsigned i = 0; i < 50; i++) {
        memory_region_set_enabled(lab->rom, i & 1); /* splits and joins the RAM's slot */
        vm_unlock();
        g_usleep(200);
        vm_lock();
    }
    g_assert_false(lab->failed);
    g_assert_false(lab->reset_requested);
    lab_stop();
}

static void test_triple_fault(void)
{
    VCpu *cpu;

    if (!lab_start("kvm", ACCEL_IRQCHIP_ON, 1)) {
        return;
    }
    cpu = vcpu_get(0);
    place(cpu, CODE);
    cpu->state.idt.limit = 0;
    cpu->state.cr0 = 0x11;
    for (unsigned i = 0; i <= X86_GS; i++) {
        cpu->state.segs[i].selector = 8 * (i + 1);
    }
    vm_events_register(&events);
    memcpy(lab->bytes + CODE, "\x0f\x0b", 2); /* ud2, in protected mode without an IDT */
    vcpus_resume_all();
    wait_for(&lab->reset_requested);
    vcpus_pause_all();
    vcpu_reset(cpu);
    g_assert_cmphex(cpu->state.idt.limit, ==, 0xffff);
    /* And it runs again. */
    RUN(OUT_DONE, CLI_HLT);
    wait_for(&lab->done);
    g_assert_false(lab->failed);
    lab_stop();
}

/* Code cannot be fetched from a device: one report, and the machine stops; a reset revives it. */
static void test_no_code(void)
{
    VCpu *cpu;

    if (!lab_start("kvm", ACCEL_IRQCHIP_ON, 1)) {
        return;
    }
    cpu = vcpu_get(0);
    place(cpu, 0);
    cpu->state.segs[X86_CS].base = MMIO_BASE;
    vcpus_resume_all();
    wait_for(&lab->failed);
    g_assert_true(lab->failed);
    vcpus_pause_all();
    lab->failed = false;
    vcpu_reset(cpu);
    RUN(OUT_DONE, CLI_HLT);
    wait_for(&lab->done);
    g_assert_false(lab->failed);
    lab_stop();
}

static void test_single_step(void)
{
    static const VCpuBreakpoint point = { CODE + 5, VCPU_BREAK_EXECUTE, 1 };
    g_autoptr(GError) error = NULL;
    VCpu *cpu;

    if (!lab_start("kvm", ACCEL_IRQCHIP_ON, 1)) {
        return;
    }
    cpu = vcpu_get(0);
    vm_events_register(&events);
    cpu->debug.single_step = true;
    g_assert_true(accel_ops()->update_debug(cpu, &error));
    RUN(0x90, 0x43, OUT_DONE, CLI_HLT);
    /* A processor that is itself interpreted may not trap single steps of nested guests. */
    for (unsigned i = 0; i < 200 && !lab->debug_stopped; i++) {
        vm_unlock();
        g_usleep(10000);
        vm_lock();
    }
    vcpus_pause_all();
    if (!lab->debug_stopped) {
        g_test_skip("no debug exit came: the processor does not single-step guests");
        lab_stop();
        return;
    }
    g_assert_cmphex(cpu->debug.hit_address, ==, CODE + 1);
    cpu->debug.single_step = false;
    cpu->debug.count = 1;
    cpu->debug.points = &point;
    g_assert_true(accel_ops()->update_debug(cpu, &error));
    lab->debug_stopped = false;
    vcpus_resume_all();
    wait_for(&lab->debug_stopped);
    g_assert_cmphex(cpu->debug.hit_address, ==, CODE + 5);
    g_assert_false(lab->done);
    lab_stop();
}

/* Ports and addresses at the ends of their spaces, in sizes that reach over them. */
static void test_edges(void)
{
    if (!lab_start("kvm", ACCEL_IRQCHIP_ON, 1)) {
        return;
    }
    use_flat_data(vcpu_get(0));
    /* mov dx, FFFFh; in eax, dx; out dx, eax; rep insd of 3; mov ebx, MMIO + FFFh; mov eax, [ebx];
       mov [ebx], eax; mov ax, word [ebx]; out */
    RUN(0xba, 0xff, 0xff, 0x66, 0xed, 0x66, 0xef, 0xbf, 0x00, 0x40, 0xb9, 0x03, 0x00, 0xf3, 0x66,
        0x6d, 0x66, 0xbb, 0xff, 0x0f, 0x00, 0xd0, 0x67, 0x66, 0x8b, 0x03, 0x67, 0x66, 0x89, 0x03,
        OUT_DONE, CLI_HLT);
    wait_for(&lab->done);
    g_assert_false(lab->failed);
    g_assert_cmphex(ldl_le(lab->bytes + 0x4000), ==, 0xffffffff);
    lab_stop();
}

/* A pending NMI gets through LINT1 only if the guest has set it up so. */
static void test_nmi(void)
{
    VCpu *cpu;

    if (!lab_start("kvm", ACCEL_IRQCHIP_ON, 1)) {
        return;
    }
    cpu = vcpu_get(0);
    put_handler(2);
    use_flat_data(cpu);
    /* mov ebx, FEE00000h; done; mov dword [ebx + F0h], 1FFh; mov dword [ebx + 360h], 400h;
       l: cmp byte [5000h], 1; jne l; done */
    RUN(0x66, 0xbb, 0x00, 0x00, 0xe0, 0xfe, OUT_DONE, 0x67, 0x66, 0xc7, 0x83, 0xf0, 0x00, 0x00,
        0x00, 0xff, 0x01, 0x00, 0x00, 0x67, 0x66, 0xc7, 0x83, 0x60, 0x03, 0x00, 0x00, 0x00, 0x04,
        0x00, 0x00, 0x80, 0x3e, 0x00, 0x50, 0x01, 0x75, 0xf9, OUT_DONE, CLI_HLT);
    wait_for(&lab->done);
    while (!accel_ops()->inject_nmi(cpu)) {
        vm_unlock();
        g_usleep(1000);
        vm_lock();
    }
    lab->done = false;
    while (!lab->written->len) {
        vm_unlock();
        g_usleep(1000);
        vm_lock();
    }
    g_assert_cmphex(written(0), ==, 2);
    lab_stop();
}

/* The paravirtual clock stands still while the VM does. */
static void test_clock(void)
{
    if (!lab_start("kvm", ACCEL_IRQCHIP_ON, 2)) {
        return;
    }
    RUN(OUT_DONE, CLI_HLT);
    wait_for(&lab->done);
    for (unsigned i = 0; i < 3; i++) {
        vcpus_pause_all();
        accel_ops()->vm_state_changed(accel_current(), false);
        accel_ops()->vm_state_changed(accel_current(), true);
        vcpus_resume_all();
    }
    accel_ops()->vm_state_changed(accel_current(), true);
    lab_stop();
}

/* Many slots: RAM in 64 pieces with holes, moved while a CPU runs. */
static void test_many_slots(void)
{
    MemoryRegion *pieces[64];

    if (!lab_start("kvm", ACCEL_IRQCHIP_ON, 1)) {
        return;
    }
    memory_transaction_begin();
    for (unsigned i = 0; i < G_N_ELEMENTS(pieces); i++) {
        pieces[i] = memory_region_new_alias(NULL, "piece", lab->ram, i * 0x1000ull, 0x1000);
        memory_region_add(memory_system(), 0x10000000 + i * 0x2000ull, pieces[i]);
    }
    memory_transaction_commit();
    RUN(OUT_DONE, 0xff, 0x06, 0x00, 0x60, 0xeb, 0xfa);
    wait_for(&lab->done);
    for (unsigned i = 0; i < G_N_ELEMENTS(pieces); i++) {
        memory_region_set_address(pieces[i], 0x20000000 + i * 0x3000ull);
    }
    g_assert_false(lab->failed);
    for (unsigned i = 0; i < G_N_ELEMENTS(pieces); i++) {
        memory_region_remove(memory_system(), pieces[i]);
        memory_region_free(pieces[i]);
    }
    lab_stop();
}

/* ---- the APIC in userspace ---- */

typedef struct FakeApic {
    int vector;          /* waiting, or -1 */
    unsigned acked, eois, inits;
    uint8_t tpr;
    uint64_t base;
    uint64_t msr;
} FakeApic;

static int fake_ack(void *opaque)
{
    FakeApic *apic = opaque;
    int vector = apic->vector;

    apic->vector = -1;
    apic->acked++;
    vcpu_set_irq(vcpu_get(0), VCPU_IRQ_HARD | VCPU_IRQ_EXTINT, false);
    return vector;
}

static bool fake_has_pending(void *opaque)
{
    return ((FakeApic *)opaque)->vector >= 0;
}

static uint8_t fake_get_tpr(void *opaque)
{
    return ((FakeApic *)opaque)->tpr;
}

static void fake_set_tpr(void *opaque, uint8_t cr8)
{
    ((FakeApic *)opaque)->tpr = cr8;
}

static uint64_t fake_get_base(void *opaque)
{
    return ((FakeApic *)opaque)->base;
}

static bool fake_set_base(void *opaque, uint64_t value)
{
    ((FakeApic *)opaque)->base = value;
    return true;
}

static bool fake_msr_read(void *opaque, uint32_t index, uint64_t *value)
{
    *value = ((FakeApic *)opaque)->msr + index;
    return index != 0x8ff;
}

static bool fake_msr_write(void *opaque, uint32_t index, uint64_t value)
{
    ((FakeApic *)opaque)->msr = value;
    return true;
}

static void fake_init(void *opaque)
{
    ((FakeApic *)opaque)->inits++;
}

static const VCpuApicOps fake_apic_ops = {
    .ack = fake_ack,
    .has_pending = fake_has_pending,
    .get_tpr = fake_get_tpr,
    .set_tpr = fake_set_tpr,
    .get_base = fake_get_base,
    .set_base = fake_set_base,
    .msr_read = fake_msr_read,
    .msr_write = fake_msr_write,
    .init_reset = fake_init,
};

static void check_userspace_interrupt(AccelIrqchip irqchip)
{
    FakeApic apic = { .vector = -1, .base = 0xfee00900 };
    VCpu *cpu;

    if (!lab_start("kvm", irqchip, 1)) {
        return;
    }
    cpu = vcpu_get(0);
    cpu->apic = &apic;
    cpu->apic_ops = &fake_apic_ops;
    put_handler(0x33);
    /* done; sti; hlt; cli; mov byte [5000h], 0; done; then an interrupt that must wait for sti:
       write 77h; sti; l: cmp byte [5000h], 1; jne l; cli; done */
    RUN(OUT_DONE, 0xfb, 0xf4, 0xfa, 0xc6, 0x06, 0x00, 0x50, 0x00, OUT_DONE, 0xb9, 0x00, 0x10, 0xe2,
        0xfe, 0xb8, 0x77, 0x00, OUT_TEST_AL, 0xfb, 0x80, 0x3e, 0x00, 0x50, 0x01, 0x75, 0xf9, 0xfa,
        OUT_DONE, CLI_HLT);
    wait_for(&lab->done);
    lab->done = false;
    apic.vector = 0x33;
    vcpu_set_irq(cpu, irqchip == ACCEL_IRQCHIP_OFF ? VCPU_IRQ_HARD : VCPU_IRQ_EXTINT, true);
    wait_for(&lab->done);
    g_assert_cmpuint(apic.acked, ==, 1);
    g_assert_cmphex(written(0), ==, 0x33);
    lab->done = false;
    apic.vector = 0x33;
    vcpu_set_irq(cpu, irqchip == ACCEL_IRQCHIP_OFF ? VCPU_IRQ_HARD : VCPU_IRQ_EXTINT, true);
    wait_for(&lab->done);
    g_assert_cmphex(written(1), ==, 0x77);
    g_assert_cmphex(written(2), ==, 0x33);
    lab_stop();
}

static void test_userspace_apic(void)
{
    check_userspace_interrupt(ACCEL_IRQCHIP_OFF);
}

static void test_split_extint(void)
{
    check_userspace_interrupt(ACCEL_IRQCHIP_SPLIT);
}

/* INIT and SIPI wake an AP whose APIC is a model, at the vector's page. */
static void test_init_sipi(void)
{
    FakeApic apics[2] = { { .vector = -1 }, { .vector = -1 } };

    if (!lab_start("kvm", ACCEL_IRQCHIP_OFF, 2)) {
        return;
    }
    for (unsigned i = 0; i < 2; i++) {
        vcpu_get(i)->apic = &apics[i];
        vcpu_get(i)->apic_ops = &fake_apic_ops;
    }
    /* At 7:0: mov ax, cs; out; done */
    memcpy(lab->bytes + 0x7000, (const uint8_t[]) { 0x8c, 0xc8, OUT_TEST_AX, OUT_DONE, CLI_HLT },
           12);
    RUN(OUT_DONE, CLI_HLT);
    wait_for(&lab->done);
    lab->done = false;
    vcpu_set_irq(vcpu_get(1), VCPU_IRQ_INIT, true);
    vcpu_get(1)->sipi_vector = 7;
    vcpu_set_irq(vcpu_get(1), VCPU_IRQ_SIPI, true);
    wait_for(&lab->done);
    g_assert_cmphex(written(0), ==, 0x700);
    g_assert_cmpuint(apics[1].inits, ==, 1);
    g_assert_cmpuint(vcpu_get(1)->irq_lines, ==, 0);
    lab_stop();
}

/* A CPU leaves while both run, and one comes in its place and runs. KVM keeps the old one. */
static void test_hotplug(void)
{
    const X86Topology topology = { 1, 1, 2, 1 };

    if (!lab_start("kvm", ACCEL_IRQCHIP_ON, 2)) {
        return;
    }
    /* done; l: inc word [6000h]; jmp l; the other one counts at 6002h */
    memcpy(lab->bytes + 0x1100, "\xff\x06\x02\x60\xeb\xfa", 6);
    RUN(OUT_DONE, 0xff, 0x06, 0x00, 0x60, 0xeb, 0xfa);
    wait_for(&lab->done);
    for (unsigned i = 0; i < 5; i++) {
        VCpu *cpu;

        vcpu_free(vcpu_get(1));
        g_assert_null(vcpu_get(1));
        g_assert_null(vcpu_next(vcpu_get(0)));
        stw_le(lab->bytes + 0x6002, 0);
        cpu = vcpu_new(NULL, 1, 1, NULL, &topology, NULL);
        g_assert_nonnull(cpu);
        vcpu_reset(cpu);
        place(cpu, 0x1100);
        vcpu_join_others(cpu);
        while (!ldw_le(lab->bytes + 0x6002)) {
            vm_unlock();
            g_usleep(1000);
            vm_lock();
        }
    }
    lab_stop();
}

static void test_properties(void)
{
    const char *const bad[] = { "kvm,dirty-ring-size=1000", "kvm,kernel-irqchip=maybe",
                                "kvm,notify-vmexit=never" };
    const AccelConfig config = { .irqchip = ACCEL_IRQCHIP_ON, .max_cpus = 1 };
    g_autofree char *help = accel_properties_help("kvm", NULL);

    g_assert_nonnull(strstr(help, "dirty-ring-size"));
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        const char *const list[] = { bad[i], NULL };
        g_autoptr(GError) error = NULL;

        g_assert_false(accel_select(list, &config, true, &error));
        g_assert_nonnull(error);
    }
    if (lab_start("kvm,kernel-irqchip=split", ACCEL_IRQCHIP_SPLIT, 1)) {
        lab_stop();
    }
}

/* The probe is quick and tells one line. */
static void test_probe(void)
{
    g_autoptr(Object) accel = object_new("kvm-accel");
    const AccelOps *ops = object_ops(accel);
    AccelProbe probe = { 0 };
    gint64 start = g_get_monotonic_time();

    ops->probe((Accel *)accel, &probe);
    g_assert_cmpint(g_get_monotonic_time() - start, <, g_test_perf() ? 10000 : 100000);
    if (!probe.usable) {
        g_assert_nonnull(probe.reason);
        g_assert_null(strchr(probe.reason, '\n'));
        g_test_message("%s", probe.reason);
    }
    g_free(probe.reason);
}

/* What an unknown kind of KVM goes through must come to what is known of this host's. */
static void test_probe_by_test(void)
{
    g_autoptr(Object) accel = object_new("kvm-accel");
    const AccelOps *ops = object_ops(accel);
    AccelProbe known = { 0 }, tested = { 0 };

    ops->probe((Accel *)accel, &known);
    kvm_probe_by_test(&tested);
    if (tested.reason) {
        g_test_message("%s", tested.reason);
        g_assert_null(strchr(tested.reason, '\n'));
    }
    g_assert_cmpint(tested.usable, ==, known.usable);
    g_assert_cmpint(tested.firmware_only, ==, known.firmware_only);
    g_assert_cmpint(tested.usable, ==, tested.reason == NULL);
    g_free(known.reason);
    g_free(tested.reason);
}

/* SMRAM at 0x30000 in KVM's second address space, with code that ordinary memory does not have. */
static void test_smm(void)
{
    static const uint8_t handler[] = {
        0xb8, 0x77, 0x00, OUT_TEST_AL,      /* mov ax, 77h */
        0xc6, 0x06, 0x00, 0x50, 0x01,       /* mov byte [5000h], 1 */
        0x0f, 0xaa,                         /* rsm */
    };
    MemoryRegion *smm, *smram;

    if (!accel_select((const char *const[]) { "kvm", NULL },
                      &(AccelConfig) { .irqchip = ACCEL_IRQCHIP_ON, .max_cpus = 1 }, true, NULL) ||
        !accel_has_smm()) {
        g_test_skip("this host's KVM has no SMM");
        accel_cleanup();
        return;
    }
    accel_cleanup();
    smm = memory_smm_init();
    smram = memory_region_new_ram(NULL, "smram", 64 * KiB, NULL);
    memory_region_add_overlap(smm, 0x30000, smram, 1);
    memcpy((uint8_t *)memory_region_ram_ptr(smram) + 0x8000, handler, sizeof(handler));
    g_assert_true(lab_start("kvm", ACCEL_IRQCHIP_ON, 1));
    lab->bytes[0x38000] = 0x5a;
    /* mov ax, 11h; out; wait for [5000h]; mov ax, 3000h; mov ds, ax; mov al, [8000h]; out; done */
    RUN(0xb8, 0x11, 0x00, OUT_TEST_AL, 0x80, 0x3e, 0x00, 0x50, 0x00, 0x74, 0xf9, 0xb8, 0x00, 0x30,
        0x8e, 0xd8, 0xa0, 0x00, 0x80, OUT_TEST_AL, OUT_DONE, CLI_HLT);
    vcpu_set_irq(vcpu_get(0), VCPU_IRQ_SMI, true);
    wait_for(&lab->done);
    g_assert_cmpuint(lab->written->len, ==, 3);
    g_assert_cmphex(written(0) ^ written(1), ==, 0x11 ^ 0x77); /* in either order */
    g_assert_cmphex(written(2), ==, 0x5a);
    lab_stop();
    memory_region_remove(smm, smram);
    memory_region_free(smram);
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    error_init("test-kvm");
    g_test_add_func("/kvm/probe", test_probe);
    g_test_add_func("/kvm/probe-by-test", test_probe_by_test);
    g_test_add_func("/kvm/properties", test_properties);
    g_test_add_func("/kvm/ports", test_ports);
    g_test_add_func("/kvm/mmio-and-rom", test_mmio_and_rom);
    g_test_add_func("/kvm/gsi", test_gsi);
    g_test_add_func("/kvm/msi", test_msi);
    g_test_add_func("/kvm/ioeventfd", test_ioeventfd);
    g_test_add_func("/kvm/coalesced", test_coalesced);
    g_test_add_func("/kvm/dirty-log", test_dirty_log);
    g_test_add_func("/kvm/dirty-ring", test_dirty_ring);
    g_test_add_func("/kvm/state", test_state);
    g_test_add_func("/kvm/pause-resume", test_pause_resume);
    g_test_add_func("/kvm/remap-under-load", test_remap_under_load);
    g_test_add_func("/kvm/triple-fault", test_triple_fault);
    g_test_add_func("/kvm/no-code", test_no_code);
    g_test_add_func("/kvm/single-step", test_single_step);
    g_test_add_func("/kvm/edges", test_edges);
    g_test_add_func("/kvm/nmi", test_nmi);
    g_test_add_func("/kvm/clock", test_clock);
    g_test_add_func("/kvm/many-slots", test_many_slots);
    g_test_add_func("/kvm/userspace-apic", test_userspace_apic);
    g_test_add_func("/kvm/split-extint", test_split_extint);
    g_test_add_func("/kvm/init-sipi", test_init_sipi);
    g_test_add_func("/kvm/hotplug", test_hotplug);
    g_test_add_func("/kvm/smm", test_smm);
    vm_lock();
    memory_init();
    vm_events_register(&events);
    status = g_test_run();
    memory_cleanup();
    vm_unlock();
    return status;
}
