// SPDX-License-Identifier: GPL-2.0-only
/*
 * Run a matrix of files and judge its cells; see files.h.
 *
 * Each kind has its own process, with its own mounts. In it, each way has a
 * process that does all columns, one after the other. If a column does not end
 * in time, its process is killed, and another one continues with the next
 * column.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include "kselftest.h"
#include "files.h"
#include "kthread.h"

/*
 * Seconds for one column, even on a busy machine: a longer one counts as hung
 */
#define COLUMN_LIMIT	20
#define ARGUED_LIMIT	3	/* the same, if it is known to hang */
#define SETUP_LIMIT	120
#define MAX_HUNG	2	/* after these, a way is not continued */

/* What is observed last if a column is killed at its limit */
#define HANGS		"hangs"

/* The column that this program adds to those of the matrix */
enum { LEFT_DATA, NR_OWN };

static const char * const own_columns[NR_OWN] = { "left" };

enum progress { NOT_RUN, RUNNING, RAN, HUNG };

/* Memory that the processes of a kind share */
struct board {
	char text[NR_WAYS][MAX_COLUMNS + NR_OWN][TEXT_LEN];
	int state[NR_WAYS][MAX_COLUMNS + NR_OWN];
	long us[NR_WAYS][MAX_COLUMNS + NR_OWN];
	long setup_us, teardown_us;
	char no_way[NR_WAYS][80];	/* why the way cannot be used */
	char skip[200];			/* why there is no such kind */
	char left[200];			/* what the kind left behind */
	int fds;			/* open files of kernel threads */
	int current;			/* column that is running */
	int set_up, ended;
};

static struct board *board;
static const struct matrix *matrix;
static FILE *tsv;
static const char *kernel;	/* its name in the table of results */
static char release[65];

/* ------------------------------------------------- what kernel threads have */

static int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *de;
	int nr = 0;

	while (dir && (de = readdir(dir)))
		nr += de->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return nr;
}

static int kcmp_files(pid_t a, pid_t b)
{
	return syscall(SYS_kcmp, a, b, 2 /* KCMP_FILES */, 0, 0);
}

#define KTHREADD	2
#define NR_KNOWN	65536

/*
 * Does this process share the file table of kthreadd? A process that once did
 * is not checked again, because nearly all kernel threads share it.
 */
static bool has_common_table(pid_t pid)
{
	static bool known[NR_KNOWN];

	if (pid <= 0 || pid >= NR_KNOWN || pid == KTHREADD)
		return false;
	if (!known[pid])
		known[pid] = !kcmp_files(KTHREADD, pid);
	return known[pid];
}

/*
 * Return: the largest number of open files of a kernel thread. None should have
 * any. Most kernel threads share a table.
 */
static int kernel_fds(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *de;
	char path[300];
	int nr, most = 0;

	while (proc && (de = readdir(proc))) {
		if (!isdigit(de->d_name[0]) ||
		    has_common_table(atoi(de->d_name)))
			continue;
		if (!is_kernel_thread(de->d_name))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/fd", de->d_name);
		nr = count_entries(path);
		most = nr > most ? nr : most;
	}
	if (proc)
		closedir(proc);
	return most;
}

/*
 * The number of file locks. An NFS server's delegations do not count, because
 * the server may revoke them at any time.
 */
static int nr_locks(void)
{
	FILE *f = fopen("/proc/locks", "r");
	char line[200];
	int nr = 0;

	while (f && fgets(line, sizeof(line), f))
		nr += !strstr(line, "DELEG");
	if (f)
		fclose(f);
	return nr;
}

/* ------------------------------------------------------------ what is argued */

static const char *column_name(unsigned int col)
{
	return col < matrix->nr_columns ? matrix->columns[col].name :
					  own_columns[col - matrix->nr_columns];
}

/* Is the running kernel one of @series, such as "5.10"? */
static bool is_of_series(const char *series)
{
	size_t len = strlen(series);

	return !strncmp(release, series, len) && !isdigit(release[len]);
}

/* Return: the entry for a cell, or NULL; @column: without "/async" */
static const struct argued *argued(const struct kind *k, const char *column)
{
	const struct argued *a = matrix->argued;
	const struct argued *end = a + matrix->nr_argued;

	for (; a < end; a++)
		if ((!a->kind || !strcmp(a->kind, k->name)) &&
		    !strcmp(a->column, column) &&
		    (!a->series || is_of_series(a->series)))
			return a;
	return NULL;
}

