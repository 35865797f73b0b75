// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzz /dev/iouring2: run programs (exec.h), each in a process of its own, keep
 * those that reach new code, and mutate them. After each program the fuzzer looks
 * for error messages in the kernel log, for objects of the module that outlive
 * the program, and for processes that do not die.
 *
 * usage: fuzz [-i DIR] -o DIR [-s SECONDS] [-S SEED] [-p]
 *        fuzz -r FILE [-n TIMES]    run a program
 *        fuzz -c FILE               print the program in C
 *        fuzz -t FILE               parse the program, and print it again
 *        fuzz -T                    test the fuzzer itself
 *
 *   -i DIR      start with the programs *.txt of this folder
 *   -o DIR      folder for the results
 *   -s SECONDS  seconds of fuzzing (default: 60)
 *   -S SEED     seed of the random numbers (default: from the time)
 *   -p          of the programs of -i, keep those that reach new basic blocks of
 *               the module, and not those that reach only new edges
 *
 * The folder of -o gets:
 *	current		the last eight programs, with their numbers, for the case
 *			that the machine dies
 *	corpus/		the programs that reached new code
 *	TIME.bits	the basic blocks of the module that had run at this time
 *			(module/debug/coverage.c)
 *	stats.tsv	time, programs, calls, programs in the corpus, basic blocks,
 *			edges seen by KCOV
 *	finding.txt	the finding, and the program
 *
 * Exit status: 0; 1 the module cannot be used; 2 wrong usage; 3 a finding.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/kcov.h>
#include "exec.h"
#include "generate.h"
#include "text.h"

#define PROGRAM_MSEC	2500	/* until a program is killed */
#define DEATH_MSEC	90000	/* until its processes must be dead */
#define LEAK_MSEC	20000	/* until the module must have freed its objects */

#define SAVE_MSEC	60000

#define KCOV_WORDS	(64 << 10)
#define EDGE_BITS	20
#define BITS_BYTES	(128 << 10)
#define CURRENT_NR	8
#define CURRENT_BYTES	8192
#define NEW_MAX		4096

#define COUNTERS	"/sys/class/misc/iouring2/counters/"
#define DEBUGFS		"/sys/kernel/debug/"

/* The coverage of one run. The number of an edge is a hash. */
struct signal {
	unsigned char bits[BITS_BYTES];
	size_t bits_len;
	uint32_t edges[MAX_THREADS * KCOV_WORDS];
	size_t nr_edges;
};

static struct program *shared;		/* the program that the child runs */
static struct signal now;
static unsigned char seen_bits[BITS_BYTES];
static unsigned char seen_edges[(1 << EDGE_BITS) / 8];
static unsigned int nr_bits, nr_seen_edges;

static int kcov_fd[MAX_THREADS] = { -1, -1, -1 };
static uint64_t *kcov_map[MAX_THREADS];
static int bits_fd = -1, kmsg_fd = -1, current_fd = -1;
static const char *out_dir;

static struct program *corpus;
static unsigned int nr_corpus, corpus_room;
static unsigned long nr_programs, nr_calls;
static bool places_only;
static char param_default[NR_PARAMS][24];

static long long msec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static FILE *open_out(const char *name, const char *mode)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", out_dir, name);
	f = fopen(path, mode);
	if (!f) {
		perror(path);
		exit(1);
	}
	return f;
}

/* -------------------------------------------------------------- findings */

static void found(const char *kind, const char *format, ...)
{
	static char text[1 << 15];
	va_list args;
	FILE *f = out_dir ? open_out("finding.txt", "w") : stderr;

	program_print(shared, text, sizeof(text));
	fprintf(f, "# %s: ", kind);
	va_start(args, format);
	vfprintf(f, format, args);
	va_end(args);
	fprintf(f, "\n%s", text);
	fflush(f);
	printf("fuzz: found: %s\n", kind);
	fflush(stdout);
	exit(3);
}

