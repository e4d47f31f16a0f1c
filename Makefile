# Each target sets up what it needs by itself. Everything is installed into .venv, nothing elsewhere,
# except by the targets that say so (verify, reference, benchmark: R and Chromium from Debian's packages).
SHELL := /bin/bash
.DELETE_ON_ERROR:
.PHONY: help run demo fetch check-online calibrate test faults verify benchmark lint format lock clean

PYTHON ?= python3
CORES ?= $(shell getconf _NPROCESSORS_ONLN)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# One flock for all runs in this folder: a lock that Snakemake left behind is removed only by its holder.
SNAKEMAKE = source $(BIN)/activate && exec 9>.run.lock && \
	{ flock -n 9 || { echo "another run is going on in this folder; wait for it to end" >&2; exit 1; }; } && \
	{ [ ! -e .snakemake/locks ] || [ -z "$$(ls -A .snakemake/locks)" ] || snakemake --unlock --quiet all $(1); } && \
	snakemake --cores $(CORES) --workflow-profile config/profiles/local $(1)

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(STAMP): envs/requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"alsmuscle needs Python 3.11 to 3.13, {sys.executable} is {v[0]}.{v[1]}; set PYTHON=")'
	@echo "setting up $(VENV) (about 2 GB, a few minutes the first time)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r envs/requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: $(STAMP)  ## the real analysis of config/config.yaml
	@$(call SNAKEMAKE)
	@echo "report: results/report/index.html"

demo: $(STAMP)  ## simulated studies with planted truth; needs no network, a few minutes
	@# Many small studies: two jobs side by side are faster than two threads in one.
	@$(call SNAKEMAKE,--configfile config/demo.yaml --max-threads 1)
	@echo "report: results/demo/report/index.html"

fetch: $(STAMP)  ## download what config/config.yaml needs, and nothing else
	@$(call SNAKEMAKE,fetch)

check-online: $(STAMP)  ## hold every study card against the live archives: results/check-online.zip, to share
	@$(BIN)/alsmuscle check --all --online --bundle results/check-online.zip

test: $(STAMP)  ## what CI and users run: no R, browser, Slurm or mirror
	@source $(BIN)/activate && $(MAKE) --no-print-directory lint && \
	python -m pytest -n 2 --dist loadfile -m "not verify" tests

calibrate: $(STAMP)  ## how well a planted truth is recovered: results/calibration
	@source $(BIN)/activate && python -m alsmuscle.calibrate

faults: $(STAMP)  ## downloads against a local server that misbehaves
	@source $(BIN)/activate && python -m pytest -q tests/faults

verify: $(STAMP)  ## all tests, with R, Chromium and the mirror (ALSMUSCLE_MIRROR); a skip is a failure
	@tests/verify.sh

benchmark: $(STAMP)  ## time and memory against alternatives: results/benchmarks; installs R
	@tests/install_r.sh && source $(BIN)/activate && mkdir -p results/benchmarks && \
	python benchmarks/fit.py --out results/benchmarks/fit.tsv && \
	python benchmarks/enrichment.py | tee results/benchmarks/enrichment.tsv && \
	python benchmarks/meta.py | tee results/benchmarks/meta.txt

lint: $(STAMP)  ## ruff, mypy, snakefmt, snakemake --lint
	@source $(BIN)/activate && ruff check . && ruff format --check . && mypy && \
	snakefmt --check Snakefile workflow/rules && snakemake --lint

format: $(STAMP)  ## put the code into its form
	@source $(BIN)/activate && ruff check --fix . && ruff format . && snakefmt Snakefile workflow/rules

lock: $(STAMP)  ## resolve the pins anew (needs uv)
	@$(BIN)/python -m pip install --quiet uv && source $(BIN)/activate && python envs/lock.py

clean:  ## remove results and the environment; downloaded data stays
	rm -rf results .snakemake $(VENV) .run.lock
