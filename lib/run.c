// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * iouring2-run: start a program and redirect its io_uring calls to /dev/iouring2.
 *
 * If a program uses the dynamic loader of the GNU C library, a library is preloaded.
 * Into any other x86-64 program a helper process installs the trap by ptrace, before
 * the program's first instruction. The helper exits before the program starts.
 *
 * iouring2-run is linked statically, because it also runs under the filter of the
 * program that starts it. Under a wide filter, no function may block signals before
 * raw_trap() has been called.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <linux/iouring2.h>
#include <unistd.h>

#include "inject.h"
#include "settings.h"
#include "sys.h"

#define EXIT_US		125	/* iouring2-run failed; as env and timeout */
#define EXIT_CANNOT	126	/* the program cannot be started */
#define EXIT_NOT_FOUND	127

static void complain(const char *format, ...)
{
	va_list ap;

	fprintf(stderr, "iouring2-run: ");
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
}

#define DIE(status, ...) do { complain(__VA_ARGS__); exit(status); } while (0)

static const char usage[] =
"usage: iouring2-run [OPTION]... PROGRAM [ARGUMENT]...\n"
"       iouring2-run --check\n"
"\n"
"Start PROGRAM and redirect its io_uring system calls to /dev/iouring2.\n"
"\n"
"  --fallback   use the kernel's io_uring if iouring2 cannot create a ring\n"
"  --ebusy      submissions fail while completions wait behind a full CQ\n"
"  --trace      write a line to standard error for each io_uring call\n"
"  --skip NAME  do not redirect programs called NAME (may be repeated)\n"
"  --check      check whether the device can be used, and start no program\n"
"  --help, --version\n"
"\n"
"IOURING2_FALLBACK=1, IOURING2_EBUSY=1, IOURING2_TRACE=1 and\n"
"IOURING2_SKIP=NAME:NAME have the same effect as the options.\n"
"Exit status: that of the program; 125 if the device cannot be used, 126 or 127 if\n"
"the program cannot be started.\n";

/* ---- the device ------------------------------------------------------------ */

static int check_device(void)
{
	struct iouring2_query q;
	int fd = open(IO2_ENV_DEVICE, O_RDWR | O_CLOEXEC), ret;

	if (fd < 0) {
		switch (errno) {
		case ENOENT:
		case ENXIO:
		case ENODEV:
			complain("%s does not exist; is the module loaded? (modprobe iouring2)",
				 IO2_ENV_DEVICE);
			break;
		case EACCES:
		case EPERM:
			complain("no permission to open %s; it belongs to root and the group iouring2",
				 IO2_ENV_DEVICE);
			break;
		default:
			complain("%s: %s", IO2_ENV_DEVICE, strerror(errno));
		}
		return -1;
	}
	memset(&q, 0, sizeof(q));
	ret = ioctl(fd, IOURING2_IOC_QUERY, &q);
	close(fd);
	if (ret || q.abi_version != IOURING2_ABI_VERSION) {
		complain("%s is not an iouring2 device of this version", IO2_ENV_DEVICE);
		return -1;
	}
	if (!q.inflight_max) {
		complain("%s accepts no new rings: the module parameter inflight_max is 0",
			 IO2_ENV_DEVICE);
		return -1;
	}
	return 0;
}

/* ---- the kind of the program ----------------------------------------------- */

/*
 * FOREIGN	32-bit program
 * UNKNOWN	unknown format, which the kernel or binfmt_misc may recognize
 * STATIC	statically linked
 * OTHER	with the dynamic loader of another C library
 * SECURE	as DYNAMIC, but the loader ignores LD_PRELOAD (AT_SECURE)
 * DYNAMIC	with the dynamic loader of the GNU C library
 */
enum kind { FOREIGN, UNKNOWN, STATIC, OTHER, SECURE, DYNAMIC };

static enum kind kind_of_elf(int fd, const Elf64_Ehdr *eh)
{
	char loader[64];
	Elf64_Phdr ph;
	ssize_t n;
	int i;

