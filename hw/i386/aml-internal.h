/* SPDX-License-Identifier: Apache-2.0 */
/* The AML builder's term, shared by its two files. */
#ifndef VIREO_HW_I386_AML_INTERNAL_H
#define VIREO_HW_I386_AML_INTERNAL_H

#include "hw/i386/aml.h"

typedef enum AmlKind {
    AML_PLAIN,    /* the body is all */
    AML_BLOCK,    /* opcode, length, body */
    AML_PACKAGE,  /* opcode, length, number of elements, body */
    AML_BUFFER,   /* opcode, length, size, body */
    AML_TEMPLATE, /* a buffer that ends with an end tag */
} AmlKind;

struct Aml {
    GByteArray *body;
    AmlKind kind;
    unsigned op;
    unsigned count; /* terms appended */
};

Aml *aml_new(AmlKind kind, unsigned op);
void aml_put(Aml *aml, const void *data, size_t len);
/* Little-endian, size 1, 2, 4 or 8. */
void aml_put_int(Aml *aml, unsigned size, uint64_t value);

#endif