/*
 * Is @text the first alternative of @want? @number is what '#' stands for, or -1
 * if no text has shown it yet.
 */
static bool is_alternative(const char *want, const char *text, long *number)
{
	long had = *number, n;
	char *end;

	for (; *want && *want != '|'; want++) {
		if (*want != '#') {
			if (*want != *text++)
				break;
			continue;
		}
		n = isdigit(*text) ? strtol(text, &end, 10) : -1;
		if (n < 0 || (*number >= 0 && n != *number))
			break;
		*number = n;
		text = end;
	}
	if ((!*want || *want == '|') && !*text)
		return true;
	*number = had;
	return false;
}

static bool is_text(const char *want, const char *text, long *number)
{
	for (; want; want = strchr(want, '|')) {
		want += *want == '|';
		if (is_alternative(want, text, number))
			return true;
	}
	return false;
}

/* Has a way observed what the entry says? */
static bool as_argued(const struct argued *a, enum io_way way, unsigned int col,
		      long *number)
{
	if (*board->no_way[way])
		return true;
	if (!a->text[way] || board->state[way][col] == NOT_RUN)
		return !a->text[way] && board->state[way][col] == NOT_RUN;
	return is_text(a->text[way], board->text[way][col], number);
}

/* Return: why @ours may differ in this cell, as it does; or NULL */
static const char *why_differs(const struct kind *k, enum io_way ours,
			       unsigned int col)
{
	const struct argued *a = argued(k, column_name(col));
	long number = -1;
	int way;

	if (!a || board->state[ours][col] != RAN ||
	    !as_argued(a, ours, col, &number))
		return NULL;
	for (way = 0; way < WAY_OURS; way++)
		if (!as_argued(a, way, col, &number))
			return NULL;
	return a->why;
}

/* ---------------------------------------------------------- a way's process */

static bool applies(const struct kind *k, const struct column *col)
{
	return (k->can & col->needs) == col->needs && !(k->can & col->never);
}

/* The descriptors of a process: they must be the same after each column */
struct table {
	int fds, lowest;
};

static struct table table_read(void)
{
	return (struct table){ .fds = count_fds(), .lowest = lowest_fd() };
}

static void do_column(const struct kind *k, struct io *io,
		      const struct column *col, struct table *t, char *text,
		      long *us)
{
	struct cell c = { .kind = k, .column = col, .io = io, .text = text };
	long long begin = now_ns(CLOCK_MONOTONIC);
	struct table before = *t;

	c.in.kind = k;
	c.in.fd = -1;
	c.in.peer = -1;
	fill_pattern(io_buf, FILE_SIZE, 7);
	col->fn(&c);
	*us = (now_ns(CLOCK_MONOTONIC) - begin) / 1000;
	*t = table_read();
	if (t->fds != before.fds || t->lowest != before.lowest)
		note(&c, "fds%+d lowest%+d", t->fds - before.fds,
		     t->lowest - before.lowest);
}

/* Return: an expected way that ran and has the same text as @ours, or -1 */
static int same_as(enum io_way ours, unsigned int col)
{
	int way;

	for (way = 0; way < WAY_OURS; way++)
		if (board->state[way][col] == RAN && !*board->no_way[way] &&
		    !strcmp(board->text[way][col], board->text[ours][col]))
			return way;
	return -1;
}

static bool in_doubt(unsigned int col)
{
	return same_as(WAY_OURS, col) < 0 || same_as(WAY_OURS_ASYNC, col) < 0;
}

/*
 * Must @way do this column? io_uring does it only where iouring2 differs from
 * the call, or where there is no such call. If iouring2 left something behind,
 * io_uring does all columns that iouring2 did.
 */
static bool wanted_of(const struct kind *k, enum io_way way, unsigned int col)
{
	const struct column *c = &matrix->columns[col];

	if (!applies(k, c) || (way == WAY_CALL && c->no_call))
		return false;
	return way == WAY_CALL || way >= WAY_OURS || in_doubt(col) ||
	       in_doubt(matrix->nr_columns + LEFT_DATA);
}

static bool nothing_wanted_of(const struct kind *k, enum io_way way)
{
	unsigned int i;

	for (i = 0; i < matrix->nr_columns; i++)
		if (wanted_of(k, way, i))
			return false;
	return true;
}

