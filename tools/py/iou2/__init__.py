# SPDX-License-Identifier: GPL-2.0-only
"""Code that the tools share. It runs on the host, with the standard library of Python 3.11."""

import os
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

# The tools also run as root. Compiled modules in the tree would then belong to root.
sys.dont_write_bytecode = True
