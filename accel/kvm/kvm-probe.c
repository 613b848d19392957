/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Can this host's KVM run an ordinary guest?
 *
 * Where the processor shows VMX or SVM, yes. Without them, /dev/kvm may still be there and be of a
 * kind that shares the processor by other means. The PVM kind says so in a MSR of its own; any
 * other is put to the test: a VM of one page of code that does in 64-bit mode at CPL 0 what every
 * kernel does first (XGETBV, EFER, SYSCALL), and then a loop under a time limit that interpreted
 * code cannot keep.
 */
#include "accel/kvm/kvm-internal.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "util/bits.h"
#include "util/thread.h"

#define PVM_KIND_MSR 0x4b564d11
#define PVM_KIND_VALUE 0x4d5650
/*
 * Getting to the first exit takes far less than this, but for a host that is itself emulated.
 */
#define START_LIMIT_NS 300000000
/*
 * The loop: so long, and if need be so many times as long as it takes here. Interpreted code is
 * slower by a factor of 10000.
 */
#define LOOP_LIMIT_NS 6000000
#define LOOP_TURNS 20000
#define LOOP_FACTOR 200

/* The test VM's memory: page tables, descriptors and code, all in the first 64 KiB. */
enum {
    RAM_SIZE = 0x10000,
    PML4 = 0x1000,
    PDPT = 0x2000,
    PAGE_DIRECTORY = 0x3000,
    GDT = 0x4000,
    CODE = 0x8000,
    RESULT_PORT = 0xf4,
    KERNEL_CS = 8,
};

/* Everything that the probe opens; zero-length or negative means not there. */
typedef struct ProbeVm {
    int kvm, vm, vcpu;
    struct kvm_run *run;
    size_t run_size;
    uint8_t *ram;
} ProbeVm;

static void close_vm(ProbeVm *probe)
{
    if (probe->run) {
        munmap(probe->run, probe->run_size);
    }
    if (probe->ram) {
        munmap(probe->ram, RAM_SIZE);
    }
    for (unsigned i = 0; i < 3; i++) {
        int fd = (const int[]) { probe->vcpu, probe->vm, probe->kvm }[i];

        if (fd >= 0) {
            close(fd);
        }
    }
}

static bool processor_has_virtualization(void)
{
    unsigned eax, ebx, ecx, edx;

    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & BIT(5))) {
        return true; /* VMX */
    }
    return __get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx) && (ecx & BIT(2)); /* SVM */
}

static bool is_pvm_kind(const ProbeVm *probe)
{
    struct {
        struct kvm_msrs header;
        struct kvm_msr_entry entry;
    } request = { .header.nmsrs = 1, .entry.index = PVM_KIND_MSR };

    return kvm_ioctl(probe->vcpu, KVM_GET_MSRS, &request) == 1 &&
           request.entry.data == PVM_KIND_VALUE;
}

static bool open_vcpu(ProbeVm *probe)
{
    int size = ioctl(probe->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

    probe->vm = ioctl(probe->kvm, KVM_CREATE_VM, 0);
    if (probe->vm < 0 || size < (int)sizeof(struct kvm_run)) {
        return false;
    }
    ioctl(probe->vm, KVM_SET_TSS_ADDR, KVM_TSS_BASE);
    probe->vcpu = ioctl(probe->vm, KVM_CREATE_VCPU, 0);
    if (probe->vcpu < 0) {
        return false;
    }
    probe->run_size = size;
    probe->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, probe->vcpu, 0);
    if (probe->run == MAP_FAILED) {
        probe->run = NULL;
    }
    return probe->run != NULL;
}

static bool give_ram(ProbeVm *probe)
{
    struct kvm_userspace_memory_region region = { .memory_size = RAM_SIZE };

    probe->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (probe->ram == MAP_FAILED) {
        probe->ram = NULL;
        return false;
    }
    region.userspace_addr = (uintptr_t)probe->ram;
    return kvm_ioctl(probe->vm, KVM_SET_USER_MEMORY_REGION, &region) == 0;
}

