/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers as data: a device with eight registers or more lists them in a const table; read-only
 * bits, write-1-clear bits, reset values and hooks are columns. Storage is an array of uint32_t
 * in the device, indexed by offset / 4.
 */
#ifndef VIREO_HW_CORE_REGISTER_H
#define VIREO_HW_CORE_REGISTER_H

#include <stddef.h>
#include <stdint.h>

typedef struct RegisterInfo {
    const char *name;   /* as in the data sheet */
    uint32_t offset;    /* bytes, multiple of 4 */
    uint32_t reset;
    uint32_t ro;        /* bits that writes do not change */
    uint32_t w1c;       /* bits cleared by writing 1 */
    uint32_t rsvd;      /* bits that read as zero and ignore writes */
    uint32_t cor;       /* bits cleared by a read */
    /* After masking; returns the value to store. */
    uint32_t (*pre_write)(void *opaque, const struct RegisterInfo *reg, uint32_t value);
    void (*post_write)(void *opaque, const struct RegisterInfo *reg, uint32_t value);
    uint32_t (*post_read)(void *opaque, const struct RegisterInfo *reg, uint32_t value);
} RegisterInfo;

typedef struct RegisterBlock {
    const RegisterInfo *regs; /* sorted by offset */
    size_t count;
    uint32_t size;            /* bytes of storage */
    const char *name;         /* for guest-error messages */
} RegisterBlock;

/* 32-bit accesses; smaller ones must be widened by the region's impl limits. */
uint64_t register_read(const RegisterBlock *block, uint32_t *storage, void *opaque,
                       uint64_t offset);
void register_write(const RegisterBlock *block, uint32_t *storage, void *opaque, uint64_t offset,
                    uint64_t value);
void register_reset(const RegisterBlock *block, uint32_t *storage);

#endif
