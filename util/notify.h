/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of callbacks that a subsystem runs when something happened (reset done, machine ready,
 * exit).
 */
#ifndef VIREO_UTIL_NOTIFY_H
#define VIREO_UTIL_NOTIFY_H

#include <glib.h>

typedef struct Notifier Notifier;
struct Notifier {
    void (*notify)(Notifier *notifier, void *data);
    GList link; /* private; zero-initialise */
};

typedef struct NotifierList {
    GQueue queue; /* zero-initialise, or G_QUEUE_INIT */
} NotifierList;

/* The notifier is borrowed until removed; it may remove itself while it is being called. */
void notifier_list_add(NotifierList *list, Notifier *notifier);
void notifier_list_remove(NotifierList *list, Notifier *notifier);
void notifier_list_run(NotifierList *list, void *data);

#endif