static void write_guest(ProbeVm *probe, bool with_xgetbv)
{
    static const uint8_t xgetbv[] = {
        0x31, 0xc9,                   /* xor ecx, ecx */
        0x0f, 0x01, 0xd0,             /* xgetbv */
    };
    static const uint8_t body[] = {
        0xb9, 0x80, 0x00, 0x00, 0xc0, /* mov ecx, EFER */
        0x0f, 0x32,                   /* rdmsr */
        0x83, 0xc8, 0x01,             /* or eax, SCE */
        0x0f, 0x30,                   /* wrmsr */
        0xb9, 0x82, 0x00, 0x00, 0xc0, /* mov ecx, LSTAR */
        0xb8, 0x00, 0x90, 0x00, 0x00, /* mov eax, CODE + 0x1000 */
        0x31, 0xd2,                   /* xor edx, edx */
        0x0f, 0x30,                   /* wrmsr */
        0xb9, 0x81, 0x00, 0x00, 0xc0, /* mov ecx, STAR */
        0x31, 0xc0,                   /* xor eax, eax */
        0xba, 0x08, 0x00, 0x10, 0x00, /* mov edx, SYSCALL's CS 8, SYSRET's 10h */
        0x0f, 0x30,                   /* wrmsr */
        0x0f, 0x05,                   /* syscall */
    };
    static const uint8_t entry[] = {
        0x8c, 0xc8,                   /* mov eax, cs */
        0xe6, RESULT_PORT,            /* out RESULT_PORT, al */
        0xb9, 0x20, 0x4e, 0x00, 0x00, /* mov ecx, LOOP_TURNS */
        0xff, 0xc9,                   /* dec ecx */
        0x75, 0xfc,                   /* jnz .-2 */
        0xe6, RESULT_PORT,            /* out RESULT_PORT, al */
        0xf4,                         /* hlt */
    };
    size_t skip = with_xgetbv ? sizeof(xgetbv) : 0;

    memcpy(probe->ram + CODE, xgetbv, skip);
    memcpy(probe->ram + CODE + skip, body, sizeof(body));
    memcpy(probe->ram + CODE + 0x1000, entry, sizeof(entry));
    stq_le(probe->ram + PML4, PDPT | 3);
    stq_le(probe->ram + PDPT, PAGE_DIRECTORY | 3);
    stq_le(probe->ram + PAGE_DIRECTORY, 0x83); /* 2 MiB page, writable */
    stq_le(probe->ram + GDT + KERNEL_CS, 0x00af9b000000ffffull);
    stq_le(probe->ram + GDT + KERNEL_CS + 8, 0x00cf93000000ffffull);
}

/* 64-bit mode at CPL 0. Returns whether the processor offers XSAVE. */
static bool set_registers(ProbeVm *probe)
{
    struct kvm_segment code = { .limit = 0xffffffff, .selector = KERNEL_CS, .type = 11,
                                .present = 1, .s = 1, .l = 1, .g = 1 };
    struct kvm_segment data = { .limit = 0xffffffff, .selector = KERNEL_CS + 8, .type = 3,
                                .present = 1, .s = 1, .db = 1, .g = 1 };
    struct kvm_regs regs = { .rip = CODE, .rsp = RAM_SIZE, .rflags = 2 };
    g_autofree struct kvm_cpuid2 *cpuid =
        g_malloc0(sizeof(*cpuid) + X86_CPUID_MAX * sizeof(cpuid->entries[0]));
    struct kvm_sregs sregs;
    bool has_xsave = false;

    cpuid->nent = X86_CPUID_MAX;
    if (kvm_ioctl(probe->kvm, KVM_GET_SUPPORTED_CPUID, cpuid) == 0) {
        for (uint32_t i = 0; i < cpuid->nent; i++) {
            has_xsave |= cpuid->entries[i].function == 1 && (cpuid->entries[i].ecx & BIT(26));
        }
        kvm_ioctl(probe->vcpu, KVM_SET_CPUID2, cpuid);
    }
    kvm_ioctl(probe->vcpu, KVM_GET_SREGS, &sregs);
    sregs.cs = code;
    sregs.ds = sregs.es = sregs.ss = sregs.fs = sregs.gs = data;
    sregs.gdt.base = GDT;
    sregs.gdt.limit = KERNEL_CS + 15;
    sregs.idt.limit = 0; /* any exception ends the test */
    sregs.cr0 = 0x80000033;
    sregs.cr3 = PML4;
    sregs.cr4 = BIT(5) | BIT(9) | (has_xsave ? BIT(18) : 0);
    sregs.efer = BIT(8) | BIT(10);
    kvm_ioctl(probe->vcpu, KVM_SET_SREGS, &sregs);
    kvm_ioctl(probe->vcpu, KVM_SET_REGS, &regs);
    return has_xsave;
}

