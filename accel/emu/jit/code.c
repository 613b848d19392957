/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of translated code: mapped twice, once to write and once to run. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "accel/emu/jit/internal.h"
#include "util/error.h"

bool jit_code_map(EmuJit *jit, size_t size, GError **error)
{
    int fd = memfd_create("vireo-code", MFD_CLOEXEC);

    if (fd < 0 || ftruncate(fd, size) < 0) {
        error_set_errno(error, errno, "no memory for translated code");
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    jit->write = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    jit->run = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_NORESERVE, fd, 0);
    jit->size = size;
    jit->data_size = size;
    jit->data = mmap(NULL, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    close(fd);
    if (jit->write == MAP_FAILED || jit->run == MAP_FAILED || jit->data == MAP_FAILED) {
        error_set_errno(error, errno, "this host gives no memory for translated code");
        jit_code_unmap(jit);
        return false;
    }
    return true;
}

static void unmap(void *memory, size_t size)
{
    if (memory && memory != MAP_FAILED) {
        munmap(memory, size);
    }
}

void jit_code_unmap(EmuJit *jit)
{
    unmap(jit->write, jit->size);
    unmap(jit->run, jit->size);
    unmap(jit->data, jit->data_size);
}

void *jit_data_take(EmuJit *jit, size_t size)
{
    void *data = jit->data + jit->data_used;

    size = ROUND_UP(size, 16);
    if (jit->data_size - jit->data_used < size) {
        return NULL;
    }
    jit->data_used += size;
    return data;
}
