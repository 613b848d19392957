/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SMBIOS tables (DMTF DSP0134, versions 2.8 and 3.0): what the machine says about its maker,
 * board, processors and memory. Built as one table area and an entry point ("anchor"); firmware
 * places both.
 */
#ifndef VIREO_HW_I386_SMBIOS_H
#define VIREO_HW_I386_SMBIOS_H

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "hw/i386/e820.h"
#include "hw/nvram/fw_cfg.h"

typedef struct SmbiosConfig {
    const char *manufacturer, *product, *version; /* type 1 to 4 defaults, overridden by options */
    const char *bios_vendor, *bios_version, *bios_date;
    const uint8_t *uuid;      /* 16 bytes, or NULL */
    unsigned cpus, sockets, cores, threads; /* possible CPUs; cores and threads per socket/core */
    uint32_t cpu_signature, cpu_features; /* CPUID.1 EAX and EDX */
    const char *cpu_version;  /* type 4's version string */
    uint64_t ram_size;
    const E820Map *e820;      /* RAM ranges for type 19 */
    bool entry64;             /* 3.0 entry point, else 2.8's */
    const GPtrArray *options; /* json_object*: -smbios arguments, in order; or NULL */
} SmbiosConfig;

typedef struct SmbiosTables {
    GBytes *tables;
    GBytes *anchor; /* table address 0: firmware fills it, with the checksums */
} SmbiosTables;

/* NULL with error set (an option's unknown field, a number out of range, a broken file=). */
SmbiosTables *smbios_build(const SmbiosConfig *config, GError **error);
void smbios_free(SmbiosTables *tables);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SmbiosTables, smbios_free)
/* Check one -smbios argument when the command line is read. */
bool smbios_check_option(json_object *option, GError **error);
/* "etc/smbios/smbios-tables" and "-anchor". */
bool smbios_publish(const SmbiosTables *tables, FwCfg *fw, GError **error);
/* For machines without firmware: fill the anchor for tables at this address. The caller's. */
GBytes *smbios_anchor_at(const SmbiosTables *tables, uint64_t tables_addr);
/* The fields of -smbios type=N, for help. The caller's. */
char *smbios_options_help(void);

#endif
