# make help  prints these lines
# make run   trains a small network on the embedded data set, measures it and makes a report
# make test  checks the format and runs all tests; make lint checks the format alone
# make test-dependency  builds and runs a program that depends on this repository by its address and a version
# make wheel builds the Python package with the program into dist; make test-wheel installs and tries it
# make fuzz  gives every reader of files a million damaged ones (make test gives each two thousand)
# make install  puts the program, completions and a man page below PREFIX (and DESTDIR); make uninstall removes them
# make bench times ours and PyTorch side by side; make bench-scaling, how ours grows with depth, width and batch;
#            make bench-processes, several processes; make bench-gpu, steps on a GPU
RESLENS := .build/release/reslens
RUN := runs/resnet-20-synthetic
PREFIX ?= /usr/local
PYTHON := PYTHONPATH=$(CURDIR)/.deps/python python3

.PHONY: help setup build install uninstall run test test-dependency wheel test-wheel fuzz lint bench bench-scaling bench-processes bench-gpu docs clean

help:
	@sed -n '/^#/!q; s/^# //p' Makefile

setup:
	@scripts/setup

build: setup
	swift build -c release --product reslens

install: setup
	@scripts/install $(DESTDIR)$(PREFIX)

uninstall:
	@scripts/install --remove $(DESTDIR)$(PREFIX)

# Goes on with a run that was cut off; one that is whole is measured and reported anew.
run: build
	$(RESLENS) train --model resnet-20 --data synthetic --recipe quick --measure every=1,samples=500 --resume --out $(RUN)
	$(RESLENS) measure $(RUN) --measures all --samples 2000
	$(RESLENS) report $(RUN)
	@echo "Open $(CURDIR)/$(RUN)/report.html"

lint:
	@scripts/lint

test: setup lint
	@scripts/setup-tests
	swift build -c release --product reslens
	swift build -c release --build-tests
	$(PYTHON) -m unittest discover --start-directory python/tests
	@scripts/test

test-dependency: setup
	@scripts/test-dependency

wheel:
	@rm -rf .build/wheel
	@scripts/portable .build/wheel
	python3 -m pip wheel --disable-pip-version-check --no-deps --wheel-dir dist ./python

test-wheel: wheel
	@scripts/test-wheel

# Readers side by side, as none of them shares anything.
fuzz: setup
	swift build -c release --build-tests
	MUTATIONS=$${MUTATIONS:-1000000} swift test -c release --skip-build --filter MutationTests

bench: build
	$(PYTHON) benchmarks/run.py

bench-scaling: build
	$(PYTHON) benchmarks/scaling.py

bench-processes: build
	$(PYTHON) benchmarks/processes.py

bench-gpu: build
	$(PYTHON) benchmarks/gpu.py

docs: setup
	swift package --allow-writing-to-directory .build/docs generate-documentation --target ResLensMeasures \
	  --target ResLensNetworks --target ResLensTraining --enable-experimental-combined-documentation --output-path .build/docs

clean:
	rm -rf .build
