/* SPDX-License-Identifier: Apache-2.0 */
/* Sources of randomness for guests: -object rng-builtin and rng-random. Main loop. */
#ifndef VIREO_BACKENDS_RNG_H
#define VIREO_BACKENDS_RNG_H

#include "qom/object.h"

#define TYPE_RNG_BACKEND "rng-backend"
#define TYPE_RNG_BUILTIN "rng-builtin"
/* Of one request. */
#define RNG_REQUEST_MAX 65536

typedef struct RngBackend RngBackend;
/* len: at least 1, at most what was asked for; 0: the source failed. data is borrowed. */
typedef void RngFn(void *opaque, const void *data, size_t len);

/* fn is called later, never from inside. Any number may wait; they are served in order. */
void rng_backend_request(RngBackend *rng, size_t len, RngFn *fn, void *opaque);
/* The requests of this one are forgotten. */
void rng_backend_cancel(RngBackend *rng, void *opaque);

#endif