	if (eh->e_ident[EI_CLASS] == ELFCLASS32 && eh->e_machine == EM_386)
		return FOREIGN;
	if (eh->e_ident[EI_CLASS] != ELFCLASS64 || eh->e_machine != EM_X86_64)
		return UNKNOWN;
	for (i = 0; i < eh->e_phnum; i++) {
		if (pread(fd, &ph, sizeof(ph), eh->e_phoff + i * sizeof(ph)) != sizeof(ph))
			return UNKNOWN;
		if (ph.p_type != PT_INTERP)
			continue;
		n = pread(fd, loader, sizeof(loader) - 1, ph.p_offset);
		loader[n < 0 ? 0 : n] = 0;
		return strstr(loader, "/ld-linux-x86-64.so.2") ? DYNAMIC : OTHER;
	}
	return STATIC;
}

/* The kind of a script is that of its interpreter. */
static enum kind kind_of(const char *path, int depth)
{
	char head[256], *p, *end;
	enum kind kind = UNKNOWN;
	ssize_t n;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return UNKNOWN;
	n = pread(fd, head, sizeof(head) - 1, 0);
	head[n < 0 ? 0 : n] = 0;
	if (n > 2 && !memcmp(head, "#!", 2) && depth < 5) {
		p = head + 2 + strspn(head + 2, " \t");
		end = p + strcspn(p, " \t\n");
		*end = 0;
		kind = kind_of(p, depth + 1);
	} else if (n >= (ssize_t)sizeof(Elf64_Ehdr) && !memcmp(head, ELFMAG, SELFMAG)) {
		kind = kind_of_elf(fd, (Elf64_Ehdr *)head);
	}
	close(fd);
	return kind;
}

/* Search PATH as execvp does. Return: a path that contains a slash. */
static const char *find(const char *name)
{
	static char path[PATH_MAX];
	const char *dirs = getenv("PATH");
	struct stat st;
	int n;

	if (strchr(name, '/'))
		return name;
	for (dirs = dirs ? dirs : "/bin:/usr/bin"; ; dirs += n + 1) {
		n = (int)strcspn(dirs, ":");
		snprintf(path, sizeof(path), "%.*s%s%s", n, dirs, n ? "/" : "./", name);
		if (!access(path, X_OK) && !stat(path, &st) && S_ISREG(st.st_mode))
			return path;
		if (!dirs[n])
			break;
	}
	DIE(EXIT_NOT_FOUND, "%s: not found", name);
}

/* ---- the environment ------------------------------------------------------- */

/* Find an element of a list with colons. Return: its position, or NULL. */
static const char *find_element(const char *list, const char *value)
{
	size_t n = strlen(value);

	for (; list; list = strchr(list, ':'), list += !!list)
		if (!strncmp(list, value, n) && (!list[n] || list[n] == ':'))
			return list;
	return NULL;
}

/* Put VALUE at the start of VAR, unless VAR already contains it. */
static void prepend(const char *var, const char *value)
{
	const char *old = getenv(var);
	char *new;

	if (find_element(old, value))
		return;
	if (asprintf(&new, "%s%s%s", value, old && *old ? ":" : "", old ? old : "") < 0)
		DIE(EXIT_US, "out of memory");
	setenv(var, new, 1);
	free(new);
}

/* Remove VALUE from VAR, which contains it at most once. */
static void leave_out(const char *var, const char *value)
{
	const char *old = getenv(var), *at = find_element(old, value), *rest;
	char *new;

	if (!at)
		return;
	rest = at + strlen(value);
	rest += *rest == ':';
	if (at > old && !*rest)
		at--;
	if (asprintf(&new, "%.*s%s", (int)(at - old), old, rest) < 0)
		DIE(EXIT_US, "out of memory");
	if (*new)
		setenv(var, new, 1);
	else
		unsetenv(var);
	free(new);
}

/* Find one of our files: beside iouring2-run or, if installed, in ../lib/iouring2. */
static int beside(const char *name, char *path)
{
	static const char *const places[] = { "/", "/../lib/iouring2/" };
	char dir[IO2_RUN_MAX];
	unsigned int i;

	snprintf(dir, sizeof(dir), "%s", io2_settings.run);
	*strrchr(dir, '/') = 0;
	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, PATH_MAX, "%s%s%s", dir, places[i], name);
		if (!access(path, R_OK))
			return 1;
	}
	return 0;
}

