/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where events go. Subsystems call the generated qapi_event_send_<name>() from any thread; the
 * monitor registers the one sink that hands them to its sessions. Without a sink they are dropped.
 */
#ifndef VIREO_QAPI_EVENT_H
#define VIREO_QAPI_EVENT_H

#include <json-c/json.h>

/*
 * event is the QapiEvent; data (borrowed) is an object, or NULL when the event carries none.
 * Called on the sender's thread.
 */
typedef void QapiEventSink(int event, const char *name, json_object *data, void *opaque);

/* Set before threads that send events start, and cleared (NULL) after they ended. */
void qapi_set_event_sink(QapiEventSink *sink, void *opaque);

/* For generated code. Takes data. */
void qapi_event_emit(int event, const char *name, json_object *data);

#endif
