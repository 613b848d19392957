/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU features as data: identifiers, names, where each word stands in CPUID or which MSR holds it,
 * and which feature makes no sense without which. Everything here is constant. Any thread.
 */
#ifndef VIREO_CPU_X86_FEATURES_H
#define VIREO_CPU_X86_FEATURES_H

#include "cpu/x86/cpu-model.h"
#include "cpu/x86/feature-list.h"

#define X86_FEATURE_ID(word, bit) ((word) << 6 | (bit))

/* F_AVX2 and so on: word and bit in one number. */
typedef enum X86FeatureId {
#define X86_FEATURE_ENUM(word, bit, id, name) F_##id = X86_FEATURE_ID(X86_FEAT_##word, bit),
    X86_FEATURES(X86_FEATURE_ENUM)
#undef X86_FEATURE_ENUM
    F_END = 0xffff
} X86FeatureId;

static inline X86FeatureWord x86_feature_word(X86FeatureId id)
{
    return (X86FeatureWord)(id >> 6);
}
static inline uint64_t x86_feature_mask(X86FeatureId id)
{
    return 1ULL << (id & 63);
}

typedef struct X86FeatureInfo {
    const char *name;
    X86FeatureId id;
} X86FeatureInfo;

/* All named features in order of word and bit; two rows may share a name. */
const X86FeatureInfo *x86_features(size_t *count);
/* The first row of that name (aliases included, '_' counts as '-'), or NULL. */
const X86FeatureInfo *x86_feature_find(const char *name);
/* The name of a bit, or NULL. */
const char *x86_feature_name(X86FeatureWord word, unsigned bit);
/* The bits of the word that have a name. */
uint64_t x86_feature_named_bits(X86FeatureWord word);

/* Other spellings of names. */
typedef struct X86FeatureAlias {
    const char *alias, *name;
} X86FeatureAlias;
const X86FeatureAlias *x86_feature_aliases(size_t *count);

typedef enum X86WordKind {
    X86_WORD_CPUID,
    X86_WORD_MSR,      /* all bits */
    X86_WORD_VMX_CTLS, /* the high half of a VMX control MSR */
    X86_WORD_SOFTWARE, /* no register of its own */
} X86WordKind;

typedef struct X86WordInfo {
    X86WordKind kind;
    uint32_t function; /* CPUID leaf, or MSR number */
    uint32_t index;    /* sub-leaf */
    bool has_index;
    uint8_t reg;       /* 0..3: EAX, EBX, ECX, EDX */
} X86WordInfo;

const X86WordInfo *x86_word_info(X86FeatureWord word);
/* "CPUID.07H:EBX.avx2 [bit 5]": the caller's. */
char *x86_feature_describe(X86FeatureWord word, unsigned bit);

/* One row: without `needs`, the bits `mask` of `word` are not offered. */
typedef struct X86FeatureDependency {
    X86FeatureId needs;
    X86FeatureWord word;
    uint64_t mask;
} X86FeatureDependency;
const X86FeatureDependency *x86_feature_dependencies(size_t *count);

uint32_t x86_entry_register(const X86CpuidEntry *entry, unsigned reg);
/* NULL if there is none. */
const X86CpuidEntry *x86_find_leaf(const X86CpuidEntry *entries, unsigned count, uint32_t function,
                                   uint32_t index);

#endif