static void on_time_limit(int signal_number)
{
    (void)signal_number;
}

static int64_t loop_limit_ns(void)
{
    int64_t start = g_get_monotonic_time();
    uint32_t turns = LOOP_TURNS;

    __asm__ volatile("1: dec %0\n\tjnz 1b" : "+r"(turns));
    return MAX(LOOP_LIMIT_NS, (g_get_monotonic_time() - start) * 1000 * LOOP_FACTOR);
}

/* KVM_RUN until it exits or the time is over; the exit reason, or -errno. */
static int run_limited(ProbeVm *probe, int64_t ns)
{
    struct sigaction action = { .sa_handler = on_time_limit }, old;
    struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1 };
    struct timespec span = { ns / 1000000000, ns % 1000000000 };
    struct itimerspec limit = { .it_value = span, .it_interval = span };
    sigset_t unblock, previous;
    timer_t timer;
    int ret;

    event._sigev_un._tid = thread_current_tid();
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0) {
        return -errno;
    }
    sigaction(SIGUSR1, &action, &old);
    sigemptyset(&unblock);
    sigaddset(&unblock, SIGUSR1);
    pthread_sigmask(SIG_UNBLOCK, &unblock, &previous);
    timer_settime(timer, 0, &limit, NULL);
    ret = ioctl(probe->vcpu, KVM_RUN, 0) < 0 ? -errno : (int)probe->run->exit_reason;
    timer_delete(timer);
    pthread_sigmask(SIG_SETMASK, &previous, NULL);
    sigaction(SIGUSR1, &old, NULL);
    return ret;
}

static bool gave_result(const struct kvm_run *run, int exit_reason)
{
    return exit_reason == KVM_EXIT_IO && run->io.port == RESULT_PORT &&
           ((const uint8_t *)run)[run->io.data_offset] == KERNEL_CS;
}

static bool passes_test(ProbeVm *probe, char **reason)
{
    const struct kvm_run *run = probe->run;
    int exit_reason;

    if (!give_ram(probe)) {
        *reason = g_strdup("KVM takes no guest memory");
        return false;
    }
    write_guest(probe, set_registers(probe));
    exit_reason = run_limited(probe, START_LIMIT_NS);
    if (gave_result(run, exit_reason)) {
        exit_reason = run_limited(probe, loop_limit_ns());
        if (gave_result(run, exit_reason)) {
            return true;
        }
    }
    if (exit_reason == -EINTR) {
        *reason = g_strdup("this host's KVM cannot run a 64-bit kernel: a few instructions of one "
                           "did not end in time");
    } else {
        *reason = g_strdup_printf("this host's KVM cannot run a 64-bit kernel: a few instructions "
                                  "of one ended with %s", exit_reason < 0 ?
                                  g_strerror(-exit_reason) : kvm_exit_name(exit_reason));
    }
    return false;
}

static char *explain_open_failure(int err)
{
    if (err == ENOENT) {
        return g_strdup("there is no /dev/kvm here");
    }
    if (err == EACCES || err == EPERM) {
        return g_strdup("no permission to open /dev/kvm (is the user in the group kvm?)");
    }
    return g_strdup_printf("cannot open /dev/kvm: %s", g_strerror(err));
}

static void probe_host(AccelProbe *result, bool by_test)
{
    ProbeVm probe = { .kvm = -1, .vm = -1, .vcpu = -1 };

    *result = (AccelProbe) { 0 };
    probe.kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (probe.kvm < 0) {
        result->reason = explain_open_failure(errno);
        return;
    }
    if (!by_test && processor_has_virtualization()) {
        result->usable = true;
    } else if (!open_vcpu(&probe)) {
        result->reason = g_strdup_printf("KVM cannot create a VM: %s", g_strerror(errno));
    } else if (!by_test && is_pvm_kind(&probe)) {
        result->firmware_only = true;
        result->reason = g_strdup("this host's KVM is of the PVM kind: it runs firmware and small "
                                  "bare guests, but no ordinary 64-bit kernel");
    } else {
        result->usable = passes_test(&probe, &result->reason);
        result->firmware_only = !result->usable;
    }
    close_vm(&probe);
}

void kvm_probe(Accel *accel, AccelProbe *result)
{
    probe_host(result, false);
}

void kvm_probe_by_test(AccelProbe *result)
{
    probe_host(result, true);
}
