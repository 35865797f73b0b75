# SPDX-License-Identifier: GPL-2.0-only
"""Helpers of the tools for files, child processes and locks."""

import fcntl
import hashlib
import os
import signal
import subprocess
import threading
import time

from iou2 import TOP


def read(*path):
    """The text of a file, empty if the file does not exist."""
    try:
        with open(os.path.join(*path), encoding='utf-8', errors='replace') as f:
            return f.read()
    except FileNotFoundError:
        return ''


def write(text, *path, mode='w'):
    with open(os.path.join(*path), mode, encoding='utf-8', errors='replace') as f:
        f.write(text)


def tail(text, number):
    """The last lines of a text."""
    return text.rstrip('\n').split('\n')[-number:] if text else []


def last_line(text):
    return (tail(text, 1) or [''])[0]


def fingerprint(*parts):
    """A short key of these bytes."""
    return hashlib.sha256(b''.join(parts)).hexdigest()[:16]


def contents(path):
    with open(path, 'rb') as f:
        return f.read()


def tracked():
    """The existing files that git tracks, or that the tarball's MANIFEST names."""
    if os.path.exists(os.path.join(TOP, '.git')):
        found = subprocess.run(['git', '-c', 'safe.directory=*', 'ls-files', '-z'], check=True,
                               cwd=TOP, stdout=subprocess.PIPE, text=True).stdout.split('\0')
    else:
        found = read(TOP, 'MANIFEST').split('\n')
    return [name for name in found if name and os.path.isfile(os.path.join(TOP, name))]


class Lock:
    """A lock for one run at a time in a folder. Child processes inherit it, because they still
    write to the folder if the run itself is killed.
    """

    def __init__(self, *path):
        self.fd = os.open(os.path.join(*path), os.O_WRONLY | os.O_CREAT, 0o666)

    def take(self, wait=True):
        """Take the lock. Returns False if another run has it and @wait is false."""
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        return True


# set when a signal ends this program: its threads must not start other programs
ending = threading.Event()


def run(*command, output=None, errors=None, mode='w', lock=None, cwd=None):
    """Run a program without standard input. Returns its exit status. Its output goes to the
    file @output, and its errors to the file @errors, or to the same file.
    """
    if ending.is_set():
        raise SystemExit(1)
    files = [open(path, mode, encoding='utf-8') if path else None for path in (output, errors)]
    out, err = files
    if output and not errors:
        err = subprocess.STDOUT
    try:
        return subprocess.run(command, check=False, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out,
                              stderr=err, pass_fds=[lock.fd] if lock else []).returncode
    finally:
        for file in files:
            if file:
                file.close()


def said(*command, cwd=None):
    """Run a program. Returns (exit status, text of its output and errors)."""
    done = subprocess.run(command, check=False, cwd=cwd, stdin=subprocess.DEVNULL, text=True,
                          errors='replace', stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


def kill_below(pid):
    """End the descendants of a process, and nothing else, children before their parents.

    Returns whether there were any.
    """
    with subprocess.Popen(['ps', '-o', 'pid=,state=', '--ppid', str(pid)], stdout=subprocess.PIPE, text=True) as ps:
        rows = [line.split() for line in ps.stdout]
    found = [int(child) for child, state in rows if int(child) != ps.pid and state != 'Z']
    for child in found:
        kill_below(child)
        try:
            os.kill(child, signal.SIGTERM)
        except ProcessLookupError:
            pass
    return bool(found)


def end_with_children():
    """Let a signal that ends this program end its descendants, too."""
    def end(*_):
        ending.set()
        # more than once: a thread may be about to start one
        for _ in range(20):
            if not kill_below(os.getpid()):
                break
            time.sleep(0.1)
        os._exit(1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
