/* SPDX-License-Identifier: Apache-2.0 */
/* What -smbios said, checked and by field; read by the builder of the structures. */
#ifndef VIREO_HW_I386_SMBIOS_INTERNAL_H
#define VIREO_HW_I386_SMBIOS_INTERNAL_H

#include "hw/i386/smbios.h"

#define SMBIOS_TYPE_MAX 127

typedef struct SmbiosPort { /* type 8 */
    char *internal, *external;
    uint8_t connector, port;
} SmbiosPort;

typedef struct SmbiosValues {
    GHashTable *fields;   /* "type.field" -> text */
    bool seen[SMBIOS_TYPE_MAX + 1];
    bool from_file[SMBIOS_TYPE_MAX + 1];
    GPtrArray *strings;   /* of type 11 */
    GArray *ports;        /* SmbiosPort */
    GPtrArray *files;     /* GBytes*: whole structures */
} SmbiosValues;

/* NULL with error set. */
SmbiosValues *smbios_values_new(const GPtrArray *options, GError **error);
void smbios_values_free(SmbiosValues *values);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SmbiosValues, smbios_values_free)

/* A field's text, or fallback. */
const char *smbios_text(const SmbiosValues *values, const char *field, const char *fallback);
/* A field's number (checked before), or fallback. */
uint64_t smbios_number(const SmbiosValues *values, const char *field, uint64_t fallback);

#endif
