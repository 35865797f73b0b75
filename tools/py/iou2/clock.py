# SPDX-License-Identifier: GPL-2.0-only
"""What a long run says while it runs: lines with the seconds since it began."""

import sys
import threading
import time

BEGAN = time.monotonic()
_lock = threading.Lock()


def seconds():
    return int(time.monotonic() - BEGAN)


def say(text, file=None):
    """Print a whole line at once: several threads do."""
    with _lock:
        print(f'[{seconds():4d} s] {text}', file=file or sys.stdout, flush=True)
