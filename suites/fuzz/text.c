// SPDX-License-Identifier: GPL-2.0-only
/* Print and parse programs as text; see text.h. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "text.h"

#define CALL_NAME(name, ...)		#name,
#define CALL_NR_ARGS(name, nr, ...)	nr,
#define CALL_TYPES(name, nr, ...)	__VA_ARGS__,

const char * const call_names[NR_CALLS] = { CALLS(CALL_NAME) };
const unsigned char call_nr_args[NR_CALLS] = { CALLS(CALL_NR_ARGS) };
const unsigned char call_types[NR_CALLS][MAX_ARGS] = { CALLS(CALL_TYPES) };

static size_t put(char *buf, size_t size, size_t len, const char *format,
		  unsigned long value)
{
	int ret;

	if (len >= size)
		return len;
	ret = snprintf(buf + len, size - len, format, value);
	return len + ret >= size ? size - 1 : len + ret;
}

size_t program_print(const struct program *p, char *buf, size_t size)
{
	const struct call *c;
	unsigned int i;
	size_t len = 0;

	buf[0] = '\0';
	for (c = p->call; c < p->call + p->nr; c++) {
		len += snprintf(buf + len, size - len, "%s(", call_names[c->kind]);
		if (len >= size)
			return size - 1;
		for (i = 0; i < call_nr_args[c->kind]; i++) {
			if (i)
				len = put(buf, size, len, ", ", 0);
			len = put(buf, size, len, c->arg[i] > 9 ? "0x%lx" : "%lu", c->arg[i]);
		}
		len = put(buf, size, len, ")", 0);
		if (c->thread)
			len = put(buf, size, len, " @%lu", c->thread);
		if (c->repeat > 1)
			len = put(buf, size, len, " *%lu", c->repeat);
		if (c->nth)
			len = put(buf, size, len, " !%lu", c->nth);
		len = put(buf, size, len, "\n", 0);
	}
	return len;
}

static const char *skip(const char *s)
{
	while (*s == ' ' || *s == '\t' || *s == ',')
		s++;
	return s;
}

static int parse_name(const char **s)
{
	size_t len = strcspn(*s, "(");
	int i;

	for (i = 0; i < NR_CALLS; i++)
		if (strlen(call_names[i]) == len && !strncmp(call_names[i], *s, len)) {
			*s += len + 1;
			return i;
		}
	return -1;
}

static int parse_args(struct call *c, const char **text)
{
	const char *s = *text;
	unsigned int i;
	char *end;

	for (i = 0; i < call_nr_args[c->kind]; i++) {
		s = skip(s);
		c->arg[i] = strtoull(s, &end, 0);
		if (end == s)
			return -1;
		s = end;
	}
	s = skip(s);
	*text = s + 1;
	return *s == ')' ? 0 : -1;
}

static int parse_call(struct call *c, const char *s)
{
	int kind = parse_name(&s);
	unsigned long value;
	char what, *end;

	if (kind < 0)
		return -1;
	*c = (struct call){ .kind = kind, .repeat = 1 };
	if (parse_args(c, &s))
		return -1;
	for (s = skip(s); *s == '@' || *s == '*' || *s == '!'; s = skip(end)) {
		what = *s++;
		value = strtoul(s, &end, 10);
		if (what == '@')
			c->thread = value % MAX_THREADS;
		else if (what == '*')
			c->repeat = value;
		else
			c->nth = value;
	}
	return *s == '\n' || *s == '#' || !*s ? 0 : -1;
}

int program_parse(struct program *p, const char *text)
{
	int line;

	p->nr = 0;
	for (line = 1; *text; line++) {
		text = skip(text);
		if (isalpha((unsigned char)*text)) {
			if (p->nr == MAX_CALLS || parse_call(&p->call[p->nr], text))
				return line;
			p->nr++;
		} else if (*text && *text != '#' && *text != '\n') {
			return line;
		}
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return 0;
}

/* Cut the text after program @nr. Return: the start of this program, or NULL */
static char *nth_program(char *text, unsigned int nr)
{
	char *from = text, *line, *next;

	for (line = text; *line; line = next) {
		next = line + strcspn(line, "\n");
		next += *next == '\n';
		if (strncmp(line, "--\n", 3))
			continue;
		if (!nr--) {
			*line = '\0';
			return from;
		}
		from = next;
	}
	return !nr && *from ? from : NULL;
}

int program_load(struct program *p, const char *path, unsigned int nr)
{
	static char text[1 << 20];
	FILE *f = fopen(path, "r");
	size_t len;
	char *from;
	int bad;

	if (!f) {
		perror(path);
		return -1;
	}
	len = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[len] = '\0';
	from = nth_program(text, nr);
	if (!from)
		return 1;
	bad = program_parse(p, from);
	if (bad)
		fprintf(stderr, "%s: program %u, line %d: cannot parse the call\n", path, nr, bad);
	return bad ? -1 : 0;
}
