/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A builder of AML, the byte code of ACPI's tables (ACPI 6.4, section 20). A term is an Aml; its
 * bytes go into the one it is appended to, so a term is filled first and appended then, and only
 * the outermost is freed. Names are given as in ASL ("_SB.PCI0", "\\_S5", "^FOO").
 *
 * Terms given to a constructor or to aml_append are taken over.
 */
#ifndef VIREO_HW_I386_AML_H
#define VIREO_HW_I386_AML_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Aml Aml;

void aml_free(Aml *aml);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Aml, aml_free)
/* Encoded bytes; the term is complete from now on. Valid until it is freed. */
const uint8_t *aml_bytes(const Aml *aml, size_t *len);
/* Puts child at the end of parent. */
void aml_append(Aml *parent, Aml *child);

/* Only a sequence of terms: a table's body. */
Aml *aml_list(void);

/* Data. */
Aml *aml_int(uint64_t value); /* shortest encoding */
Aml *aml_dword(uint32_t value); /* always five bytes: may be patched later */
Aml *aml_string(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
Aml *aml_name(const char *fmt, ...) G_GNUC_PRINTF(1, 2); /* a reference by name */
Aml *aml_buffer(const void *data, size_t len);
Aml *aml_package(void); /* append up to 255 elements, one call each */
Aml *aml_eisaid(const char *id); /* "PNP0A03" */
Aml *aml_uuid(const char *text); /* ToUUID */

/* Named objects. */
Aml *aml_name_decl(const char *name, Aml *value); /* Name (name, value) */
Aml *aml_scope(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
Aml *aml_device(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
Aml *aml_method(const char *name, unsigned args, bool serialized);
Aml *aml_mutex(const char *name, unsigned sync_level);
Aml *aml_processor(uint8_t id, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

typedef enum AmlSpace {
    AML_SYSTEM_MEMORY = 0,
    AML_SYSTEM_IO = 1,
    AML_PCI_CONFIG = 2,
} AmlSpace;
typedef enum AmlAccess {
    AML_ANY_ACC = 0,
    AML_BYTE_ACC = 1,
    AML_WORD_ACC = 2,
    AML_DWORD_ACC = 3,
} AmlAccess;
typedef enum AmlUpdate {
    AML_PRESERVE = 0,
    AML_WRITE_AS_ONES = 1,
    AML_WRITE_AS_ZEROS = 2,
} AmlUpdate;
Aml *aml_opregion(const char *name, AmlSpace space, uint64_t offset, uint64_t length);
/* Append aml_field_unit and aml_field_skip. */
Aml *aml_field(const char *region, AmlAccess access, bool lock, AmlUpdate update);
Aml *aml_field_unit(const char *name, unsigned bits);
Aml *aml_field_skip(unsigned bits);
/* CreateDWordField, CreateQWordField (buffer, offset, name) */
Aml *aml_create_dword_field(Aml *buffer, uint64_t offset, const char *name);
Aml *aml_create_qword_field(Aml *buffer, uint64_t offset, const char *name);

/* Statements: append to If, Else, While. */
Aml *aml_if(Aml *predicate);
Aml *aml_else(void); /* directly after an If */
Aml *aml_while(Aml *predicate);
Aml *aml_return(Aml *value);
Aml *aml_break(void);
Aml *aml_notify(Aml *object, Aml *value);
Aml *aml_acquire(const char *mutex, uint16_t timeout);
Aml *aml_release(const char *mutex);
Aml *aml_call(const char *method, ...); /* Aml* arguments up to NULL */

/* Expressions. target NULL: the value only. */
Aml *aml_arg(unsigned n);
Aml *aml_local(unsigned n);
Aml *aml_store(Aml *value, Aml *target);
Aml *aml_add(Aml *a, Aml *b, Aml *target);
Aml *aml_subtract(Aml *a, Aml *b, Aml *target);
Aml *aml_and(Aml *a, Aml *b, Aml *target);
Aml *aml_or(Aml *a, Aml *b, Aml *target);
Aml *aml_xor(Aml *a, Aml *b, Aml *target);
Aml *aml_shift_left(Aml *a, Aml *count, Aml *target);
Aml *aml_shift_right(Aml *a, Aml *count, Aml *target);
Aml *aml_to_integer(Aml *a, Aml *target);
Aml *aml_increment(Aml *a);
Aml *aml_size_of(Aml *a);
Aml *aml_deref_of(Aml *a);
Aml *aml_index(Aml *source, Aml *index);
Aml *aml_equal(Aml *a, Aml *b);
Aml *aml_less(Aml *a, Aml *b);
Aml *aml_greater(Aml *a, Aml *b);
Aml *aml_not(Aml *a);  /* LNot */
Aml *aml_land(Aml *a, Aml *b);
Aml *aml_lor(Aml *a, Aml *b);

/* Resource templates: append descriptors (ACPI 6.4, section 6.4). */
typedef enum AmlIrqFlags {
    AML_IRQ_LEVEL = 0, AML_IRQ_EDGE = 1u << 0,
    AML_IRQ_ACTIVE_HIGH = 0, AML_IRQ_ACTIVE_LOW = 1u << 1,
    AML_IRQ_EXCLUSIVE = 0, AML_IRQ_SHARED = 1u << 2,
} AmlIrqFlags;
Aml *aml_resource_template(void);
Aml *aml_io(uint16_t base, uint16_t len);                    /* 16-bit decode, fixed */
Aml *aml_irq_no_flags(uint8_t irq);
Aml *aml_dma8(unsigned channel); /* 8 bits wide, not bus master, compatible timing */
Aml *aml_interrupt(AmlIrqFlags flags, const uint32_t *gsi, unsigned count);
Aml *aml_memory32_fixed(uint32_t base, uint32_t len, bool writable);
Aml *aml_word_bus_number(uint16_t first, uint16_t last);
/* Producer windows with fixed ends; last is inclusive. */
Aml *aml_word_io(uint16_t first, uint16_t last);
Aml *aml_dword_memory(uint32_t first, uint32_t last, bool cacheable);
Aml *aml_qword_memory(uint64_t first, uint64_t last, bool cacheable);

#endif
