/* SPDX-License-Identifier: Apache-2.0 */
/* Networks in the human monitor. */
#ifndef VIREO_SYSTEM_HMP_NET_H
#define VIREO_SYSTEM_HMP_NET_H

/* Once, before a monitor opens: netdev_add, set_link, hostfwd_add and so on. */
void hmp_net_register(void);

#endif