/* Return: whether this line of the kernel log is an error that no program may cause */
static bool is_red(const char *line)
{
	static const char * const red[] = {
		"BUG:", "WARNING:", "KASAN:", "KCSAN:", "UBSAN:", "Oops", "ODEBUG:",
		"INFO: task", "INFO: possible", "INFO: trying", "general protection",
		"kernel BUG", "refcount_t:", "list_add corruption", "list_del corruption",
		"Bad page", "iouring2: state", "blocked for more than",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(red); i++)
		if (strstr(line, red[i]))
			return true;
	return false;
}

static void check_log(void)
{
	static char line[8192], first[8192];
	ssize_t len;

	if (kmsg_fd < 0)
		return;
	first[0] = '\0';
	while ((len = read(kmsg_fd, line, sizeof(line) - 1)) > 0 || errno == EPIPE) {
		if (len <= 0)
			continue;
		line[len] = '\0';
		if (!first[0] && is_red(line))
			strcpy(first, line);
	}
	if (first[0]) {
		first[strcspn(first, "\n")] = '\0';
		usleep(500000);		/* wait for the rest of the report */
		found("kernel log", "%s", first);
	}
}

static long read_counter(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	return atol(text);
}

/* Return: the objects of the module that exist while no program runs, as a text */
static const char *left_over(void)
{
	static const char * const names[] = {
		"rings", "requests", "workers", "submitters", "pages", "files",
		"state_warnings",
	};
	static char text[256];
	char path[128];
	unsigned int i;
	long value;
	int len = 0;

	text[0] = '\0';
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), COUNTERS "%s", names[i]);
		value = read_counter(path);
		if (value)
			len += snprintf(text + len, sizeof(text) - len, "%s %ld ", names[i], value);
	}
	/* the open file with the coverage also holds a reference on the module */
	value = read_counter("/sys/module/iouring2/refcnt") - (bits_fd >= 0);
	if (value)
		snprintf(text + len, sizeof(text) - len, "refcnt %ld", value);
	return text;
}

static void check_leak(void)
{
	long long end = msec() + LEAK_MSEC;

	while (*left_over()) {
		if (msec() > end)
			found("leak", "%s", left_over());
		usleep(2000);
	}
}

/* --------------------------------------------------------------- coverage */

static void kcov_open(void)
{
	unsigned int i;

	for (i = 0; i < MAX_THREADS; i++) {
		kcov_fd[i] = open(DEBUGFS "kcov", O_RDWR | O_CLOEXEC);
		if (kcov_fd[i] < 0)
			return;
		if (ioctl(kcov_fd[i], KCOV_INIT_TRACE, KCOV_WORDS))
			return;
		kcov_map[i] = mmap(NULL, KCOV_WORDS * sizeof(uint64_t),
				   PROT_READ | PROT_WRITE, MAP_SHARED, kcov_fd[i], 0);
		if (kcov_map[i] == MAP_FAILED)
			kcov_map[i] = NULL;
	}
}

/* Called in the child, in each thread that starts */
static void kcov_start(unsigned int thread)
{
	if (kcov_map[thread])
		ioctl(kcov_fd[thread], KCOV_ENABLE, KCOV_TRACE_PC);
}

static void signal_reset(void)
{
	unsigned int i;

	for (i = 0; i < MAX_THREADS; i++)
		if (kcov_map[i])
			kcov_map[i][0] = 0;
	if (bits_fd >= 0 && pwrite(bits_fd, "0", 1, 0) < 0)
		errno = 0;
}

static uint32_t edge_hash(uint64_t from, uint64_t to)
{
	uint64_t x = (from * 0x9e3779b97f4a7c15ULL) ^ (to * 0xc2b2ae3d27d4eb4fULL);

	return (x ^ x >> 29) >> 7 & ((1 << EDGE_BITS) - 1);
}

static void signal_read(void)
{
	uint64_t n, i, last;
	unsigned int t;
	ssize_t len;

	now.nr_edges = 0;
	for (t = 0; t < MAX_THREADS; t++) {
		if (!kcov_map[t])
			continue;
		n = kcov_map[t][0];
		for (i = 0, last = 0; i < n && i < KCOV_WORDS - 1; i++) {
			now.edges[now.nr_edges++] = edge_hash(last, kcov_map[t][i + 1]);
			last = kcov_map[t][i + 1];
		}
	}
	len = bits_fd < 0 ? 0 : pread(bits_fd, now.bits, sizeof(now.bits), 0);
	now.bits_len = len < 0 ? 0 : len;
}

