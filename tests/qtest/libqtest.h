/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device tests: start a vireo whose CPUs stand still (-accel qtest), and drive its ports, memory,
 * interrupt lines and clock over the qtest protocol; commands go over QMP.
 *
 * A broken conversation (the process died, a reply is FAIL) fails the test at once. Only the child
 * that qtest_start() made is ever signalled.
 *
 *   QTest *qts = qtest_start("-M pc -device foo");
 *   qtest_outb(qts, 0x70, 0x0a);
 *   g_assert_cmphex(qtest_inb(qts, 0x71), ==, 0x26);
 *   qtest_stop(qts);
 */
#ifndef VIREO_TESTS_QTEST_LIBQTEST_H
#define VIREO_TESTS_QTEST_LIBQTEST_H

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct QTest QTest;

/*
 * Run the program that the environment variable VIREO names (meson sets it) with these arguments,
 * split as a shell would, after "-accel qtest -display none -nodefaults" and the connections. A fmt
 * of "" gives the default machine.
 */
QTest *qtest_start(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
/* End it by SIGTERM and wait; anything but a clean exit fails the test. NULL is ignored. */
void qtest_stop(QTest *qts);
/* Wait for it to exit by itself (after a shutdown); returns its exit status and frees qts. */
int qtest_wait_exit(QTest *qts);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(QTest, qtest_stop)

/* Start, and expect that it refuses: returns what it printed on stderr. The caller's. */
char *qtest_start_refused(const char *fmt, ...) G_GNUC_PRINTF(1, 2);

/* Ports. */
uint8_t qtest_inb(QTest *qts, uint16_t port);
uint16_t qtest_inw(QTest *qts, uint16_t port);
uint32_t qtest_inl(QTest *qts, uint16_t port);
void qtest_outb(QTest *qts, uint16_t port, uint8_t value);
void qtest_outw(QTest *qts, uint16_t port, uint16_t value);
void qtest_outl(QTest *qts, uint16_t port, uint32_t value);

/* Memory space: one access of that size, as a CPU makes it. */
uint8_t qtest_readb(QTest *qts, uint64_t addr);
uint16_t qtest_readw(QTest *qts, uint64_t addr);
uint32_t qtest_readl(QTest *qts, uint64_t addr);
uint64_t qtest_readq(QTest *qts, uint64_t addr);
void qtest_writeb(QTest *qts, uint64_t addr, uint8_t value);
void qtest_writew(QTest *qts, uint64_t addr, uint16_t value);
void qtest_writel(QTest *qts, uint64_t addr, uint32_t value);
void qtest_writeq(QTest *qts, uint64_t addr, uint64_t value);
/* Bytes in bulk. */
void qtest_memread(QTest *qts, uint64_t addr, void *data, size_t size);
void qtest_memwrite(QTest *qts, uint64_t addr, const void *data, size_t size);
void qtest_memset(QTest *qts, uint64_t addr, uint8_t byte, size_t size);

/* The virtual clock: each returns its new value in ns. step_next goes to the nearest timer. */
int64_t qtest_clock_step(QTest *qts, int64_t ns);
int64_t qtest_clock_step_next(QTest *qts);
int64_t qtest_clock_set(QTest *qts, int64_t ns);

/*
 * Interrupt lines. Intercept a device's inputs, or its outputs of a group (NULL: the unnamed one);
 * qtest_get_irq() then tells a line's level. One device per test process.
 */
void qtest_irq_intercept_in(QTest *qts, const char *path);
void qtest_irq_intercept_out(QTest *qts, const char *path, const char *group);
bool qtest_get_irq(QTest *qts, unsigned line);
/* How often the line rose since the last call. */
unsigned qtest_irq_rises(QTest *qts, unsigned line);
void qtest_set_irq_in(QTest *qts, const char *path, const char *group, unsigned line, bool level);

/* PCI configuration space by ports CF8h and CFCh. devfn is device << 3 | function. */
uint32_t qtest_pci_read(QTest *qts, uint8_t bus, uint8_t devfn, uint8_t offset, unsigned size);
void qtest_pci_write(QTest *qts, uint8_t bus, uint8_t devfn, uint8_t offset, unsigned size,
                     uint32_t value);

/* One raw line; the reply's line without its newline. The caller's. Any reply is accepted. */
char *qtest_raw(QTest *qts, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/*
 * QMP: the command as JSON text (printf'd). qtest_qmp returns "return" and fails the test on an
 * error; qtest_qmp_error returns the error's description and fails the test on success;
 * qtest_qmp_response gives the whole reply. Events that come meanwhile are kept for
 * qtest_qmp_event().
 */
json_object *qtest_qmp(QTest *qts, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
char *qtest_qmp_error(QTest *qts, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
json_object *qtest_qmp_response(QTest *qts, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
/* Run a human monitor command; its output is the caller's. */
char *qtest_hmp(QTest *qts, const char *command);
/* Wait (at most 10 s) for the event; its object is the caller's reference. */
json_object *qtest_qmp_event(QTest *qts, const char *name);
/* Has the event come already? It is dropped if so. */
bool qtest_qmp_has_event(QTest *qts, const char *name);
/* Its member "data", of which the caller gets a reference. */
json_object *qtest_qmp_event_data(QTest *qts, const char *name);

/* Ask for the removal of a device of -device or device_add. */
void qtest_device_del(QTest *qts, const char *id);
/* Wait for the next DEVICE_DELETED, which must be of this device. */
void qtest_expect_deleted(QTest *qts, const char *id);

#endif
