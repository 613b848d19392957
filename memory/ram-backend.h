/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host memory for guest RAM: the -object types memory-backend-ram, -file and -memfd (their
 * properties are in backends/hostmem-*.c). Each holds one MemoryRegion of RAM.
 */
#ifndef VIREO_MEMORY_RAM_BACKEND_H
#define VIREO_MEMORY_RAM_BACKEND_H

#include "memory/memory.h"

#define TYPE_MEMORY_BACKEND "memory-backend"
typedef struct RamBackend RamBackend;

/* Borrowed; NULL before the backend is complete. */
MemoryRegion *ram_backend_region(RamBackend *backend);
uint64_t ram_backend_size(const RamBackend *backend);
/* A backend can be used by one memory device or machine at a time. */
bool ram_backend_is_mapped(const RamBackend *backend);
void ram_backend_set_mapped(RamBackend *backend, bool mapped);

#endif
