/* SPDX-License-Identifier: Apache-2.0 */
/* A QMP or HMP client on the other end of a socket pair, and a small command table. */
#ifndef VIREO_MONITOR_TESTS_HARNESS_H
#define VIREO_MONITOR_TESTS_HARNESS_H

#include <json-c/json.h>

#include "monitor/monitor.h"

typedef struct Client {
    int fd;
    GString *in; /* what the monitor said and no one has looked at */
    bool closed;
} Client;

/* The commands about the monitor, and test-echo, test-slow, test-fail, test-event, test-big. */
extern const QapiCommandTable test_commands;
/* How often each test command ran. */
extern int test_runs;

/* A client of a new monitor. */
Client *client_new(MonitorKind kind);
void client_free(Client *client);
void client_send(Client *client, const char *text);
void client_send_bytes(Client *client, const void *bytes, size_t len);
/* Send text together with a descriptor. */
void client_send_fd(Client *client, const char *text, int fd);
/* The next line, turning the main loop meanwhile; fails after some seconds. NULL: it hung up. */
char *client_line(Client *client);
/* The next line as JSON. */
json_object *client_json(Client *client);
/* The next line, without blanks, must be like the pattern. */
void client_expect(Client *client, const char *pattern);
/* Read until text appears (HMP); returns all up to and with it. */
char *client_until(Client *client, const char *text);
/* Nothing may come for a while. */
void client_expect_silence(Client *client);
/* Greeting and qmp_capabilities. */
void client_negotiate(Client *client, bool oob);

#endif
