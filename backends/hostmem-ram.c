/* SPDX-License-Identifier: Apache-2.0 */
/* memory-backend-ram: anonymous memory. With share=on a child process would see it too. */
#include "memory/ram-backend.h"

static const TypeInfo hostmem_ram_type = {
    .name = TYPE_MEMORY_BACKEND_RAM,
    .parent = TYPE_MEMORY_BACKEND,
    .description = "anonymous host memory",
    .instance_size = sizeof(RamBackend),
    .user_creatable = true,
};
QOM_TYPE(hostmem_ram_type);
