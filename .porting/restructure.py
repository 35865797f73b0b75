#!/usr/bin/env python3
"""restructure.py TREE: the mechanical part: files, functions, names."""
import os, re, subprocess, sys

T = sys.argv[1]
GIT = os.path.exists(T + '/.git') and '--nogit' not in sys.argv
def p(f): return os.path.join(T, f)
def rd(f): return open(p(f)).read()
def wr(f, s):
    os.makedirs(os.path.dirname(p(f)), exist_ok=True)
    open(p(f), 'w').write(s)
def mv(a, b):
    os.makedirs(os.path.dirname(p(b)), exist_ok=True)
    if GIT: subprocess.check_call(['git', '-C', T, 'mv', a, b])
    else: os.rename(p(a), p(b))

M = 'module/'
MOVES = [
 ('op_nop.c','op/nop.c'),('op_rw.c','op/rw.c'),('op_sync.c','op/sync.c'),
 ('opdef.c','op/opdef.c'),('opdef.h','op/opdef.h'),('ops.h','op/ops.h'),
 ('timeout.c','op/timeout.c'),
 ('kind.c','file.c'),('kind.h','file.h'),
 ('fault.c','debug/fault.c'),('fault.h','debug/fault.h'),
 ('coverage.c','debug/coverage.c'),('coverage.h','debug/coverage.h'),
 ('coverage_redirect.h','debug/coverage_redirect.h'),
 ('counters.c','debug/counters.c'),('counters.h','debug/counters.h'),
]
FUNCS = [  # (from, to, [names])
 ('cancel.c','hash.c',['hash_bucket','hash_set_bits','io2_cancel_init','hash_move','io2_hash_grow','io2_hash_free','io2_hash_add','io2_hash_running','io2_hash_begin','io2_hash_rename','io2_hash_del','io2_unhash','io2_hash_find']),
 ('cancel.c','op/cancel.c',['io2_cancel_prep','cancel_get_file','io2_cancel_issue']),
 ('request.c','reqmem.c',['io2_req_list_free','io2_req_cache_put','io2_req_recycle_some','io2_req_cache_fill','io2_req_lookup','io2_req_get_file','struct req_closer','closer_fn','req_may_close_file','req_take_file','req_detach_file','req_put_file','req_free_data','req_drop_submitter','req_release','io2_req_release_unstarted','io2_req_disown','io2_request_init','io2_request_exit']),
 ('deferred.c','defer.c',['deferred_kick','deferred_by_submitter','io2_defer','io2_defer_elsewhere','io2_defer_close','io2_defer_closed','io2_deferred_detach','io2_deferred_module_put','io2_defer_back','io2_deferred_handover','io2_deferred_waiter','io2_deferred_waiter_left','io2_deferred_quiesce','io2_queue_notify','io2_queue_reap','io2_queue_watch','io2_deferred_module_init','io2_deferred_module_exit']),
 ('op/timeout.c','count.c',['timeout_uncount','io2_timeouts_count','timeout_count_add']),
 ('op/timeout.c','time.h',['io2_timespec','io2_host_time']),
 ('poll.c','op/poll.c',['poll_add_finish','poll_add_report','poll_by_other','poll_ask','poll_add_run','poll_events','io2_poll_add_prep','io2_poll_add_issue','io2_poll_remove_prep','poll_is_with_worker','poll_rehash','poll_steal','poll_end_run','poll_end','poll_rearm_run','poll_update','io2_poll_remove_issue']),
 ('worker.c','nudge.c',['io2_nudge','io2_nudge_sleeper','io2_unnudge']),
 ('turn.c','nudge.c',['breaker_fn','io2_breaker_start','io2_breaker_stop']),
 ('turn.c','worker.c',['park_tell','park_add','io2_park']),
 ('worker.c','ring.c',['workers_watch']),
 ('key.c','worker.c',['key_next_run','io2_key_leave']),
 ('worker.c','submitter.c',['io2_wq_init','io2_workers_of']),
 ('ring.c','submitter.c',['fd_is_file','have_descriptor','io2_ring_reachable']),
 ('wait.c','cq.h',['io2_wake_process']),
]
RENAMES = [
 (r'\bIO2_ASYNC\b','IO2_QUEUED'),
 (r'\bio2_poll_wait\b','io2_poll_arm_for_op'),
 (r'\bring->poll_wait\b','ring->pollers'),
 (r'@poll_wait\b','@pollers'),
 (r'\bwait_queue_head_t(\s+)poll_wait;',r'wait_queue_head_t\1pollers;'),
 (r'\bio2_defer_elsewhere\b','io2_defer_to_wq'),
 (r'\bring->elsewhere\b','ring->wq_list'),
 (r'@elsewhere\b','@wq_list'),
 (r'\bstruct list_head(\s+)elsewhere;',r'struct list_head\1wq_list;'),
 (r'\bio2_defer_foreign\b','io2_defer_retry_in_wq'),
 (r'\bforeign_run\b','retry_in_wq_run'),
 (r'\bstruct io2_wq\b','struct io2_pool'),
 (r'\bio2_wq_init\b','io2_pool_init'),
 (r'\bIO2_WQ_(NONE|QUEUED|RUNNING|INTERRUPTED)\b',r'IO2_POOL_\1'),
 (r'\benum io2_wq_state\b','enum io2_pool_state'),
 (r'\bwq_state\b','pool_state'),
 (r'\bwq_class\b','pool_class'),
 (r'\bwq_lock\b','pool_lock'),
 (r'\bwq_(peek|remove|process_has|may_exceed|may_begin|may_create|append|add|add_hashed|create_failed)\b',r'pool_\1'),
 (r'->wq\.','->pool.'),
 (r'->wq\b(?=;|\))','->pool'),
 (r'@wq:','@pool:'),
 (r'@wq\b(?=\.)','@pool'),
 (r'\bstruct io2_pool(\s+)wq;',r'struct io2_pool\1pool;'),
 (r'\bio2_req_disown\b','io2_req_release_atomic'),
 (r'\b(io2_req_complete|submit|submit_is|sqe_is)_plain\b',r'\1_fast'),
 (r'\bsubmit_special\b','submit_slow'),
 (r'\bst->plain\b','st->fast'),
 (r'\bring->gone\b','ring->completed_snapshot'),
 (r'\bring->leaves\b','ring->leave_seq'),
 (r'\bIOURING2_DOOR_FADVISE\b','IOURING2_ENTER_BY_FADVISE'),
 (r'\bdoors\b(?=;)','enter_methods'),
 (r'\bq->doors\b','q->enter_methods'), (r'\bq\.doors\b','q.enter_methods'),
 (r'\bio2_cancel_init\b','io2_hash_init'),
 (r'\btimeout_uncount\b','io2_counted_del'),
 (r'\btimeout_count_add\b','io2_counted_add'),
 (r'\bio2_timeouts_count\b','io2_counted_expire'),
 (r'\bIO2_KIND_H\b','IO2_FILE_H'),
 (r'"kind\.h"','"file.h"'),
 (r'\bio2_deferred_module_init\b','io2_defer_module_init'),
 (r'\bio2_deferred_module_exit\b','io2_defer_module_exit'),
 (r'\bio2_deferred_detach\b','io2_defer_detach'),
 (r'\bio2_deferred_module_put\b','io2_defer_module_put'),
 (r'\bio2_deferred_handover\b','io2_defer_handover'),
 (r'\bio2_deferred_waiter_left\b','io2_defer_waiter_left'),
 (r'\bio2_deferred_waiter\b','io2_defer_waiter'),
 (r'\bio2_deferred_quiesce\b','io2_defer_quiesce'),
 (r'\bio2_deferred_pending\b','io2_defer_pending'),
 (r'\bdeferred_kick\b','defer_kick'),
 (r'\bdeferred_by_submitter\b','defer_by_submitter'),
 (r'\bio2_workers_of\b','io2_submitter_has_workers'),
 (r'\bworkers_watch\b','ring_watch'),
 (r'\bhash_bucket\b','io2_hash_bucket'),
]

