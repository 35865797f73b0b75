# SPDX-License-Identifier: GPL-2.0-only
#
# This file is for users, developers and dkms. kbuild reads the file Kbuild beside it.

RELEASE		:= $(shell cat $(CURDIR)/VERSION)
KDIR		?= /lib/modules/$(or $(KERNELRELEASE),$(shell uname -r))/build
DIST		:= build/iouring2-$(RELEASE).tar.gz

# IOURING2_DEBUG=1 makes the debug build, in which steps of SETUP can be made to fail. It reaches
# kbuild from the command line or the environment. W=1 (warnings) and C=1 or C=2 (sparse) reach it
# only from the command line.
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
	@echo '                       (KERNELRELEASE=x or KDIR=path: for another kernel;'
	@echo '                       IOURING2_DEBUG=1: the debug build, for tests)'
	@echo '  make clean           remove the files of the build'
	@echo '  make demo            boot a virtual machine, install by dkms, copy a file through a ring'
	@echo '  make check           run the tests on all supported kernels, in virtual machines'
	@echo '  make check-debug     run all tests, for longer, on KASAN and KCSAN kernels and with kmemleak;'
	@echo '                       builds missing kernels from source'
	@echo '  make check-tier0     run the checks that need no virtual machine'
	@echo '  make mutants         break the module on purpose, and check that a test fails'
	@echo '  make coverage        report which lines of the module the tests run'
	@echo '  make fuzz            run random programs in a virtual machine'
	@echo '  make debug-kernel    build the KASAN and the KCSAN kernel (ARGS=kasan: only this one)'
	@echo '  make lib             build libiouring2 and iouring2-run in build/lib'
	@echo '  make check-lib       test both in virtual machines, linked in each way (docs/liburing.md)'
	@echo "  make check-liburing  run liburing's tests, native and redirected (docs/liburing-suite.md)"
	@echo '  make check-apps      run fio, qemu-img and others, native and redirected (docs/applications.md)'
	@echo '  sudo make install-lib, uninstall-lib'
	@echo '                       install or remove the library (prefix=/usr/local, DESTDIR=)'
	@echo '  make bench           count the instructions of each operation, on iouring2 and on io_uring'
	@echo '                       (ARGS=--cycles: the ticks of the processor)'
	@echo '  make profile         count them by symbol'
	@echo '  make dist            make $(DIST)'
	@echo '  sudo make install    dkms add, build and install; add group, udev rule, man page; load'
	@echo '  sudo make uninstall  remove all of this'
	@echo
	@echo 'ARGS="..." passes options to the script of check, check-debug, check-tier0, debug-kernel,'
	@echo 'demo, mutants, coverage, fuzz, bench, profile, check-lib, check-liburing, check-apps, install and'
	@echo 'uninstall. ARGS=--help shows these options. In ARGS, $$ is doubled:'
	@echo "  make check ARGS='--kernels 7.x --tests ^poll"'$$$$'"'"

.PHONY: bench profile modules clean dist check check-debug check-tier0 debug-kernel demo mutants coverage fuzz
.PHONY: install uninstall help lib check-lib check-liburing check-apps install-lib uninstall-lib
