# SPDX-License-Identifier: GPL-2.0-only
"""Tests of iou2.files: a signal ends a program with all that it has started."""

import os
import signal
import subprocess
import sys
import textwrap
import unittest

from iou2 import TOP

# a thread starts a program anew each time that one ends
PROGRAM = textwrap.dedent('''
    import sys, threading
    from iou2 import files
    def start_again():
        while True:
            files.run('sh', '-c', 'sleep 1000; :')
    files.end_with_children()
    threading.Thread(target=start_again, daemon=True).start()
    print('ready', flush=True)
    files.run('sleep', '1000')
''')


class EndWithChildren(unittest.TestCase):

    def test_threads_start_nothing_more(self):
        env = dict(os.environ, PYTHONPATH=os.path.join(TOP, 'tools', 'py'))
        with subprocess.Popen([sys.executable, '-c', PROGRAM], env=env, stdout=subprocess.PIPE, text=True,
                              start_new_session=True) as program:
            program.stdout.readline()
            program.send_signal(signal.SIGTERM)
            self.assertEqual(program.wait(timeout=60), 1)
        left = subprocess.run(['ps', '-o', 'state=,args=', '-s', str(program.pid)], check=False,
                              stdout=subprocess.PIPE, text=True).stdout.splitlines()
        # one that has ended may wait until init has taken its status
        self.assertEqual([line for line in left if not line.startswith('Z')], [])


if __name__ == '__main__':
    unittest.main()
