# SPDX-License-Identifier: GPL-2.0-only
"""The command line of the Python programs.

The program's docstring is its help. "--help" prints it on standard output and exits with 0.
Wrong usage prints one line on standard error, which names the wrong argument and --help, and
exits with 2. tools/lib.sh does the same for the shell scripts.
"""

import argparse
import os
import re
import signal
import sys

from iou2 import TOP


def program():
    """The path of the running program, relative to the top of the tree."""
    path = os.path.relpath(os.path.realpath(sys.argv[0]), TOP)
    return os.path.basename(path) if path.startswith('..') else path


def prints_only():
    """For a program that only prints: end without a message if nobody reads on, as in "| head"."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def wrong_usage(message):
    print(f'{program()}: {message}; see {program()} --help', file=sys.stderr)
    sys.exit(2)


class Parser(argparse.ArgumentParser):
    """An argparse parser that prints the program's docstring as its help."""

    def __init__(self, doc):
        super().__init__(prog=program(), add_help=False, allow_abbrev=False)
        self.doc = doc.strip() + '\n'
        self.add_argument('--help', '-h', action='help')

    def format_help(self):
        return self.doc

    def parse_known_args(self, args=None, namespace=None):
        """Report an unknown option before argparse reports a missing argument."""
        for word in sys.argv[1:] if args is None else args:
            if word == '--' or self._subparsers and not word.startswith('-'):
                break
            if word.startswith('--') and word.partition('=')[0] not in self._option_string_actions:
                self.error(f'unknown argument "{word}"')
        return super().parse_known_args(args, namespace)

    def error(self, message):
        wrong_usage(message)


def expression(text):
    """The type of an argument that is a regular expression."""
    try:
        return re.compile(text)
    except re.error as e:
        raise argparse.ArgumentTypeError(f'not a regular expression: {text}: {e}') from e


def count(text):
    """The type of an argument that is a number above 0."""
    if not re.fullmatch('[1-9][0-9]*', text):
        raise argparse.ArgumentTypeError(f'not a number above 0: {text}')
    return int(text)