/*
 * The loader of another C library fails if it has to load our libraries, so they are
 * removed from its environment. The programs that such a program starts are started
 * through the launcher, unless it is skipped, and get our libraries again.
 */
static void set_environment(enum kind kind)
{
	void (*change)(const char *var, const char *value) =
		kind == OTHER ? leave_out : prepend;
	char path[PATH_MAX];

	if (!beside("libiouring2-preload.so", path))
		DIE(EXIT_US, "libiouring2-preload.so was not found beside iouring2-run or in ../lib/iouring2");
	/* ld.so would read these characters as the end of the path */
	if (strpbrk(path, " :"))
		DIE(EXIT_US, "%s: a path with a space or a colon cannot be preloaded",
		    path);
	change("LD_PRELOAD", path);
	if (beside("liburing", path)) {
		if (strchr(path, ';'))
			DIE(EXIT_US, "%s: a path with a semicolon cannot be in LD_LIBRARY_PATH",
			    path);
		change("LD_LIBRARY_PATH", path);
	}
	setenv(IO2_ENV_RUN, io2_settings.run, 1);
	if (io2_settings.trace)
		setenv(IO2_ENV_TRACE, "1", 1);
	if (io2_settings.fallback)
		setenv(IO2_ENV_FALLBACK, "1", 1);
	if (io2_settings.ebusy)
		setenv(IO2_ENV_EBUSY, "1", 1);
	if (io2_settings.names[0])
		setenv(IO2_ENV_SKIP, io2_settings.names, 1);
}

/* ---- start ----------------------------------------------------------------- */

__attribute__((noreturn)) static void cannot_start(const char *path, int err)
{
	DIE(err == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT, "%s: %s", path, strerror(err));
}

/* Return: a positive errno if the trap cannot be installed. */
static int exec_with_trap(const char *path, char **argv)
{
	struct io2_exec exec = { AT_FDCWD, path, argv, environ, 0 };
	struct io2_inject what = {
		.exec = &exec,
		.skip = io2_settings.skip,
		.text = io2_trap_text,
		.size = io2_trap_text_end - io2_trap_text,
	};
	long err;

	fflush(NULL);
	err = io2_inject(&what);
	if (err < 0)
		cannot_start(path, (int)-err);
	return (int)err;
}

/* Under a wide filter: let the handler make the trapped calls unchanged. */
static void raw_trap(void)
{
	int ret = io2_trap_map();

	if (!ret)
		ret = IO2_TRAP_HEAD->begin(&io2_settings, IO2_RAW);
	if (ret)
		DIE(EXIT_US, "cannot map the trap: %s", strerror(-ret));
}

static int needs_trap(enum kind kind, int inherited, int skip)
{
	/* a program without the handler is killed at its first trapped call */
	if (inherited == IO2_PROBE_WIDE)
		return kind != FOREIGN;
	return kind != FOREIGN && kind != UNKNOWN && kind != DYNAMIC &&
	       (!skip || inherited);
}

static int can_do_without(enum kind kind, int inherited)
{
	return kind == UNKNOWN || (kind == SECURE && inherited != IO2_PROBE_WIDE);
}