static void way_main(struct kind *k, enum io_way way, unsigned int from)
{
	const struct column *cols = matrix->columns;
	const char *why;
	struct table t;
	struct io io;
	unsigned int i;
	int ret;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	why = k->enter ? k->enter(k) : "";
	if (*why) {
		snprintf(board->no_way[way], 80, "%s", why);
		_exit(0);
	}
	ret = io_open(&io, way);
	if (ret) {
		snprintf(board->no_way[way], 80, "no ring: %s", err_name(ret));
		_exit(0);
	}
	t = table_read();
	for (i = from; i < matrix->nr_columns; i++) {
		if (!wanted_of(k, way, i))
			continue;
		st_rel(&board->current, i);
		st_rel(&board->state[way][i], RUNNING);
		do_column(k, &io, &cols[i], &t, board->text[way][i],
			  &board->us[way][i]);
		st_rel(&board->state[way][i], RAN);
	}
	st_rel(&board->current, i);
	io_close(&io);
	_exit(0);
}

/* Wait for @pid. Return: false if it did not end within @ms. */
static bool reap(pid_t pid, int *status, long ms)
{
	return until_ms(waitpid(pid, status, WNOHANG) == pid, ms);
}

/* A way that is known to hang gets a short time limit */
static long column_limit(const struct kind *k, enum io_way way, unsigned int col)
{
	const struct argued *a = col < matrix->nr_columns ?
				 argued(k, column_name(col)) : NULL;

	if (a && a->text[way] && strstr(a->text[way], HANGS))
		return ARGUED_LIMIT;
	return env_long("IOURING2_FILES_LIMIT", COLUMN_LIMIT);
}

/*
 * Watch a way's process. Return: the column to continue with, or -1 if one of
 * its processes cannot be killed. Nothing more can then be tested with this
 * kind.
 */
static int watch(struct kind *k, enum io_way way, pid_t pid)
{
	int at = -1, status, col;
	long long end = 0;

	for (;;) {
		col = ld_acq(&board->current);
		if (col != at) {
			at = col;
			end = now_ns(CLOCK_MONOTONIC) +
			      column_limit(k, way, at) * NSEC_PER_SEC;
		}
		if (waitpid(pid, &status, WNOHANG) == pid) {
			col = ld_acq(&board->current);
			if (WIFEXITED(status) && !WEXITSTATUS(status))
				return matrix->nr_columns;
			snprintf(board->text[way][col], TEXT_LEN,
				 "died, status %x", status);
			board->state[way][col] = RAN;
			return col + 1;
		}
		if (now_ns(CLOCK_MONOTONIC) > end)
			break;
		usleep(1000);
	}
	note(&(struct cell){ .text = board->text[way][at] }, HANGS);
	board->state[way][at] = HUNG;
	kill(pid, SIGKILL);
	if (reap(pid, &status, 10000))
		return at + 1;
	strcat(board->text[way][at], " and cannot be killed");
	return -1;
}

static int hung(enum io_way way)
{
	int i, nr = 0;

	for (i = 0; i < MAX_COLUMNS; i++)
		nr += board->state[way][i] == HUNG;
	return nr;
}

/*
 * Mark the remaining columns as hung, because running them would take too long
 */
static void give_up(struct kind *k, enum io_way way, int from)
{
	for (; from < (int)matrix->nr_columns; from++) {
		if (!applies(k, &matrix->columns[from]))
			continue;
		strcpy(board->text[way][from], "not run, too many hang");
		board->state[way][from] = HUNG;
	}
}

static bool run_way(struct kind *k, enum io_way way)
{
	int left = matrix->nr_columns;
	int from = 0, fds, locks, locks_now = 0;
	struct cell c = { .text = board->text[way][left + LEFT_DATA] };
	long long begin = now_ns(CLOCK_MONOTONIC);
	struct state before;
	const char *diff;
	pid_t pid;

	if (nothing_wanted_of(k, way))
		return true;
	locks = nr_locks();
	state_read(&before);
	while (from >= 0 && from < left && hung(way) < MAX_HUNG) {
		st_rel(&board->current, from);
		pid = fork();
		if (pid < 0)
			return false;
		if (!pid)
			way_main(k, way, from);
		from = watch(k, way, pid);
	}
	if (from >= 0 && from < left)
		give_up(k, way, from);
	if (from < 0)
		return false;
	if (*board->no_way[way])
		return true;
	/* io_uring closes its files some time after the process has exited */
	until_ms(!*(diff = state_diff(&before, false)) &&
		 (locks_now = nr_locks()) == locks, 5000);
	note(&c, "%s", diff);
	fds = way < WAY_OURS ? board->fds : kernel_fds();
	if (fds != board->fds)
		note(&c, "kernel threads' files: %d -> %d", board->fds, fds);
	board->fds = fds;
	if (!*diff && locks_now != locks)
		note(&c, "locks: %d -> %d", locks, locks_now);
	if (!*c.text)
		note(&c, "nothing");
	board->state[way][left + LEFT_DATA] = RAN;
	board->us[way][left] = (now_ns(CLOCK_MONOTONIC) - begin) / 1000;
	return true;
}

