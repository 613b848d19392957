/* SPDX-License-Identifier: Apache-2.0 */
/* Migration of this machine: its commands, -incoming, and what it asks of the run state. */
#ifndef VIREO_SYSTEM_MIGRATION_SETUP_H
#define VIREO_SYSTEM_MIGRATION_SETUP_H

#include <glib.h>
#include <stdbool.h>

/* -incoming URI, or "defer": the machine waits. uri NULL: there is no such option. Main thread. */
bool migration_setup_incoming(const char *uri, GError **error);
/* Before monitors and devices go. */
void migration_setup_cleanup(void);
/* The human monitor's commands. Once. */
void migration_setup_register(void);

#endif