#define BIT_OF(map, n)		((map)[(n) / 8] >> (n) % 8 & 1)
#define SET_BIT_OF(map, n)	((map)[(n) / 8] |= 1 << (n) % 8)

/*
 * Coverage that no earlier run has reached. Numbers from 1 << EDGE_BITS are basic
 * blocks, smaller ones are edges.
 */
struct news {
	uint32_t what[NEW_MAX];
	unsigned int nr;
	bool bits;
};

static void signal_news(struct news *news)
{
	size_t i;
	int bit;

	news->nr = 0;
	news->bits = false;
	for (i = 0; i < now.bits_len; i++)
		for (bit = 0; bit < 8 && now.bits[i] & ~seen_bits[i]; bit++)
			if ((now.bits[i] & ~seen_bits[i]) >> bit & 1 && news->nr < NEW_MAX) {
				news->what[news->nr++] = (1 << EDGE_BITS) + i * 8 + bit;
				news->bits = true;
			}
	for (i = 0; i < now.nr_edges && news->nr < NEW_MAX; i++)
		if (!BIT_OF(seen_edges, now.edges[i]))
			news->what[news->nr++] = now.edges[i];
}

static bool run_has(uint32_t what)
{
	size_t i;

	if (what >= 1 << EDGE_BITS) {
		what -= 1 << EDGE_BITS;
		return what / 8 < now.bits_len && BIT_OF(now.bits, what);
	}
	for (i = 0; i < now.nr_edges; i++)
		if (now.edges[i] == what)
			return true;
	return false;
}

static void remember(void)
{
	size_t i;
	int bit;

	for (i = 0; i < now.bits_len; i++)
		for (bit = 0; bit < 8 && now.bits[i] & ~seen_bits[i]; bit++)
			if ((now.bits[i] & ~seen_bits[i]) >> bit & 1)
				nr_bits++, SET_BIT_OF(seen_bits, i * 8 + bit);
	for (i = 0; i < now.nr_edges; i++)
		if (!BIT_OF(seen_edges, now.edges[i]))
			nr_seen_edges++, SET_BIT_OF(seen_edges, now.edges[i]);
}

/* ---------------------------------------------------------------- running */

/* Write the program to the share, where the host finds it if the machine dies. */
static void log_current(void)
{
	static char text[CURRENT_BYTES];
	int len;

	if (current_fd < 0)
		return;
	len = snprintf(text, sizeof(text), "# program %lu\n", nr_programs);
	len += program_print(shared, text + len, sizeof(text) - len);
	memset(text + len, '\n', sizeof(text) - len);
	if (pwrite(current_fd, text, sizeof(text), nr_programs % CURRENT_NR * sizeof(text)) < 0)
		perror("current");
}

/*
 * Kill and reap all processes of the program. Orphans become children of the
 * fuzzer, which is a subreaper.
 */
static void bury(pid_t group)
{
	long long end = msec() + DEATH_MSEC;
	pid_t pid;

	for (;;) {
		kill(-group, SIGKILL);
		pid = waitpid(-1, NULL, WNOHANG);
		if (pid < 0)
			return;
		if (!pid) {
			if (msec() > end)
				found("hang", "SIGKILL does not end a process");
			usleep(1000);
		}
	}
}

static void wait_for(pid_t pid)
{
	struct pollfd p = { .fd = syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };

	if (p.fd >= 0) {
		poll(&p, 1, PROGRAM_MSEC);
		close(p.fd);
	}
	bury(pid);
}

static void restore_params(void)
{
	bool changed = false;
	char path[128];
	unsigned int i;

	for (i = 0; i < shared->nr; i++)
		changed |= shared->call[i].kind == CALL_param;
	for (i = 0; changed && i < NR_PARAMS; i++) {
		snprintf(path, sizeof(path), "/sys/module/iouring2/parameters/%s", param_names[i]);
		put_file(path, param_default[i]);
	}
}

