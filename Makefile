# Each target sets up what it needs by itself. Everything is installed into .venv, nothing elsewhere,
# except by the targets that say so (verify, slurm, benchmark: R, Chromium, SLURM from Debian's packages).
SHELL := /bin/bash
.DELETE_ON_ERROR:
.PHONY: help run demo fetch check-online calibrate test faults page-test verify reference survive determinism slurm benchmark lint format lock bundle docs wheels clean clean-all

# Modules are compiled once, also where the environment would have every process do it.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
PROFILE ?= local
CONFIG ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DOCS := $(VENV)/.docs
# uv, where there is one, installs the same pinned files, checked by the same hashes, in less time.
UV := $(shell command -v uv 2>/dev/null)
CREATE = $(if $(UV),uv venv --quiet --allow-existing --seed --python $(PYTHON),$(PYTHON) -m venv) $(VENV)
INSTALL = $(if $(UV),uv pip install --quiet --python $(BIN)/python,$(BIN)/python -m pip install --quiet --disable-pip-version-check) --no-deps
SNAKEMAKE = source $(BIN)/activate && snakemake --workflow-profile config/profiles/$(PROFILE) \
	$(if $(CORES),--cores $(CORES)) $(if $(CONFIG),--configfile $(CONFIG)) $(1)

help:  ## list the targets
	@awk -F ':.*## ' '/^#: / {print "\n" substr($$0, 4)} /^[a-z-]+:.*## / {printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): envs/requirements.txt pyproject.toml
	@$(PYTHON) envs/python.py
	@echo "setting up $(VENV) (about 2 GB, a few minutes the first time)"
	@$(CREATE)
	@$(INSTALL) --require-hashes -r envs/requirements.txt
	@$(INSTALL) --no-build-isolation -e .
	@# What numba compiles is kept: once here, not in the first jobs at once.
	@$(BIN)/python -c "from alsmuscle.bulk import inference; from alsmuscle.cells import cluster; inference.compile_kernels(); cluster.compile_kernels()"
	@touch $@

# What documentation and bundles need beside; runs do without.
$(DOCS): envs/docs.txt $(STAMP)
	@$(INSTALL) --require-hashes -r envs/docs.txt
	@touch $@

#: use
run: $(STAMP)  ## the real analysis of config/config.yaml
	@$(call SNAKEMAKE)

demo: $(STAMP)  ## simulated studies with planted truth; needs no network, a few minutes
	@$(call SNAKEMAKE,--configfile config/demo.yaml)

fetch: $(STAMP)  ## download what config/config.yaml needs, and nothing else
	@$(call SNAKEMAKE,fetch)

check-online: $(STAMP)  ## compare every study card with the live archives: results/check-online.zip, to share
	@$(BIN)/alsmuscle check --all --online --bundle results/check-online.zip || test $$? -eq 3

bundle: $(DOCS)  ## a finished run as one archive to cite, with RO-Crate metadata: results/bundle.zip
	@$(BIN)/python -m alsmuscle.report.bundle $(or $(RESULTS),results) $(or $(ARCHIVE),results/bundle.zip)

clean:  ## remove results; the environment and downloaded data stay
	rm -rf results .snakemake .run.lock

#: check
test: $(STAMP)  ## what CI and users run: no R, browser, Slurm or mirror
	@source $(BIN)/activate && $(MAKE) --no-print-directory lint && \
	python -m pytest -n 2 --dist loadfile -m "not verify" tests

page-test: $(STAMP)  ## the pages in headless Chromium, with axe; a part of verify that needs no R and no mirror
	@tests/drills/verify.sh pages

verify: $(STAMP)  ## all tests, with R, Chromium and the mirror (ALSMUSCLE_MIRROR); a skip is a failure
	@tests/drills/verify.sh

faults: $(STAMP)  ## downloads against a local server that misbehaves
	@source $(BIN)/activate && python -m pytest -q tests/faults

survive: $(STAMP)  ## kill, interrupt and starve runs; each must end with the same bytes
	@source $(BIN)/activate && python tests/drills/survive.py

determinism: $(STAMP)  ## the demo twice from scratch, on 2 cores and on 1: the same bytes
	@source $(BIN)/activate && python tests/drills/survive.py --demo determinism

slurm: $(STAMP)  ## the demo through a real SLURM on this machine; installs it, needs root
	@source $(BIN)/activate && python tests/drills/slurm.py

calibrate: $(STAMP)  ## how well planted truth is recovered, in simulated and real counts: results/calibration
	@source $(BIN)/activate && python -m alsmuscle.simulate.calibrate
	@source $(BIN)/activate && python -m alsmuscle.simulate.calibrate_real

reference: $(STAMP)  ## runs R again and compares with the frozen references; installs R
	@tests/drills/install_r.sh && source $(BIN)/activate && python -m pytest -q tests/reference/test_rerun.py

benchmark: $(STAMP)  ## time and memory beside peers: benchmarks/README.md; PARTS="meta cells:20000" for some; installs R; hours
	@tests/drills/install_r.sh && source $(BIN)/activate && python benchmarks/run.py $(PARTS)

#: develop
lint: $(STAMP)  ## ruff, mypy, import-linter, snakefmt, snakemake --lint
	@source $(BIN)/activate && { mypy & types=$$!; rest=0; \
	{ ruff check . && ruff format --check . && lint-imports && \
	snakefmt --check Snakefile workflow/Snakefile workflow/rules && snakemake --lint; } || rest=1; \
	wait $$types && exit $$rest; }

format: $(STAMP)  ## put the code into its form
	@source $(BIN)/activate && ruff check --fix . && ruff format . && snakefmt Snakefile workflow/rules

lock: $(STAMP)  ## resolve the pins anew (needs uv)
	@$(BIN)/python -m pip install --quiet uv && source $(BIN)/activate && python envs/lock.py

docs: $(DOCS)  ## the documentation: results/docs/index.html; a warning is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet && echo "results/docs/index.html"

wheels: $(STAMP)  ## ask the package index whether every pin has a wheel for each Python and system
	@$(BIN)/python -m pip install --quiet uv && source $(BIN)/activate && python envs/wheels.py

clean-all: clean  ## remove the environment, too
	rm -rf $(VENV)
