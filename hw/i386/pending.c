/* SPDX-License-Identifier: Apache-2.0 */
/* Stand-ins until ACPI and SMBIOS land; weak, so that the real ones win. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#include "hw/i386/acpi.h"
#include "hw/i386/smbios.h"
__attribute__((weak)) SmbiosTables *smbios_build(const SmbiosConfig *config, GError **error){return g_new0(SmbiosTables,1);}
__attribute__((weak)) void smbios_free(SmbiosTables *t){g_free(t);}
__attribute__((weak)) bool smbios_check_option(json_object *option, GError **error){return true;}
__attribute__((weak)) bool smbios_publish(const SmbiosTables *tables, FwCfg *fw, GError **error){return true;}
__attribute__((weak)) char *smbios_options_help(void){return g_strdup("");}
__attribute__((weak)) GBytes *acpi_table_option(const char *text, GError **error){return NULL;}
