# SPDX-License-Identifier: GPL-2.0-only
"""Tests of the table of what the module supports."""

import unittest
from unittest import mock

from iou2 import support

HEADER = '''\
enum iouring2_sqe_flags_bit {
	IOURING2_SQE_FIXED_FILE_BIT,
	IOURING2_SQE_IO_DRAIN_BIT,
};
/* a comment, with a comma */
#define IOURING2_SQE_FIXED_FILE	(1U << IOURING2_SQE_FIXED_FILE_BIT)
#define IOURING2_SQE_IO_DRAIN	\\
	(1U << IOURING2_SQE_IO_DRAIN_BIT)
#define IOURING2_SETUP_IOPOLL	(1U << 0)	/* busy */
#define IOURING2_SETUP_CLAMP	(1U << 4)
enum iouring2_op {
	IOURING2_OP_NOP,
	IOURING2_OP_READV,	/* one, or more */

	/* One more than the last, which ends the list */
	IOURING2_OP_LAST,
};
#define IOURING2_FEAT_NODROP	(1U << 1)
#define IOURING2_ENTER_GETEVENTS	(1U << 0)
#define IOURING2_ENTER_FADVISE	(1U << 30)
#define IOURING2_ENTER_BY_FADVISE	(1U << 0)
enum iouring2_register_op {
	IOURING2_REGISTER_PROBE		= 8,
	IOURING2_UNREGISTER_NAPI,
	IOURING2_REGISTER_LAST,

	/* a flag */
	IOURING2_REGISTER_USE_REGISTERED_RING	= 1U << 31
};
#define IOURING2_REGISTER_FILES_SKIP	(-2)
'''
NAMES = {
    ('opcode', 0): 'IORING_OP_NOP', ('opcode', 1): 'IORING_OP_READV',
    ('setup', 0): 'IORING_SETUP_IOPOLL', ('setup', 4): 'IORING_SETUP_CLAMP',
    ('feature', 1): 'IORING_FEAT_NODROP', ('enter', 0): 'IORING_ENTER_GETEVENTS',
    ('sqe', 0): 'IOSQE_FIXED_FILE', ('sqe', 1): 'IOSQE_IO_DRAIN',
    ('register', 8): 'IORING_REGISTER_PROBE', ('register', 9): 'IORING_UNREGISTER_NAPI',
    ('register', 1 << 31): 'IORING_REGISTER_USE_REGISTERED_RING',
}
COLUMNS = {'6.1': r'6\.1\.', '7.x': r'[7-9]\.'}
LOG = '''\
TAP version 13
# # support\t7.3.4+deb13-amd64\topcode\t0\t0\r
# support\t7.3.4+deb13-amd64\topcode\t1\t-95
# support\t7.3.4+deb13-amd64\tfeature\t1\t-1000
# support\t7.3.4+deb13-amd64\tsetup\t30\t-22
# support\t8.9-rc1\tsetup\t4\t0
# support\t5.15.0\tsetup\t4\t0
not # support\t7.3.4\topcode\t0\t-22
# # sqe\t7.3.4+deb13-amd64\t0\tusual\t0\t0\t0
# # sqe\t7.3.4+deb13-amd64\t0\tioprio\t0xffff\t-22\t0x2
# # sqe\t7.3.4+deb13-amd64\t0\tflags\t0x40\t-5001\t0
# # sqe\t7.3.4+deb13-amd64\t1\tlen\t0x10\t16\t0
'''
REASONS = {('IORING_OP_READV', '7.x'): 'nothing (a test) is exported', ('IORING_FEAT_NODROP', 'all'): 'no room'}
PAGE = '<!-- summary: begin -->\n<!-- summary: end -->\n' + ''.join(
    f'<!-- {kind}: begin -->\nold\n<!-- {kind}: end -->\n' for kind in support.KINDS)


