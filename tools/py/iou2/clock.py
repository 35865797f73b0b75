# SPDX-License-Identifier: GPL-2.0-only
"""Progress messages of a long run: lines with the seconds since it began."""

import sys
import threading
import time

BEGAN = time.monotonic()
_lock = threading.Lock()


def seconds():
    return int(time.monotonic() - BEGAN)


def say(text, file=None):
    """Print a whole line at once, because several threads print."""
    with _lock:
        print(f'[{seconds():4d} s] {text}', file=file or sys.stdout, flush=True)