/* --------------------------------------------------------- a kind's process */

static void kind_main(struct kind *k)
{
	static const enum io_way order[NR_WAYS] = {
		WAY_CALL, WAY_OURS, WAY_OURS_ASYNC, WAY_NATIVE,
		WAY_NATIVE_ASYNC,
	};
	long long begin = now_ns(CLOCK_MONOTONIC);
	const char *why = "";
	int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		why = "no mount namespace";
	if (!*work_dir)
		why = "no folder in /tmp";
	if (!*why && k->setup)
		why = k->setup(k);
	snprintf(board->skip, sizeof(board->skip), "%s", why);
	board->setup_us = (now_ns(CLOCK_MONOTONIC) - begin) / 1000;
	st_rel(&board->set_up, 1);
	board->fds = kernel_fds();
	for (i = 0; !*why && i < NR_WAYS; i++)
		if (!run_way(k, order[i]))
			_exit(0);
	begin = now_ns(CLOCK_MONOTONIC);
	if (k->teardown) {
		why = k->teardown(k);
		if (!*board->skip)
			snprintf(board->left, sizeof(board->left), "%s", why);
	}
	board->teardown_us = (now_ns(CLOCK_MONOTONIC) - begin) / 1000;
	st_rel(&board->ended, 1);
	_exit(0);
}

/* All that was mounted there is unmounted, and the folder is often empty */
static void remove_work_dir(void)
{
	if (*work_dir && rmdir(work_dir))
		run("rm -rf --one-file-system %s", work_dir);
}

static void run_kind(struct kind *k)
{
	long long end = now_ns(CLOCK_MONOTONIC) + SETUP_LIMIT * NSEC_PER_SEC;
	int status;
	pid_t pid;

	memset(board, 0, sizeof(*board));
	strcpy(work_dir, "/tmp/io2filesXXXXXX");
	if (!mkdtemp(work_dir))
		*work_dir = '\0';
	pid = fork();
	if (pid < 0) {
		strcpy(board->left, "no process for it");
		return;
	}
	if (!pid)
		kind_main(k);
	while (waitpid(pid, &status, WNOHANG) != pid) {
		if (!ld_acq(&board->set_up) &&
		    now_ns(CLOCK_MONOTONIC) > end) {
			kill(pid, SIGKILL);
			reap(pid, &status, 10000);
			strcpy(board->left, "set-up hangs");
			break;
		}
		usleep(2000);
	}
	if (!ld_acq(&board->ended) && !*board->left)
		snprintf(board->left, sizeof(board->left),
			 "did not end, status %x", status);
	remove_work_dir();
}

/* ------------------------------------------------------------- the verdict */

static void row(const char *kind, const char *column, const char *result,
		const char *why)
{
	if (tsv)
		fprintf(tsv, "%s\t%s\t%s\t%s\t%s\n", kind, column, kernel,
			result, why);
}

static const char *seen(enum io_way way, unsigned int col)
{
	if (*board->no_way[way])
		return "-";
	return board->state[way][col] == NOT_RUN ? "not run" :
						   board->text[way][col];
}

/* Return: does the cell fail? */
static bool judge(struct kind *k, enum io_way ours, unsigned int col)
{
	static const char * const as[] = { "", "as io_uring, not as the call",
					   "as io_uring with ASYNC only" };
	char name[60], text[4 * TEXT_LEN];
	int way = same_as(ours, col);
	const char *why;

	snprintf(name, sizeof(name), "%s%s", column_name(col),
		 ours == WAY_OURS_ASYNC ? "/async" : "");
	if (board->state[ours][col] == RAN && way >= 0) {
		/*
		 * the row gives no reason if there is no call to compare with
		 */
		if (way && board->state[WAY_CALL][col] == NOT_RUN)
			way = 0;
		row(k->name, name, "same", as[way]);
		return false;
	}
	why = why_differs(k, ours, col);
	snprintf(text, sizeof(text),
		 "call: %s; io_uring: %s; io_uring ASYNC: %s; iouring2: %s",
		 seen(WAY_CALL, col), seen(WAY_NATIVE, col),
		 seen(WAY_NATIVE_ASYNC, col), seen(ours, col));
	/* Only io_uring can show the right result: this kernel has none */
	if (board->state[WAY_CALL][col] == NOT_RUN &&
	    *board->no_way[WAY_NATIVE]) {
		row(k->name, name, "skip", board->no_way[WAY_NATIVE]);
		return false;
	}
	row(k->name, name, "differs", why ? why : text);
	ksft_print_msg("%s %s %s: %s\n", why ? "argued" : "DIFFERS", k->name,
		       name, text);
	return !why;
}

