/* SPDX-License-Identifier: Apache-2.0 */
/* What "help" as an option or as an argument prints on standard output. */
#ifndef VIREO_SYSTEM_HELP_H
#define VIREO_SYSTEM_HELP_H

#include "system/options-internal.h"

void help_options(void);
void help_version(void);
/* Print and free text; NULL means that error is set. */
OptionResult help_print(char *text, GError **error);
/* type NULL: the list of machines; else the properties of one. */
OptionResult help_machine(const char *type, GError **error);
/* type NULL: the list of -object types; else the properties of one. */
OptionResult help_object(const char *type, GError **error);
OptionResult help_trace(GError **error);

#endif