static void run(const struct program *p)
{
	pid_t pid;

	*shared = *p;
	log_current();
	signal_reset();
	fflush(stdout);
	pid = fork();
	if (!pid) {
		setpgid(0, 0);
		program_run(shared, kcov_start);
		_exit(0);
	}
	if (pid < 0) {
		perror("fork");
		exit(1);
	}
	setpgid(pid, pid);
	nr_programs++;
	nr_calls += p->nr;
	wait_for(pid);
	restore_params();
	check_leak();
	check_log();
	signal_read();
}

/* ----------------------------------------------------------------- corpus */

static uint32_t program_hash(const char *text)
{
	uint32_t hash = 2166136261u;

	while (*text)
		hash = (hash ^ (unsigned char)*text++) * 16777619u;
	return hash;
}

static void corpus_add(const struct program *p)
{
	static char text[1 << 15];
	char name[64];
	FILE *f;

	if (nr_corpus == corpus_room) {
		corpus_room = corpus_room ? 2 * corpus_room : 256;
		corpus = realloc(corpus, corpus_room * sizeof(*corpus));
		if (!corpus)
			exit(1);
	}
	corpus[nr_corpus++] = *p;
	program_print(p, text, sizeof(text));
	snprintf(name, sizeof(name), "corpus/%08x.txt", program_hash(text));
	f = open_out(name, "w");
	fputs(text, f);
	fclose(f);
}

/* Return: whether @p still reaches all of @news */
static bool still(const struct program *p, const struct news *news)
{
	unsigned int i;

	run(p);
	for (i = 0; i < news->nr; i++)
		if (!run_has(news->what[i]))
			break;
	remember();
	return i == news->nr;
}

/* Reduce @news to the coverage that a second run reaches, too. */
static void only_stable(const struct program *p, struct news *news)
{
	unsigned int i, nr = 0;

	run(p);
	news->bits = false;
	for (i = 0; i < news->nr; i++)
		if (run_has(news->what[i])) {
			news->what[nr++] = news->what[i];
			news->bits |= news->what[i] >= 1 << EDGE_BITS;
		}
	news->nr = nr;
	remember();
}

static void minimise(struct program *p, const struct news *news)
{
	unsigned int chunk = p->nr / 2, at, tries = news->bits ? 40 : 8;
	struct program less;

	for (; chunk && tries; chunk /= 2)
		for (at = p->nr; at-- && tries; ) {
			if (at % chunk)
				continue;
			less = *p;
			program_remove(&less, at, chunk);
			tries--;
			if (less.nr && still(&less, news))
				*p = less;
		}
}

/* Return: whether the program has reached new code */
static bool try_program(const struct program *p, bool is_seed)
{
	static struct news news;
	struct program kept = *p;
	bool bits;

	run(p);
	signal_news(&news);
	bits = news.bits;
	remember();
	if (!news.nr)
		return false;
	if (is_seed) {
		if (bits || !places_only)
			corpus_add(p);
		return true;
	}
	only_stable(p, &news);
	if (!news.nr && !bits)
		return false;
	if (news.nr)
		minimise(&kept, &news);
	corpus_add(&kept);
	return true;
}

static int is_text(const struct dirent *de)
{
	const char *dot = strrchr(de->d_name, '.');

	return dot && !strcmp(dot, ".txt");
}

static void read_seeds(const char *dir)
{
	struct dirent **list;
	struct program p;
	char path[1024];
	unsigned int nr_seeds = 0, at;
	int nr, i, ret;

	nr = scandir(dir, &list, is_text, alphasort);
	for (i = 0; i < nr; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, list[i]->d_name);
		free(list[i]);
		for (at = 0; (ret = program_load(&p, path, at)) == 0; at++, nr_seeds++)
			try_program(&p, true);
		if (ret < 0)
			exit(1);
	}
	printf("fuzz: %u seeds, %u of them kept, %u basic blocks, %u edges\n", nr_seeds, nr_corpus,
	       nr_bits, nr_seen_edges);
	fflush(stdout);
}