@mock.patch('iou2.support.columns', lambda: COLUMNS)
class Table(unittest.TestCase):

    def test_names(self):
        """names have those of io_uring.h; flags and opcodes of iouring2 alone, and limits, are left out"""
        self.assertEqual(support.names(HEADER), NAMES)
        self.assertEqual(support.names(support.original(HEADER)), NAMES)

    def test_this_header(self):
        """the header of the tree has more than a few names of each kind"""
        known = support.names(support.read(support.HEADER))
        for kind, least in (('opcode', 65), ('setup', 21), ('feature', 18), ('enter', 8), ('sqe', 7), ('register', 39)):
            self.assertGreaterEqual(len([1 for k, _ in known if k == kind]), least, kind)
        self.assertEqual(known['sqe', 5], 'IOSQE_BUFFER_SELECT')
        self.assertEqual(known['register', 37], 'IORING_REGISTER_BPF_FILTER')

    def test_supported(self):
        """constants with a row, and those of which a macro consists"""
        text = ('#define FLAGS\t(IOURING2_SETUP_CLAMP | \\\n\t\tIOURING2_SQE_ASYNC)\n#define FLAGS_2\tIOURING2_SETUP_CQSIZE\n'
                'rows = {\n\t[IOURING2_OP_NOP] = {\n\t\t.name = "NOP",\n\t},\n\t[IOURING2_OP_READV]\t= READ(),\n'
                '\t[IOURING2_UNREGISTER_NAPI] = f,\n};\nx = y[IOURING2_OP_TEE];\n')
        self.assertEqual(support.flags_of(text, 'FLAGS'), {'IORING_SETUP_CLAMP', 'IOSQE_ASYNC'})
        self.assertEqual(support.flags_of(text, 'FLAGS_2'), {'IORING_SETUP_CQSIZE'})
        self.assertEqual(support.flags_of(text, 'FLAG'), set())
        self.assertEqual(support.rows_of(text), {'IORING_OP_NOP', 'IORING_OP_READV', 'IORING_UNREGISTER_NAPI'})
        self.assertEqual(support.rows_of(text, 'READ'), {'IORING_OP_READV'})

    def test_this_module(self):
        """each table of the tree's module is found, and each kind has something that works"""
        works = support.supported()
        for kind in support.KINDS:
            known = {name for (k, _), name in support.names(support.read(support.HEADER)).items() if k == kind}
            self.assertTrue(works & known, kind)
        self.assertIn('IORING_OP_ASYNC_CANCEL', works)
        self.assertIn('IORING_REGISTER_SYNC_CANCEL', works)
        self.assertNotIn('IOSQE_FIXED_FILE', works)
        self.assertNotIn('IORING_OP_URING_CMD128', works)

    def test_cells(self):
        """a cell says works, refused with errno and reason, or not yet"""
        self.assertEqual(support.cell('setup', True, None), 'works')
        self.assertEqual(support.cell('setup', False, None), 'not yet')
        self.assertEqual(support.cell('opcode', False, 'why'), 'refused (EOPNOTSUPP, why)')
        self.assertEqual(support.cell('enter', False, 'why'), 'refused (EINVAL, why)')
        self.assertEqual(support.cell('feature', False, 'why'), 'refused (-, why)')
        self.assertEqual(support.cell('opcode', True, 'only here'), 'refused (EOPNOTSUPP, only here)')

    def test_table(self):
        """each name has a row, each kernel a cell; a reason can be of one kernel"""
        table = support.make_table(NAMES, {'IORING_OP_NOP', 'IORING_OP_READV'}, REASONS)
        self.assertEqual(list(table), [(kind, name) for (kind, _), name in NAMES.items()])
        self.assertEqual(table['opcode', 'IORING_OP_NOP'], {'6.1': 'works', '7.x': 'works'})
        self.assertEqual(table['opcode', 'IORING_OP_READV'],
                         {'6.1': 'works', '7.x': 'refused (EOPNOTSUPP, nothing (a test) is exported)'})
        self.assertEqual(table['feature', 'IORING_FEAT_NODROP'], {'6.1': 'refused (-, no room)', '7.x': 'refused (-, no room)'})
        self.assertEqual(table['sqe', 'IOSQE_IO_DRAIN'], {'6.1': 'not yet', '7.x': 'not yet'})
        text = support.table_text(table)
        self.assertEqual(text.split('\n')[:2], ['kind\tname\t6.1\t7.x', 'opcode\tIORING_OP_NOP\tworks\tworks'])
        self.assertEqual(support.read_table(text), table)

    def test_source_problems(self):
        """names of a table or of a reason that the header lacks, and reasons that nothing has"""
        def number(works, reasons):
            return len(list(support.source_problems(NAMES, works, reasons)))
        self.assertEqual(number({'IORING_OP_NOP', 'IORING_OP_READV'}, REASONS), 0)
        self.assertEqual(number({'IORING_OP_GONE'}, REASONS), 1)
        self.assertEqual(number({'IORING_FEAT_NODROP'}, REASONS), 1)
        self.assertEqual(number(set(), {('IORING_OP_GONE', 'all'): 'why', ('IORING_OP_NOP', '9.9'): 'why'}), 2)

    def test_reasons(self):
        """a reason is of one kernel, of several, or of all"""
        reasons = support.read_reasons('# name\tkernels\twhy\nA\t6.1,7.x\tsome\nB\tall\tnone\n')
        self.assertEqual([support.reason_of(reasons, 'A', k) for k in ('6.1', '6.12', '7.x')], ['some', None, 'some'])
        self.assertEqual(support.reason_of(reasons, 'B', '6.1'), 'none')

    def test_outdated(self):
        """a recorded cell that the module contradicts"""
        def differences(*cells):
            table = support.table_text({('opcode', 'IORING_OP_NOP'): {'6.1': '', '7.x': cells[0]},
                                        ('opcode', 'IORING_OP_READV'): {'6.1': '', '7.x': cells[1]}})
            log = '\n'.join(line for line in LOG.split('\n') if '\topcode\t' in line)
            with mock.patch('iou2.support.read', lambda path: table if path == support.TABLE else HEADER):
                return list(support.outdated(log))
        self.assertEqual(differences('works', 'not yet'), [])
        self.assertEqual(differences('works', 'refused (EOPNOTSUPP, why)'), [])
        self.assertEqual(len(differences('works', 'refused (EINVAL, why)')), 1)
        self.assertEqual(len(differences('not yet', 'works')), 2)

    def test_page(self):
        """the page has a table of each kind, and the reasons below it"""
        table = support.make_table(NAMES, {'IORING_OP_NOP'}, REASONS)
        text = support.page(PAGE, table, NAMES)
        self.assertNotIn('old', text)
        self.assertIn('| `IORING_OP_READV` | not yet | EOPNOTSUPP |\n', text)
        self.assertIn('- `IORING_OP_READV` (on 7.x): nothing (a test) is exported\n', text)
        self.assertIn('| opcodes | 2 | 1 | 1 |\n', text)
        self.assertEqual(support.page(text, table, NAMES), text)
        self.assertRaises(ValueError, support.page, text + PAGE, table, NAMES)

    def test_sqe_rows(self):
        """the recorded results of io_uring become rows for the C compiler"""
        rows = support.sqe_rows(LOG)
        self.assertEqual(support.sqe_rows_text(rows, NAMES).split('\n')[2:], [
            'ROW(IOURING2_OP_NOP, "usual", 0x0, 0, 0x0)',
            'ROW(IOURING2_OP_NOP, "ioprio", 0xffff, -EINVAL, 0x2)',
            'ROW(IOURING2_OP_NOP, "flags", 0x40, SILENT, 0x0)',
            'ROW(IOURING2_OP_READV, "len", 0x10, 16, 0x0)', ''])


if __name__ == '__main__':
    unittest.main()