static void start(const char *path, char **argv)
{
	int inherited = io2_inherited_filter();
	const char *name = strrchr(path, '/') + 1;
	enum kind kind = kind_of(path, 0);
	int skip = io2_skipped(io2_settings.names, name);
	int err = 0;

	if (inherited == IO2_PROBE_WIDE)
		raw_trap();
	/* if the effective user is not the real one, the loader loads no library */
	if (kind == DYNAMIC && getauxval(AT_SECURE))
		kind = SECURE;
	set_environment(kind);
	io2_settings.skip = skip;
	/* a program that gained privileges by exec would not load our library */
	if (!skip && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		DIE(EXIT_US, "PR_SET_NO_NEW_PRIVS: %s", strerror(errno));
	if (needs_trap(kind, inherited, skip))
		err = exec_with_trap(path, argv);
	if (err && !can_do_without(kind, inherited))
		DIE(EXIT_CANNOT, "%s: it has no dynamic GNU C library, and ptrace, which prepares it, is refused: %s",
		    path, strerror(err));
	execve(path, argv, environ);
	cannot_start(path, errno);
}

static void add_name(const char *name)
{
	size_t n = strlen(io2_settings.names);

	if (!name)
		DIE(EXIT_US, "--skip needs a name");
	if (n + strlen(name) + 2 > sizeof(io2_settings.names))
		DIE(EXIT_US, "too many names to skip: more than %zu characters",
		    sizeof(io2_settings.names) - 1);
	sprintf(io2_settings.names + n, "%s%s", n ? ":" : "", name);
}

/* Join the names of the caller and those of the environment. */
static void join_names(const char *callers)
{
	char own[IO2_SKIP_MAX], *rest = own, *name;

	strcpy(own, io2_settings.names);
	snprintf(io2_settings.names, sizeof(io2_settings.names), "%s", callers);
	while ((name = strsep(&rest, ":"))) {
		if (*name && !find_element(io2_settings.names, name))
			add_name(name);
	}
}

/* iouring2-run --exec FLAGS PATH ARGV0...: how a redirected program executes another */
static void exec_for_program(char **argv)
{
	const char *flags = argv[2];

	if (!flags || !argv[3] || strlen(flags) < 4)
		DIE(EXIT_US, "--exec is for internal use only");
	io2_settings.trace |= flags[0] == 't';
	io2_settings.fallback |= flags[1] == 'f';
	io2_settings.ebusy |= flags[2] == 'b';
	join_names(flags + 4);
	if (!strchr(argv[3], '/')) {
		char *path;

		if (asprintf(&path, "./%s", argv[3]) < 0)
			DIE(EXIT_US, "out of memory");
		argv[3] = path;
	}
	start(argv[3], argv + 4);
}

static void find_ourselves(void)
{
	ssize_t n = readlink("/proc/self/exe", io2_settings.run, sizeof(io2_settings.run));
	const char *path = (const char *)getauxval(AT_EXECFN);

	/* without /proc: a redirected program has executed us by our absolute path */
	if (n <= 0 && path && *path == '/')
		n = snprintf(io2_settings.run, sizeof(io2_settings.run), "%s", path);
	if (n <= 0 || n >= (ssize_t)sizeof(io2_settings.run))
		DIE(EXIT_US, "/proc/self/exe cannot be read");
	io2_settings.run[n] = 0;
}

int main(int argc, char **argv)
{
	int i, check = 0, ended = 0;

	if (io2_settings_read(&io2_settings))
		DIE(EXIT_US, IO2_ENV_SKIP ": too many names: more than %zu characters",
		    sizeof(io2_settings.names) - 1);
	find_ourselves();
	if (argc > 1 && !strcmp(argv[1], "--exec"))
		exec_for_program(argv);
	for (i = 1; i < argc && !ended && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "--fallback")) {
			io2_settings.fallback = 1;
		} else if (!strcmp(argv[i], "--ebusy")) {
			io2_settings.ebusy = 1;
		} else if (!strcmp(argv[i], "--trace")) {
			io2_settings.trace = 1;
		} else if (!strcmp(argv[i], "--skip")) {
			add_name(argv[++i]);
		} else if (!strcmp(argv[i], "--check")) {
			check = 1;
		} else if (!strcmp(argv[i], "--version")) {
			exit(puts("iouring2-run " IO2_VERSION) < 0);
		} else if (!strcmp(argv[i], "--help")) {
			exit(fputs(usage, stdout) < 0);
		} else if (!strcmp(argv[i], "--")) {
			ended = 1;
		} else {
			fprintf(stderr, "iouring2-run: unknown option %s, see --help\n",
				argv[i]);
			exit(EXIT_US);
		}
	}
	if (check)
		return check_device() ? EXIT_US : 0;
	if (i >= argc) {
		fputs("iouring2-run: no program, see --help\n", stderr);
		return EXIT_US;
	}
	if (!io2_settings.fallback && check_device())
		return EXIT_US;
	start(find(argv[i]), argv + i);
}
