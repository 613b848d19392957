/* SPDX-License-Identifier: Apache-2.0 */
/* The qtest protocol (docs/devel/qtest.md) on a character device. Main loop, VM lock held. */
#ifndef VIREO_SYSTEM_QTEST_H
#define VIREO_SYSTEM_QTEST_H

#include <glib.h>
#include <stdbool.h>

/*
 * Serve the protocol on what -qtest names (chardev's short forms). log_path: where to keep the
 * conversation, or NULL. Call it when the machine is built; a second call is refused.
 */
bool qtest_server_init(const char *chardev, const char *log_path, GError **error);
void qtest_server_cleanup(void);

#endif
