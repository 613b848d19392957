/* SPDX-License-Identifier: Apache-2.0 */
/* Notifier lists: links live inside the notifiers, so adding cannot fail. */
#include "util/notify.h"

void notifier_list_add(NotifierList *list, Notifier *notifier)
{
    notifier->link.data = notifier;
    g_queue_push_tail_link(&list->queue, &notifier->link);
}

void notifier_list_remove(NotifierList *list, Notifier *notifier)
{
    if (notifier->link.data) {
        g_queue_unlink(&list->queue, &notifier->link);
        notifier->link.data = NULL;
    }
}

void notifier_list_run(NotifierList *list, void *data)
{
    GList *next;

    for (GList *link = list->queue.head; link; link = next) {
        Notifier *notifier = link->data;

        next = link->next;
        notifier->notify(notifier, data);
    }
}
