# Needs git, make and Python 3.11 or later. The targets are the steps of CI.
#   make demo            the main job on a real network
#   make test            everything that can be proved here
#   make docs            the documentation as a site, in site/ (needs no network but to install)
#   make verify-results  every figure of results/, measured again
#   make bench           ratios against baselines, measured now
#   make clean           remove what the other targets made

SHELL := /bin/sh
BIN   := .venv/bin
DEMO  := estimate resnet18 --hardware eyeriss-like-45nm --factors exact
TESTS :=
# Files of tests on as many processes as there are cores, four at most; a single process: make test PROCESSES=0
PROCESSES := logical

# The first that runs, is recent enough, and brings pip along; if none brings pip, one that can at least make an environment.
PYTHON ?= $(shell for parts in 'venv, ensurepip' venv; do \
	for p in python3.13 python3.12 python3.11 python3 python; do \
		$$p -c "import sys, $$parts; sys.exit(sys.version_info < (3, 11))" >/dev/null 2>&1 && echo $$p && exit; \
	done; done)

.PHONY: demo test docs bench verify-results venv clean
.DELETE_ON_ERROR:

demo: venv
	$(BIN)/picojoule $(DEMO)

test: .venv/with-tests
	$(BIN)/python -m pytest --numprocesses $(PROCESSES) --maxprocesses 4 --dist loadfile $(TESTS)

docs: .venv/with-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo 'open site/index.html'

verify-results: .venv/with-tests
	$(BIN)/python results/verify.py $(RESULTS)

bench: .venv/with-tests
	@set -e; for file in benchmarks/*.py; do echo "$$file"; $(BIN)/python "$$file"; done

venv: .venv/with-picojoule

.venv/with-picojoule: .venv/with-pip pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt hatchling
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation --editable .
	@touch $@

.venv/with-tests: .venv/with-picojoule
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation --editable '.[test]'
	@touch $@

.venv/with-docs: .venv/with-picojoule
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation --editable '.[docs]'
	@touch $@

# Debian ships Python without ensurepip unless python3-venv is installed; then another pip fills the environment.
.venv/with-pip:
	@python='$(PYTHON)'; \
	test -n "$$python" || { echo 'make: picojoule needs Python 3.11 or later: install it, or name one: make PYTHON=/path/to/python3' >&2; exit 1; }; \
	echo "$$python -m venv .venv"; \
	$$python -m venv --clear .venv >/dev/null 2>&1 && touch $@ && exit; \
	echo "$$python can't make an environment with pip; filling one from outside"; \
	$$python -m venv --clear --without-pip .venv && \
	for pip in "$$python -m pip" pip3 pip; do \
		$$pip --python $(BIN)/python install --quiet --constraint constraints.txt pip && touch $@ && exit; \
	done; \
	rm -rf .venv; \
	echo "make: $$python can't make an environment: install python3-venv (Debian, Ubuntu: apt install python3-venv)" >&2; \
	echo '      or name another Python: make PYTHON=/path/to/python3' >&2; \
	exit 1

clean:
	rm -rf .venv .pytest_cache .hypothesis build dist site resnet18.*.json
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
