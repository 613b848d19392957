/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a migration adds to the stream (stream.h): commands from the source, each
 *
 *   08h, 16-bit number, 16-bit length, data
 *
 * and messages from the destination where the connection goes both ways, each 16-bit type, 16-bit
 * length, data. The numbers below 0100h are QEMU's.
 *
 * Over such a connection the two agree before either runs the machine: the destination says that it
 * has loaded everything (MESSAGE_SHUT with 0) or why not (MESSAGE_ERROR, MESSAGE_SHUT with 1), and
 * starts only when COMMAND_RUN came. If the connection breaks, the source goes on until it has sent
 * COMMAND_RUN, and never afterwards: the machine never runs twice.
 *
 * Devices' state comes as one package, so that its length is known: COMMAND_PACKAGED with a 32-bit
 * length, and so many bytes that are sections and the mark of their end.
 */
#ifndef VIREO_MIGRATION_COMMANDS_H
#define VIREO_MIGRATION_COMMANDS_H

#define COMMAND_OPEN_RETURN_PATH 0x0001u /* no data: the source listens to messages */
#define COMMAND_PACKAGED 0x0003u
#define COMMAND_RUN 0x5601u              /* no data */

#define MESSAGE_SHUT 0x0001u             /* 32-bit: 0 if all is well */
#define MESSAGE_ERROR 0x5601u            /* text, before MESSAGE_SHUT */
#define MESSAGE_MAX 1024u                /* bytes of data */

#endif
