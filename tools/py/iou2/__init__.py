# SPDX-License-Identifier: GPL-2.0-only
"""What the tools share. Only the standard library of Python 3.11 is used, on the host."""

import os
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

# The tools also run as root: compiled modules in the tree would then be root's.
sys.dont_write_bytecode = True
