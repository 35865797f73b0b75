// SPDX-License-Identifier: GPL-2.0-only
/* The code of the tracepoints: the only file that expands trace.h fully. */
#include <linux/kernel.h>
#include <linux/poll.h>
#include <linux/string.h>

#include "cancel.h"
#include "poll.h"
#include "req.h"
#include "ring.h"

#define CREATE_TRACE_POINTS
#include "debug/trace.h"