def extract(src, name):
    """Cut a top-level function (or struct) with its comment out of src."""
    lines = src.split('\n')
    if name.startswith('struct '):
        pat = re.compile(r'^' + name + r' \{')
    else:
        pat = re.compile(r'^[A-Za-z_].*\b' + name + r'\(')
    at = None
    for i, l in enumerate(lines):
        if not pat.match(l): continue
        # a prototype?
        j = i
        while j < len(lines) and not re.search(r'[;{]\s*$', lines[j]) and lines[j] != '{': j += 1
        if lines[j].rstrip().endswith(';') and '{' not in lines[j]: continue
        at = i; break
    if at is None: raise SystemExit('no %s in source' % name)
    end = at
    while not re.match(r'^\}', lines[end]): end += 1
    start = at
    # return type on a line of its own
    while start and re.match(r'^(static|bool|int|struct|unsigned|void|const|enum)\b[^;{}()]*$', lines[start-1]): start -= 1
    if start and lines[start-1].rstrip().endswith('*/'):
        k = start - 1
        while not lines[k].lstrip().startswith('/*'): k -= 1
        if not lines[k].startswith('/* ---'): start = k
    text = '\n'.join(lines[start:end+1])
    rest_a, rest_b = lines[:start], lines[end+1:]
    while rest_a and rest_a[-1] == '' and rest_b and rest_b[0] == '': rest_b.pop(0)
    return text, '\n'.join(rest_a + rest_b)

for a, b in MOVES: mv(M+a, M+b)
for src, dst, names in FUNCS:
    s = rd(M+src); out = []
    for n in names:
        t, s = extract(s, n); out.append(t)
    wr(M+src, s)
    d = rd(M+dst) if os.path.exists(p(M+dst)) else ''
    d = (d.rstrip('\n') + '\n\n' if d else '') + '\n\n'.join(out) + '\n'
    wr(M+dst, d)
files = subprocess.check_output(['find', p('module'), '-name', '*.[ch]'], text=True).split()
for d in ('uapi','selftests','lib','tools','bench','examples','docs'):
    if not os.path.isdir(p(d)): continue
    files += [f for f in subprocess.check_output(['find', p(d), '-type', 'f'], text=True).split()
              if not f.endswith(('.patch','.tsv','.svg')) and '/build/' not in f and '__pycache__' not in f]
for f in files:
    try: s = open(f).read()
    except UnicodeDecodeError: continue
    o = s
    ren = RENAMES if '/module/' in f[len(T)-1:] or f.startswith(p('module')) else [r for r in RENAMES if 'IOURING2_' in r[0] or r[0].startswith(r'\bdoors') or 'q->doors' in r[0] or r'q\.doors' in r[0]]
    for a, b in ren: s = re.sub(a, b, s)
    if s != o: open(f, 'w').write(s)