/* ------------------------------------------------------------------ modes */

static void setting(const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), DEBUGFS "%s", name);
	put_file(path, value);
}

/* Let injected failures hit allocations that may sleep, without messages. */
static void failures_ready(void)
{
	static const char * const kinds[] = { "failslab", "fail_page_alloc", "fail_usercopy" };
	char path[64];
	unsigned int i;

	for (i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/verbose", kinds[i]);
		setting(path, "0");
		snprintf(path, sizeof(path), "%s/ignore-gfp-wait", kinds[i]);
		setting(path, "N");
	}
	setting("fail_page_alloc/min-order", "0");
}

static void read_params(void)
{
	char path[128];
	unsigned int i;
	int fd;

	for (i = 0; i < NR_PARAMS; i++) {
		snprintf(path, sizeof(path), "/sys/module/iouring2/parameters/%s", param_names[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (read(fd, param_default[i], sizeof(param_default[i]) - 1) < 0)
			param_default[i][0] = '\0';
		close(fd);
	}
}

static void prepare(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || access("/dev/iouring2", R_OK | W_OK)) {
		perror("/dev/iouring2");
		exit(1);
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	kcov_open();
	bits_fd = open(DEBUGFS "iouring2_coverage/bits", O_RDWR | O_CLOEXEC);
	kmsg_fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	lseek(kmsg_fd, 0, SEEK_END);
	failures_ready();
	read_params();
	/* loading the module has already run some code */
	signal_read();
	remember();
	if (*left_over()) {
		fprintf(stderr, "fuzz: the module is in use: %s\n", left_over());
		exit(1);
	}
}

static void save(void)
{
	long long now_s = time(NULL);
	char name[64];
	FILE *f;

	snprintf(name, sizeof(name), "%lld.bits", now_s);
	f = open_out(name, "w");
	fwrite(seen_bits, 1, now.bits_len, f);
	fclose(f);
	f = open_out("stats.tsv", "a");
	fprintf(f, "%lld\t%lu\t%lu\t%u\t%u\t%u\n", now_s, nr_programs, nr_calls, nr_corpus,
		nr_bits, nr_seen_edges);
	fclose(f);
}

/* Return: a random program of the corpus; newer ones are more likely */
static const struct program *from_corpus(void)
{
	unsigned int n = nr_corpus;

	if (!n)
		return NULL;
	if (random_below(3) == 0 && n > 50)
		return &corpus[n - 1 - random_below(50)];
	return &corpus[random_below(n)];
}

static void fuzz(const char *in, long seconds)
{
	long long end = msec() + seconds * 1000LL, next = 0;
	const struct program *from;
	struct program p;
	char path[512];

	snprintf(path, sizeof(path), "%s/corpus", out_dir);
	mkdir(path, 0777);
	snprintf(path, sizeof(path), "%s/current", out_dir);
	current_fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (in)
		read_seeds(in);
	while (msec() < end) {
		from = from_corpus();
		if (!from || random_below(5) == 0) {
			program_generate(&p);
		} else {
			p = *from;
			program_mutate(&p, from_corpus());
		}
		if (!p.nr)
			continue;
		try_program(&p, false);
		if (msec() >= next) {
			save();
			next = msec() + SAVE_MSEC;
		}
	}
	save();
	printf("fuzz: %lu programs, %lu calls, corpus %u, %u basic blocks, %u edges\n", nr_programs,
	       nr_calls, nr_corpus, nr_bits, nr_seen_edges);
}

static void replay(const char *file, long times)
{
	struct program p;

	if (program_load(&p, file, 0))
		exit(1);
	prepare();
	while (times--)
		run(&p);
	signal_news(&(struct news){ 0 });
	printf("fuzz: %s: no finding, %zu edges\n", file, now.nr_edges);
}

static void retype(const char *file)
{
	static char text[1 << 16];
	struct program p;

	if (program_load(&p, file, 0))
		exit(1);
	program_print(&p, text, sizeof(text));
	fputs(text, stdout);
}

/* Return: whether random programs are valid, and the same after printing and parsing */
static bool selftest(void)
{
	static char text[1 << 16], again[1 << 16];
	struct program p, q, other;
	unsigned int i, calls = 0;

	for (i = 0; i < 20000; i++) {
		if (i % 8 == 0)
			program_generate(&p);
		program_generate(&other);
		program_mutate(&p, &other);
		program_print(&p, text, sizeof(text));
		if (p.nr > MAX_CALLS || program_parse(&q, text) || q.nr != p.nr)
			break;
		program_print(&q, again, sizeof(again));
		if (strcmp(text, again))
			break;
		calls += p.nr;
	}
	if (i < 20000)
		printf("program %u differs after printing and parsing:\n%s\n%s", i, text, again);
	return i == 20000 && calls > 20000 && program_parse(&q, "reap(0)\n") == 1 &&
	       program_parse(&q, "reap(0, 1)\nreep(0, 1)\n") == 2;
}

/* The source of the executor, which the assembler includes */
extern const char exec_h[], exec_h_end[], exec_c[], exec_c_end[];

asm("	.section .rodata\n"
"	.globl exec_h, exec_h_end, exec_c, exec_c_end\n"
"exec_h:	.incbin \"exec.h\"\n"
"exec_h_end:\n"
"exec_c:	.incbin \"exec.c\"\n"
"exec_c_end:\n"
"	.previous\n");

static void print_source(const char *from, const char *end)
{
	static const char include[] = "#include \"exec.h\"\n";
	const char *at = memmem(from, end - from, include, strlen(include));

	if (at) {
		fwrite(from, 1, at - from, stdout);
		print_source(exec_h, exec_h_end);
		from = at + strlen(include);
	}
	fwrite(from, 1, end - from, stdout);
}

static void print_c(const char *file)
{
	const struct call *c;
	struct program p;
	unsigned int i;

	if (program_load(&p, file, 0))
		exit(1);
	print_source(exec_c, exec_c_end);
	printf("\n/* ------------------------------------------- the program itself */\n\n"
	       "static const struct program this_one = {\n\t.nr = %u,\n\t.call = {\n", p.nr);
	for (c = p.call; c < p.call + p.nr; c++) {
		printf("\t\t{ CALL_%s, %u, %u, %u, {", call_names[c->kind], c->thread, c->repeat,
		       c->nth);
		for (i = 0; i < call_nr_args[c->kind]; i++)
			printf(c->arg[i] > 9 ? " 0x%lx," : " %lu,", c->arg[i]);
		printf(" } },\n");
	}
	printf("\t},\n};\n\nint main(void)\n{\n\tprogram_run(&this_one, NULL);\n}\n");
}

static int usage(void)
{
	fprintf(stderr, "usage: fuzz [-i DIR] -o DIR [-s SECONDS] [-S SEED] [-p]\n"
		"       fuzz -r FILE [-n TIMES]\n       fuzz -c FILE\n       fuzz -t FILE\n       fuzz -T\n");
	return 2;
}

int main(int argc, char **argv)
{
	const char *in = NULL, *replayed = NULL;
	long seconds = 60, times = 1;
	uint64_t seed = 0;
	int opt;

	while ((opt = getopt(argc, argv, "i:o:s:S:r:n:c:t:pT")) != -1) {
		switch (opt) {
		case 'i':
			in = optarg;
			break;
		case 'o':
			out_dir = optarg;
			break;
		case 's':
			seconds = atol(optarg);
			break;
		case 'S':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'T':
			return !selftest();
		case 'p':
			places_only = true;
			break;
		case 'r':
			replayed = optarg;
			break;
		case 'n':
			times = atol(optarg);
			break;
		case 'c':
			print_c(optarg);
			return 0;
		case 't':
			retype(optarg);
			return 0;
		default:
			return usage();
		}
	}
	if (replayed) {
		replay(replayed, times);
		return 0;
	}
	if (!out_dir)
		return usage();
	random_seed(seed ? seed : (uint64_t)time(NULL) << 16 ^ getpid());
	prepare();
	fuzz(in, seconds);
	return 0;
}
