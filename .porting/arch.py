p='/work/house/docs/architecture.md'; s=open(p).read()
i=s.index('## Rooms'); j=s.index('## Kernels')
s=s[:i]+'''## Where things are

`module/` has four floors. A file calls its own floor and those below; `tools/circles`, part of tier 0, fails on any
other circle of calls or includes than that of the engine's four files.

| entry | what is decided there |
|---|---|
| `main.c` | the device node, QUERY, loading and unloading |
| `setup.c` | SETUP: checking parameters, building a ring step by step |
| `ring.c` | the ring's file; how a live ring ends, and what a process leaves behind |
| `wait.c`, `turn.c` | ENTER: waiting, and doing what is parked for the task's process |
| `submit.c` | accepting: budget, chains, drain; all that requests of one ENTER share |
| `register.c` | REGISTER |
| `fdinfo.c` | `/proc/PID/fdinfo/FD` |

| engine | |
|---|---|
| `request.c` | a request from its start to its completion, and who runs it |
| `poll.c` | waiting for a file |
| `worker.c` | worker threads, and requests that are parked for their process |
| `deferred.c` | running what was deferred |

| below the engine | |
|---|---|
| `cq.c` | posting a CQE; the backlog; the drain queue |
| `cancel.c` | finding and cancelling requests, on request, at exit and at close |
| `submitter.c` | who submitted, and what a worker borrows: memory, credentials, memory cgroup |
| `region.c` | memory that the application and the kernel share: where a mapping begins and ends |
| `sq.h` | reading the submission queue |

| leaves | |
|---|---|
| `ring.h`, `req.h` | what a ring and a request are made of, and which lock guards what |
| `reqmem.c` | a request's memory, file and submitter: allocate, look up, release |
| `hash.c` | requests that can be cancelled, by user_data |
| `defer.c` | the queue from any context to one that may sleep |
| `count.c` | timeouts that wait for a number of completions |
| `key.c` | ordering keys |
| `file.c` | which files a kernel thread may use |
| `nudge.c` | ending a sleep without a signal |
| `where.h`, `time.h` | who runs a request next, one pure function; times as applications give them |

`cancel.c` also calls the engine: it is below it in what it decides, and above it in whom it calls. `op/` has the table of
opcodes (`opdef.c`, the only place that lists them) and a file for each family of them: `nop.c`, `rw.c`, `sync.c`,
`poll.c`, `timeout.c`, `cancel.c`. `debug/` has what only tests need: failing a step of SETUP (`fault.c`, debug builds),
which lines have run (`coverage.c`, coverage builds), and the counters of live objects in sysfs (`counters.c`, always).
`compat/` has the differences between kernels, and is the only place that knows versions.

A new opcode is a row in `op/opdef.c` and a function or file in `op/`. The struct with its arguments is private to
that file, which reaches it by `io2_args()`. The engine knows opcodes only by what their row says.

'''+s[j:]
i=s.index('## Where this differs from the first design')
s=s[:i]+'''## Decisions

- **The deferred list has a lock.** Adding a request and telling whoever runs the list are one critical section. That
  keeps the order, and a wake-up no longer touches the ring once somebody else could have completed its request,
  which is what lets close free the ring at once. [ordering.md](ordering.md) has the argument.
- **A poll's wake-up posts its CQE** where it can: to queue one CQE with nothing behind it costs three times what the CQE
  does. It takes the ring's locks only if they are free. What would start another request, close a file, or
  wake those who poll the ring goes to task context. `io2_cq_try_post()` has the rules, and
  `io2_cq_try_post_aux()` those for an event of a multishot.
- **Ring memory is contiguous if that is easily had**, and made of single pages where it is not. It
  is mapped into applications by frame number on every kernel, as io_uring did up to 6.9: no page is
  counted, inserted or populated, and a debugger sees it by `vm_ops->access`.
- **The hash of requests starts small and grows** when a submission finds many in it. If there is
  no memory for a larger one, look-ups take longer and nothing else happens.
- **A request is no larger than io_uring's**, 256 bytes. Waiting for a file, waiting for a timer and trying an I/O
  never happen at the same time, so they share their room. An opcode's arguments (`args`) lie apart from all of these.
- **What the submitter causes itself, it finishes itself.** Requests that it cancels, and I/O that is done
  before it returns, are completed with its own, not by the workqueue.
- **There are two ways into ENTER**: the ioctl and `fadvise64(2)`, see [abi.md](abi.md).
- **Requests end when their process closes its last descriptor of the ring**, not only when it
  exits. They hold the process's memory, which may map the ring, and its files, through which the
  ring may travel. Without the rule a blocked worker could keep ring and module for ever after an
  exec, or after a close that forgets the munmap.
- **Requests are charged to the memory cgroup of the task that submits them**, ring memory to that of
  the creator. For a ring that stays in its process both are the same.
- **SETUP makes the file before it writes the result**, and gives the file its ring after that. A copy-out that fails
  is undone without the teardown of a live ring, and a caller never finds a result of a SETUP that failed.
- **Workers are in no cgroup of their process**: a cgroup with a kernel thread in it never becomes frozen.
  [security.md](security.md) says what that means.
'''
open(p,'w').write(s)
