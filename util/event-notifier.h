/* SPDX-License-Identifier: Apache-2.0 */
/* An eventfd with the few operations that ioeventfd, irqfd and loops need. */
#ifndef VIREO_UTIL_EVENT_NOTIFIER_H
#define VIREO_UTIL_EVENT_NOTIFIER_H

#include <glib.h>
#include <stdbool.h>

typedef struct EventNotifier {
    int fd; /* -1 when closed */
} EventNotifier;

bool event_notifier_init(EventNotifier *notifier, GError **error);
void event_notifier_cleanup(EventNotifier *notifier);
/* Any thread. */
void event_notifier_set(EventNotifier *notifier);
/* Returns whether it was set, and clears it. */
bool event_notifier_test_and_clear(EventNotifier *notifier);

#endif
