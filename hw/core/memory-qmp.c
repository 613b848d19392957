/* SPDX-License-Identifier: Apache-2.0 */
/* QMP: the machine's memory as a number, and guest memory written to a file. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "accel/accel.h"
#include "hw/core/machine.h"
#include "qapi/qapi-commands-machine.h"
#include "util/error.h"

#define PAGE 4096u

MemoryInfo *qmp_query_memory_size_summary(GError **error)
{
    const Machine *machine = machine_current();
    MemoryInfo *info = g_new0(MemoryInfo, 1);

    info->base_memory = machine ? machine->ram_size : 0;
    info->has_plugged_memory = true; /* no memory devices yet */
    return info;
}

static bool write_all(int fd, const uint8_t *data, size_t size)
{
    while (size) {
        ssize_t done = write(fd, data, size);

        if (done < 0 && errno != EINTR) {
            return false;
        }
        if (done > 0) {
            data += done;
            size -= done;
        }
    }
    return true;
}

/* Devices are not disturbed: what is not memory is written as all ones. */
static void read_part(uint64_t physical, uint8_t *page, uint64_t size)
{
    AddressSpace *as = address_space_memory();

    if (!address_space_is_ram(as, physical, size) ||
        address_space_read(as, physical, page, size) != MEM_OK) {
        memset(page, 0xff, size);
    }
}

/*
 * Copy [start, start + size), page by page, to a new file. With cpu, addresses go through its page
 * tables, and one that leads nowhere is an error.
 */
static bool save(const char *filename, VCpu *cpu, uint64_t start, uint64_t size, GError **error)
{
    uint64_t addr = start;
    bool ok = true;
    int fd;

    if (size && size - 1 > UINT64_MAX - start) {
        error_setf(error, "0x%" G_GINT64_MODIFIER "x and %" G_GUINT64_FORMAT
                   " bytes go beyond the last address", start, size);
        return false;
    }
    fd = open(filename, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        error_set_errno(error, errno, "cannot open '%s'", filename);
        return false;
    }
    while (ok && size) {
        uint64_t part = MIN(size, PAGE - addr % PAGE);
        uint64_t physical = addr;
        uint8_t page[PAGE];

        ok = !cpu || vcpu_translate(cpu, addr, &physical);
        if (!ok) {
            error_setf(error, "the CPU has no memory at 0x%" G_GINT64_MODIFIER "x", addr);
            break;
        }
        read_part(physical, page, part);
        ok = write_all(fd, page, part);
        if (!ok) {
            error_set_errno(error, errno, "cannot write to '%s'", filename);
        }
        addr += part;
        size -= part;
    }
    if (close(fd) != 0 && ok) {
        error_set_errno(error, errno, "cannot write to '%s'", filename);
        ok = false;
    }
    return ok;
}

bool qmp_memsave(uint64_t val, uint64_t size, const char *filename, bool has_cpu_index,
                 int64_t cpu_index, GError **error)
{
    VCpu *cpu = NULL;

    if (!has_cpu_index) {
        cpu_index = 0;
    }
    if (cpu_index >= 0 && cpu_index < MAX_CPUS) {
        cpu = vcpu_get(cpu_index);
    }
    if (!cpu) {
        error_setf(error, "there is no CPU %" G_GINT64_FORMAT, cpu_index);
        return false;
    }
    return vcpu_sync_state(cpu, error) && save(filename, cpu, val, size, error);
}

bool qmp_pmemsave(uint64_t val, uint64_t size, const char *filename, GError **error)
{
    return save(filename, NULL, val, size, error);
}