/* Print how long each column took */
static void print_times(void)
{
	unsigned int col, way;

	if (!getenv("IOURING2_FILES_TIMES"))
		return;
	ksft_print_msg("time set-up %ld end %ld\n", board->setup_us,
		       board->teardown_us);
	for (col = 0; col <= matrix->nr_columns; col++) {
		ksft_print_msg("time %s", column_name(col));
		for (way = 0; way < NR_WAYS; way++)
			printf(" %ld", board->us[way][col]);
		printf("\n");
	}
}

static int judge_kind(struct kind *k)
{
	unsigned int col, nr = matrix->nr_columns + NR_OWN;
	int failed = 0, cells = 0;

	for (col = 0; col < nr; col++) {
		if (col < matrix->nr_columns &&
		    !applies(k, &matrix->columns[col]))
			continue;
		cells += 2;
		failed += judge(k, WAY_OURS, col);
		failed += judge(k, WAY_OURS_ASYNC, col);
	}
	cells++;
	if (*board->left)
		ksft_print_msg("DIFFERS %s end: %s\n", k->name, board->left);
	row(k->name, "end", *board->left ? "differs" : "same", board->left);
	failed += !!*board->left;
	if (failed)
		ksft_test_result_fail("%s: %d of %d cells differ\n", k->name,
				      failed, cells);
	else
		ksft_test_result_pass("%s: %d cells\n", k->name, cells);
	return failed;
}

static bool wanted(const struct kind *k, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		if (!strcmp(argv[i], k->name))
			return true;
	return argc < 2;
}

static void open_tsv(void)
{
	const char *path = getenv("IOURING2_FILES_TSV");
	struct utsname u;

	uname(&u);
	strcpy(release, u.release);
	kernel = getenv("VM_KERNEL");
	if (!kernel || !*kernel)
		kernel = release;
	if (!path || !*path)
		return;
	tsv = fopen(path, "a");
	if (!tsv)
		ksft_exit_fail_msg("%s: %s\n", path, strerror(errno));
	/* write each row at once, so that no fork writes it again */
	setvbuf(tsv, NULL, _IOLBF, 0);
}

int files_main(const struct matrix *m, int argc, char **argv)
{
	const char *why;
	unsigned int i;
	char buf[8];

	ksft_print_header();
	matrix = m;
	if (!dev_usable(&why))
		ksft_exit_skip("%s\n", why);
	if (geteuid() || !intrusive())
		ksft_exit_skip("needs root and IOURING2_INTRUSIVE=1\n");
	setvbuf(stdout, NULL, _IOLBF, 0);
	open_tsv();
	fill_pattern(buf, sizeof(buf), 0);
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	io_buf = mmap(NULL, BUF_LEN, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (board == MAP_FAILED || io_buf == MAP_FAILED ||
	    m->nr_columns > MAX_COLUMNS)
		ksft_exit_fail_msg("no memory, or too many columns\n");
	kernel_fds();	/* fill its cache before the first fork */
	ksft_set_plan(m->nr_kinds);
	for (i = 0; i < m->nr_kinds; i++) {
		long long begin = now_ns(CLOCK_MONOTONIC);

		if (!wanted(&m->kinds[i], argc, argv)) {
			ksft_test_result_skip("%s: not asked for\n",
					      m->kinds[i].name);
			continue;
		}
		run_kind(&m->kinds[i]);
		if (*board->skip) {
			row(m->kinds[i].name, "all", "skip", board->skip);
			ksft_test_result_skip("%s: %s\n", m->kinds[i].name,
					      board->skip);
			continue;
		}
		judge_kind(&m->kinds[i]);
		print_times();
		ksft_print_msg("%s took %lld ms\n", m->kinds[i].name,
			       (now_ns(CLOCK_MONOTONIC) - begin) / 1000000);
	}
	ksft_finished();
}
