# SPDX-License-Identifier: GPL-2.0-only
#
# Targets for users and for dkms. kbuild reads Kbuild, next to this file.

RELEASE		:= $(shell cat $(CURDIR)/VERSION)
KDIR		?= /lib/modules/$(or $(KERNELRELEASE),$(shell uname -r))/build
DIST		:= build/iouring2-$(RELEASE).tar.gz

# IOURING2_DEBUG=1 adds fault injection for SETUP, and SETUP without contiguous memory. It may be set
# on the command line or in the environment. W=1 (warnings) and C=1 or C=2 (sparse) reach kbuild from the
# command line only.
export IOURING2_DEBUG IOURING2_COVERAGE

modules:
	+$(MAKE) -C $(KDIR) M=$(CURDIR) modules

clean:
	+$(MAKE) -C $(KDIR) M=$(CURDIR) clean

dist:
	@packaging/dist $(CURDIR) $(DIST)

check:
	@tools/check $(ARGS)

check-debug:
	@tools/check --tier debug --long $(ARGS)

check-tier0:
	@tools/tier0 $(ARGS)

bench:
	@bench/run $(ARGS)

profile:
	@bench/profile $(ARGS)

demo:
	@tools/demo $(ARGS)

debug-kernel:
	@tools/vm/debug-kernel $(ARGS)

mutants:
	@tools/mutate $(ARGS)

coverage:
	@tools/coverage $(ARGS)

fuzz:
	@suites/fuzz/run $(ARGS)

install: dist
	@packaging/install --tarball $(DIST) $(ARGS)

uninstall:
	@packaging/install --uninstall $(ARGS)

lib:
	@$(MAKE) --no-print-directory -C lib OUTPUT=$(CURDIR)/build/lib all

check-lib:
	@tools/check-lib $(ARGS)

check-liburing:
	@tools/check-liburing $(ARGS)

check-apps:
	@tools/check-apps $(ARGS)

install-lib uninstall-lib:
	@$(MAKE) --no-print-directory -C lib OUTPUT=$(CURDIR)/build/lib $(@:-lib=)

help:
	@echo 'iouring2 $(RELEASE)'
	@echo
	@echo '  make                 build iouring2.ko for the running kernel'
	@echo '                       (KERNELRELEASE=x or KDIR=path: for another one;'
	@echo '                       IOURING2_DEBUG=1: SETUP can be made to fail, for tests)'
	@echo '  make clean           remove what make has built'
	@echo '  make demo            boot a virtual machine, install by dkms, copy a file through a ring'
	@echo '  make check           the tests, on every supported kernel, in virtual machines'
	@echo '  make check-debug     all tests, longer, on KASAN and KCSAN kernels and with kmemleak;'
	@echo '                       builds those kernels from source if there are none'
	@echo '  make check-tier0     the checks that need no virtual machine'
	@echo '  make mutants         break the module on purpose and see that a test notices'
	@echo '  make coverage        which lines of the module the tests run'
	@echo '  make fuzz            random programs, in a virtual machine'
	@echo '  make debug-kernel    build the KASAN and the KCSAN kernel (ARGS=kasan: only that one)'
	@echo '  make lib             libiouring2 and iouring2-run, into build/lib'
	@echo '  make check-lib       both in virtual machines, linked in every way (docs/liburing.md)'
	@echo "  make check-liburing  liburing's own tests, native and redirected (docs/liburing-suite.md)"
	@echo '  make check-apps      fio, qemu-img and others, native and redirected (docs/applications.md)'
	@echo '  sudo make install-lib, uninstall-lib'
	@echo '                       below /usr/local, or prefix=, or DESTDIR='
	@echo '  make bench           instructions an operation costs, beside the in-tree io_uring'
	@echo '  make profile         where they go, by symbol'
	@echo '  make dist            $(DIST)'
	@echo '  sudo make install    dkms add, build and install; group, udev rule, man page; load'
	@echo '  sudo make uninstall  undo make install'
	@echo
	@echo 'ARGS="..." is handed to the script behind check, check-debug, check-tier0, debug-kernel,'
	@echo 'demo, mutants, coverage, fuzz, bench, profile, check-lib, check-liburing, check-apps, install and'
	@echo 'uninstall; ARGS=--help shows its options. make wants $$ in ARGS doubled:'
	@echo "  make check ARGS='--kernels 7.x --tests ^poll"'$$$$'"'"

.PHONY: bench profile modules clean dist check check-debug check-tier0 debug-kernel demo mutants coverage fuzz
.PHONY: install uninstall help lib check-lib check-liburing check-apps install-lib uninstall-lib
