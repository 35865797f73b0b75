import subprocess,os,re
T='/root/mutgen/'; O='/work/main/tools/mutants/'
def run(*a): return subprocess.run(a,cwd=T,capture_output=True,text=True,check=True).stdout
def make(name, edits, header=None):
    f=O+name+'.patch'
    if header is None:
        s=open(f).read(); header=s[:s.index('diff --git')].rstrip()
    run('git','checkout','-q','--','.')
    for path,a,b in edits:
        s=open(T+path).read(); assert s.count(a)>=1,(name,a); s=s.replace(a,b,1); open(T+path,'w').write(s)
    d=run('git','diff'); d=re.sub(r'(?m)^index .*\n','',d)
    open(f,'w').write(header+'\n\n'+d)
def hdr(n,inv,br,tests,kernel='6.1',module='debug',eq=None):
    return 'Mutant: %s\nInvariant: %s\nBreaks: %s\n'%(n,inv,br)+''.join('Test: %s\n'%t for t in tests)+'Module: %s\nKernel: %s'%(module,kernel)+('\nEquivalent: '+eq if eq else '')
W='module/worker.c'; S='module/submitter.c'; R='module/request.c'; C='module/compat/compat.c'
make('blocked-worker-frozen',[(W,'	if (w->wq_class != IO2_UNBOUNDED)\n		set_freezable();','	set_freezable();')])
make('worker-not-frozen',[(W,'	if (w->wq_class != IO2_UNBOUNDED)\n		set_freezable();\n','')])
make('descriptor-of-leader',[(S,'			if (!task_is_of(t, sub))\n				continue;\n','')])
make('descriptor-of-whoever',[(R,'	if (!req->sub || io2_submitter_is_process(req->sub))','	if (!req->sub || current->files)')])
make('exec-not-watched',[(W,'	if (replaced && io2_submitters_mark_gone(ring, NULL))\n		io2_cancel_gone(ring);','	if (replaced)\n		smp_mb();')])
make('fput-later',[(R,'io2_file_close_sync(req_take_file(req))','fput(req_take_file(req))')])
make('gone-rearms',[('module/cancel.c','	if (io2_ring_dying(ring) || io2_worker_was_interrupted(req) ||\n	    req->sub->gone)','	if (io2_ring_dying(ring) || io2_worker_was_interrupted(req))'),(R,'	return io2_ring_dying(req->ring) || READ_ONCE(req->sub->gone) ||\n	       io2_submitter_is_replaced(req->sub);','	return io2_ring_dying(req->ring);')])
make('killed-not-watched',[(W,'		if (io2_submitter_ends(r->sub))\n			send_sig(SIGKILL, r->task, 1);\n','')])
make('watched-once',[(W,'	if (busy)\n		io2_queue_watch(ring);\n','')])
make('kind-sent-by-worker',[('module/kind.c','	case AF_PACKET:\n	case AF_ALG:\n		return IO2_KIND_READ | KIND_ASK;','	case AF_PACKET:\n	case AF_ALG:\n		return KIND_RW | KIND_ASK;')])
make('last-worker-ends',[(W,'	      (wq->nr[w->wq_class] > 1 || workers_too_many() ||\n	       READ_ONCE(w->ring->submitter) != w->sub) &&\n','')])
L=(C,'	if (sock)\n		set_thread_flag(TIF_SIGPENDING);\n','')
make('linger-in-line',[('module/deferred.c','	queue_work(io2_detached, work);','	work->func(work);'),L])
make('linger-keeps-leaver',[(R,'	if (io2_file_ends_here(req->file))\n		return false;','	if (req->file)\n		return false;'),(R,'	if (!io2_file_ends_here(req->file))\n		req_drop_submitter(req);\n',''),L])
make('linger-keeps-ring',[(R,'	if (io2_file_ends_here(req->file))\n		return false;','	if (req->file)\n		return false;'),L])
for n in ('worker-in-root-cgroup','worker-stays-in-cgroup'): os.remove(O+n+'.patch')
# new
make('descriptor-after-exec',[(S,'	return READ_ONCE(task->files) == sub->files &&\n	       READ_ONCE(task->mm) == sub->mm;','	return READ_ONCE(task->files) == sub->files;'),(R,'	return io2_ring_dying(req->ring) || READ_ONCE(req->sub->gone) ||\n	       io2_submitter_is_replaced(req->sub);','	return io2_ring_dying(req->ring) || READ_ONCE(req->sub->gone);')],
 hdr('descriptor-after-exec','exec','a late request has the descriptors of a program with more rights',['exec set_user_id']))
make('started-after-exec',[(R,'	return io2_ring_dying(req->ring) || READ_ONCE(req->sub->gone) ||\n	       io2_submitter_is_replaced(req->sub);','	return io2_ring_dying(req->ring) || READ_ONCE(req->sub->gone);')],
 hdr('started-after-exec','exec','a request is started for a program that has been replaced',['exec set_user_id']))
make('signal-after-exec',[(S,'	if (!READ_ONCE(sub->gone) && !io2_submitter_is_replaced(sub))','	if (!READ_ONCE(sub->gone))')],
 hdr('signal-after-exec','exec','a program hears of a broken pipe of the one that it has replaced',['exec no_signal_for_another']))
make('exec-ends-parents',[(S,'		if (mm ? sub->mm != mm : !io2_submitter_is_replaced(sub))','		if (mm && sub->mm != mm)')],
 hdr('exec-ends-parents','exec','the requests of all sharers end when one of them executes a program',['exec parent_goes_on']))
make('worker-in-cgroup',[(W,'	io2_account_io_to(owner);\n','	io2_account_io_to(owner);\n	cgroup_attach_task_all(owner, current);\n')],
 hdr('worker-in-cgroup','cgroups','a worker joins the cgroups of its process, which never become frozen then',['workers group_freezes']))
make('io-not-accounted',[(W,'	io2_account_io_to(owner);\n','')],
 hdr('io-not-accounted','cgroups','what a worker reads is accounted to nobody',['workers io_is_accounted']))
make('account-kept',[(W,'	io2_account_io_to(NULL);\n','')],
 hdr('account-kept','cgroups','a worker that ends keeps its I/O cgroup',['workers io_is_accounted']))
make('nothing-beyond-limit',[('module/op_rw.c','	/* nothing goes beyond it */\n	if (!iov_iter_count(iter))\n		return 0;\n','')],
 hdr('nothing-beyond-limit','limits','a write of nothing behind RLIMIT_FSIZE raises SIGXFSZ',['rw_limits limit_nothing']))
make('kind-mandatory-locks',[('module/kind.c','	if (io2_has_mandatory_locks(inode))\n		return false;\n','')],
 hdr('kind-mandatory-locks','kinds','a worker waits for a mandatory lock of its own submitter',['rw_limits own_mandatory_lock'],kernel='5.10'))
make('kind-vsock-asked',[('module/kind.c','		return IO2_KIND_READ | IO2_KIND_ASK_LATE;\n','		return IO2_KIND_READ | KIND_ASK;\n')],
 hdr('kind-vsock-asked','kinds','a work item waits for who reads from a vsock',['sharers vsock_is_locked']))
make('linger-for-nobody',[L],
 hdr('linger-for-nobody','I9','a socket that nobody closes lingers',['sharers last_of_cancelled']))
run('git','checkout','-q','--','.')
