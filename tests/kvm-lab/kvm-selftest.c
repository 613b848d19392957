/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks one question of a host: does its /dev/kvm run guest code? It shares nothing with Vireo but
 * the kernel's ioctls, so that a failing boot in the KVM lab can be told from a broken lab.
 *
 * One page of real-mode code adds two numbers, writes the sum to a port, reads a port back, and
 * halts. Source of the ioctls: Linux Documentation/virt/kvm/api.rst.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    GUEST_MEMORY_SIZE = 0x1000,
    GUEST_CODE_ADDRESS = 0x1000,
    TEST_PORT = 0x3f8,
    FIRST_ADDEND = 2,
    SECOND_ADDEND = 3,
    INPUT_VALUE = 0x5a,
    MAX_EXITS = 16,
};

/* mov dx, TEST_PORT; add al, bl; out dx, al; in al, dx; inc al; out dx, al; hlt */
static const uint8_t guest_code[] = {
    0xba, TEST_PORT & 0xff, TEST_PORT >> 8, 0x00, 0xd8, 0xee, 0xec, 0xfe, 0xc0, 0xee, 0xf4,
};

static void die(const char *what)
{
    fprintf(stderr, "kvm-selftest: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int check_ioctl(const char *name, int fd, unsigned long request, unsigned long argument)
{
    int result = ioctl(fd, request, argument);

    if (result < 0) {
        die(name);
    }
    return result;
}

static void load_guest(int vm_fd)
{
    void *memory = mmap(NULL, GUEST_MEMORY_SIZE, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED) {
        die("mmap of guest memory");
    }
    memcpy(memory, guest_code, sizeof(guest_code));
    struct kvm_userspace_memory_region region = {
        .guest_phys_addr = GUEST_CODE_ADDRESS,
        .memory_size = GUEST_MEMORY_SIZE,
        .userspace_addr = (uintptr_t)memory,
    };
    check_ioctl("KVM_SET_USER_MEMORY_REGION", vm_fd, KVM_SET_USER_MEMORY_REGION,
                (uintptr_t)&region);
}

static void set_registers(int vcpu_fd)
{
    struct kvm_sregs sregs;
    struct kvm_regs regs = {
        .rip = GUEST_CODE_ADDRESS,
        .rax = FIRST_ADDEND,
        .rbx = SECOND_ADDEND,
        .rflags = 0x2,
    };

    check_ioctl("KVM_GET_SREGS", vcpu_fd, KVM_GET_SREGS, (uintptr_t)&sregs);
    sregs.cs.base = 0;
    sregs.cs.selector = 0;
    check_ioctl("KVM_SET_SREGS", vcpu_fd, KVM_SET_SREGS, (uintptr_t)&sregs);
    check_ioctl("KVM_SET_REGS", vcpu_fd, KVM_SET_REGS, (uintptr_t)&regs);
}

/* Runs to the HLT and returns how many port writes carried the value due at their turn. */
static int run_guest(int vcpu_fd, struct kvm_run *run)
{
    static const uint8_t expected[] = { FIRST_ADDEND + SECOND_ADDEND, INPUT_VALUE + 1 };
    int writes = 0;

    for (int exits = 0; exits < MAX_EXITS; exits++) {
        check_ioctl("KVM_RUN", vcpu_fd, KVM_RUN, 0);
        if (run->exit_reason == KVM_EXIT_HLT) {
            return writes;
        }
        if (run->exit_reason != KVM_EXIT_IO || run->io.port != TEST_PORT || run->io.size != 1) {
            fprintf(stderr, "kvm-selftest: unexpected exit %u\n", run->exit_reason);
            exit(1);
        }
        uint8_t *data = (uint8_t *)run + run->io.data_offset;
        if (run->io.direction == KVM_EXIT_IO_IN) {
            *data = INPUT_VALUE;
        } else if (writes < (int)sizeof(expected) && *data == expected[writes]) {
            writes++;
        }
    }
    fprintf(stderr, "kvm-selftest: the guest did not halt\n");
    exit(1);
}

int main(void)
{
    int kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

    if (kvm_fd < 0) {
        die("/dev/kvm");
    }
    int version = check_ioctl("KVM_GET_API_VERSION", kvm_fd, KVM_GET_API_VERSION, 0);
    int vm_fd = check_ioctl("KVM_CREATE_VM", kvm_fd, KVM_CREATE_VM, 0);
    load_guest(vm_fd);
    int vcpu_fd = check_ioctl("KVM_CREATE_VCPU", vm_fd, KVM_CREATE_VCPU, 0);
    int run_size = check_ioctl("KVM_GET_VCPU_MMAP_SIZE", kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    struct kvm_run *run = mmap(NULL, (size_t)run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
                               vcpu_fd, 0);
    if (run == MAP_FAILED) {
        die("mmap of struct kvm_run");
    }
    set_registers(vcpu_fd);

    int good_writes = run_guest(vcpu_fd, run);
    printf("kvm-selftest: API %d, %d of 2 port writes as expected\n", version, good_writes);
    return good_writes == 2 ? 0 : 1;
}
