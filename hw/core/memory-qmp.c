/* SPDX-License-Identifier: Apache-2.0 */
/* QMP: the machine's memory as a number, and guest memory written to a file. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "accel/accel.h"
#include "hw/core/machine.h"
#include "qapi/qapi-commands-machine.h"
#include "util/coroutine.h"
#include "util/error.h"
#include "util/thread-pool.h"

#define PAGE 4096u
#define PART (256u * PAGE) /* read under the VM lock at once */

MemoryInfo *qmp_query_memory_size_summary(GError **error)
{
    const Machine *machine = machine_current();
    MemoryInfo *info = g_new0(MemoryInfo, 1);

    info->base_memory = machine ? machine->ram_size : 0;
    info->has_plugged_memory = true;
    info->plugged_memory = machine ? machine->device_memory.plugged : 0;
    return info;
}

/* A copy under way. The VM runs on meanwhile: what is saved is no snapshot unless it is stopped. */
typedef struct SaveJob {
    const char *filename;
    VCpu *cpu; /* whose page tables count; NULL: addresses are physical */
    uint64_t addr, left;
    int fd;
    GError *error;
    /* The part being written. */
    uint8_t *part;
    size_t part_size;
} SaveJob;

/* On a thread of the pool: files may be slow. 0 or -errno. */
static int write_part(void *opaque)
{
    const SaveJob *job = opaque;
    size_t done = 0;

    while (done < job->part_size) {
        ssize_t n = write(job->fd, job->part + done, job->part_size - done);

        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        done += MAX(n, 0);
    }
    return 0;
}

/* Devices are not disturbed: what is not memory is written as all ones. */
static void read_page(uint64_t physical, uint8_t *page, uint64_t size)
{
    AddressSpace *as = address_space_memory();

    if (!address_space_is_ram(as, physical, size) ||
        address_space_read(as, physical, page, size) != MEM_OK) {
        memset(page, 0xff, size);
    }
}

/* Take the next pages, up to PART of them. */
static bool fill_part(SaveJob *job)
{
    job->part_size = 0;
    if (job->cpu && !vcpu_sync_state(job->cpu, &job->error)) {
        return false;
    }
    while (job->left && job->part_size + PAGE <= PART) {
        uint64_t size = MIN(job->left, PAGE - job->addr % PAGE);
        uint64_t physical = job->addr;

        if (job->cpu && !vcpu_translate(job->cpu, job->addr, &physical)) {
            error_setf(&job->error, "the CPU has no memory at 0x%" G_GINT64_MODIFIER "x",
                       job->addr);
            return false;
        }
        read_page(physical, job->part + job->part_size, size);
        job->part_size += size;
        job->addr += size;
        job->left -= size;
    }
    return true;
}

/* A coroutine: the main loop goes on between the parts. */
static void save_parts(void *opaque)
{
    SaveJob *job = opaque;

    while (job->left && fill_part(job)) {
        int result = thread_pool_run(write_part, job);

        if (result < 0) {
            error_set_errno(&job->error, -result, "cannot write to '%s'", job->filename);
            return;
        }
    }
}

/*
 * Copy [start, start + size), part by part, to a new file. With cpu, addresses go through its page
 * tables, and one that leads nowhere is an error.
 */
static bool save(const char *filename, VCpu *cpu, uint64_t start, uint64_t size, GError **error)
{
    SaveJob job = { .filename = filename, .cpu = cpu, .addr = start, .left = size };

    if (size && size - 1 > UINT64_MAX - start) {
        error_setf(error, "0x%" G_GINT64_MODIFIER "x and %" G_GUINT64_FORMAT
                   " bytes go beyond the last address", start, size);
        return false;
    }
    job.fd = open(filename, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (job.fd < 0) {
        error_set_errno(error, errno, "cannot open '%s'", filename);
        return false;
    }
    job.part = g_malloc(PART);
    if (coroutine_current()) {
        save_parts(&job);
    } else {
        coroutine_run(save_parts, &job);
    }
    g_free(job.part);
    if (close(job.fd) != 0 && !job.error) {
        error_set_errno(&job.error, errno, "cannot write to '%s'", filename);
    }
    if (job.error) {
        g_propagate_error(error, job.error);
        return false;
    }
    return true;
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
