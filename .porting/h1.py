import re,os
def rd(f): return open(f).read()
def wr(f,s): open(f,'w').write(s)
# --- op/opdef.h: what the table's functions take and return
s=rd('op/opdef.h')
s=s.replace('#include "../uapi/linux/iouring2.h"','#include "../../uapi/linux/iouring2.h"')
req=rd('request.h')
a=req.index('/* how issue() ended; see struct io2_op */'); b=req.index('/* struct io2_poll::state */')
blk=req[a:b]
req=req[:a]+req[b:]
s=s.replace('''struct io2_req;
struct io2_batch;
enum io2_issue;
''','''struct io2_req;
struct io2_batch;

'''+blk.rstrip()+'\n')
s=s.replace('''#include <linux/types.h>
''','''#include <linux/bits.h>
#include <linux/types.h>
''')
wr('op/opdef.h',s)
# --- req.h: data; request.h: functions
a=req.index('#ifndef IO2_REQUEST_H')
head=req[:a]
i=req.index('void io2_req_recycle_some(')
fn=req[i:]
data=req[a:i]
data=data.replace('IO2_REQUEST_H','IO2_REQ_H').replace('#include "opdef.h"','#include "op/opdef.h"').rstrip()
# inline poll state etc stays in data
wr('req.h',head+data+'\n\n#endif\n')
wr('request.h.fn',fn)
