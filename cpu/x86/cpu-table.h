/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of CPU models. A row tells what differs from its parent, an older generation or an
 * earlier version of the same one. Constant. Any thread.
 */
#ifndef VIREO_CPU_X86_CPU_TABLE_H
#define VIREO_CPU_X86_CPU_TABLE_H

#include "cpu/x86/features.h"

#define VENDOR_INTEL "GenuineIntel"
#define VENDOR_AMD "AuthenticAMD"
#define VENDOR_HYGON "HygonGenuine"

/* One cache as CPUID leaves 2, 4, 0x80000005/6 and 0x8000001D tell it. */
typedef struct X86Cache {
    uint8_t type;  /* leaf 4: 1 data, 2 instruction, 3 unified */
    uint8_t level;
    uint32_t size_kib;
    uint16_t ways;
    uint8_t line; /* bytes */
    uint8_t descriptor; /* leaf 2; 0xff: none fits */
    bool self_initializing, wbinvd_not_shared, inclusive, complex_indexing;
} X86Cache;

/* amd_*: what leaves 0x80000005/6 say, where it differs. */
typedef struct X86Caches {
    X86Cache l1d, l1i, l2, l3;
    X86Cache amd_l1d, amd_l1i, amd_l2;
} X86Caches;

extern const X86Caches x86_caches_plain; /* what models without caches of their own show */
extern const X86Caches x86_caches_zen, x86_caches_zen2, x86_caches_zen3;

typedef enum X86ModelKind {
    X86_MODEL_NAMED,
    X86_MODEL_BASE, /* no feature at all */
    X86_MODEL_MAX,  /* all that the accelerator offers */
    X86_MODEL_HOST, /* likewise; needs hardware virtualization */
} X86ModelKind;

typedef struct X86CpuModel {
    const char *name;     /* with its version: "EPYC-v2" */
    const char *alias;    /* a second name of this version, or NULL */
    X86ModelKind kind;
    const char *vendor;
    uint16_t family;
    uint8_t model, stepping;
    uint32_t level, xlevel;
    const char *model_id; /* NULL: empty */
    const X86Caches *caches; /* NULL: the plain ones */
    const char *parent;
    const uint16_t *adds, *removes; /* X86FeatureId, ended by F_END; or NULL */
} X86CpuModel;

#define FEATURES(...) ((const uint16_t[]) { __VA_ARGS__, F_END })

extern const X86CpuModel x86_models_intel[], x86_models_amd[];
extern const unsigned x86_models_intel_count, x86_models_amd_count;

unsigned x86_model_count(void);
/* Rows in the order of -cpu help; index < x86_model_count(). */
const X86CpuModel *x86_model_get(unsigned index);
/* By "NAME-vN", by alias, or by NAME, which means version 1. NULL if there is none. */
const X86CpuModel *x86_model_find(const char *name);
/* All names that x86_model_find knows; free the array only. */
const char **x86_model_names(void);
/* The length of a versioned name without its "-vN"; 0 if it has no version. */
size_t x86_model_stem(const char *name);
/* The features of the row, ancestors included. */
void x86_model_words(const X86CpuModel *model, uint64_t words[X86_FEATURE_WORD__MAX]);

#endif
