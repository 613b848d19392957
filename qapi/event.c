/* SPDX-License-Identifier: Apache-2.0 */
/* The one event sink. It is process-wide because senders are any subsystem on any thread. */
#include "qapi/event.h"

#include <stddef.h>

static struct {
    QapiEventSink *sink;
    void *opaque;
} registered;

void qapi_set_event_sink(QapiEventSink *sink, void *opaque)
{
    registered.opaque = opaque;
    registered.sink = sink;
}

void qapi_event_emit(int event, const char *name, json_object *data)
{
    if (registered.sink) {
        registered.sink(event, name, data, registered.opaque);
    }
    json_object_put(data);
}
