# Everything runs in .venv, which is made on first use. `make help` lists the targets.
PYTHON ?= python3
BIN := .venv/bin
SEEDS ?= 5
SEED ?= 0

# Tests start Palate some hundred times; where the environment forbids bytecode, each start would compile all of it.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo quick demo-seeds demo-speedup real-data core-figures bench bug-bench resume scaling times slow test browser postgres load api-fuzz distributed people-figures evaluation-figures practice-figures ai-feedback-figures rounds-figures bridges check lock clean

help:  ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

.venv/.ok: pyproject.toml constraints.txt scripts/bootstrap.py
	$(PYTHON) scripts/bootstrap.py

demo: .venv/.ok  ## The whole cycle in the practice world, with a report in demo/
	$(BIN)/palate demo --out demo

quick: .venv/.ok  ## The cycle without round 2 and the hacking runs
	$(BIN)/palate demo --out demo-quick --quick

demo-seeds: .venv/.ok  ## Repeat the training claims over SEEDS seeds into docs/results/cycle.json
	$(BIN)/python scripts/demo_seeds.py --seeds $(SEEDS)

demo-speedup: .venv/.ok  ## The demo before the rollout engine and now, in turns, into docs/results/speed.json
	$(BIN)/python scripts/demo_speedup.py

real-data: .venv/.ok  ## Every verb on the public files in PALATE_DATA, into docs/results/real_data.json
	$(BIN)/python scripts/real_data.py

# TRL only holds figures against ours; without it they are left out.
.venv/.trl: .venv/.ok
	-$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[trl]" && touch .venv/.trl

core-figures: .venv/.trl  ## What the training core promises, measured cell by cell into docs/results/core.json
	$(BIN)/python -m scripts.core_figures --seed $(SEED)

people-figures: .venv/.ok  ## What the human side promises, measured cell by cell into docs/results/people.json
	$(BIN)/python -m scripts.people_figures --seed $(SEED)

evaluation-figures: .venv/.ok  ## What evaluation promises, measured cell by cell into docs/results/evaluation.json
	$(BIN)/python -m scripts.evaluation_figures --seed $(SEED)

practice-figures: .venv/.ok  ## The monitor and a planted bias where a transformer is trained, into docs/results/practice.json
	$(BIN)/python -m scripts.practice_figures --seed $(SEED)

ai-feedback-figures: .venv/.ok  ## What feedback from models is worth, cell by cell, into docs/results/ai_feedback.json
	$(BIN)/python -m scripts.ai_feedback_figures --seed $(SEED)

rounds-figures: .venv/.ok  ## What rounds promise, measured cell by cell into docs/results/rounds.json
	$(BIN)/python -m scripts.rounds_figures --seed $(SEED)

# The opponents of `bench`, in environments of their own; PPO left TRL with 1.13.
TRL_PYTHON ?= build/trl/bin/python
TRL_PPO_PYTHON ?= build/trl-ppo/bin/python

build/trl/bin/python: .venv/.ok
	$(BIN)/python scripts/opponents.py build/trl 1.16.0

build/trl-ppo/bin/python: .venv/.ok
	$(BIN)/python scripts/opponents.py build/trl-ppo 1.12.0

bench: .venv/.ok $(TRL_PYTHON) $(TRL_PPO_PYTHON)  ## Speed and memory in turns with TRL, into docs/results/speed.json
	$(BIN)/palate bench --against trl --trl-python $(TRL_PYTHON) --trl-ppo-python $(TRL_PPO_PYTHON) --seed $(SEED) \
		--out docs/results/speed.json --page docs/performance.md

bug-bench: .venv/.ok  ## Break the real code in every known way; each break must be noticed
	$(BIN)/python -m tests.bug_bench

resume: .venv/.ok  ## Kill every recipe at random steps, and go on
	$(BIN)/python -m pytest -n 2 -m "slow or not slow" tests/invariants/test_resume.py

times: .venv/.ok  ## Time installation, demo, quick and test in a fresh clone, into docs/results/times.json
	$(BIN)/python scripts/times.py

scaling: .venv/.ok  ## The arithmetic of docs/scaling.md into its tables and docs/results/scaling.json
	$(BIN)/python -m scripts.scaling

bridges: .venv/.ok  ## inspect-ai, lm-eval and garak against palate serve, into docs/results/bridges.json
	OMP_NUM_THREADS=1 $(BIN)/python -m scripts.bridges

check: .venv/.ok  ## Lint, types, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Lint and types keep one core busy for most of a minute; beside the tests they cost little.
test: .venv/.ok  ## Every test that needs no GPU, beside lint, types and the import contract
	@mkdir -p build
	@$(MAKE) --no-print-directory check > build/check.log 2>&1 & check=$$!; \
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow and not distributed and not browser"; tests=$$?; \
	wait $$check; checks=$$?; cat build/check.log; exit $$((tests + checks))

browser: .venv/.ok  ## The pages in a real Chromium, as people use them
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "browser and not slow" tests/browser

postgres: .venv/.ok  ## The whole store on a real PostgreSQL
	$(BIN)/python -m pytest -n 2 -m postgres tests/unit/store tests/postgres

load: .venv/.ok  ## Hundreds of raters at once, on SQLite and on PostgreSQL, with crashes
	$(BIN)/python -m scripts.people_figures --seed $(SEED) --only load load_postgres --fresh

api-fuzz: .venv/.ok  ## Every route of the API, with whatever its description allows
	PALATE_FUZZ_EXAMPLES=150 $(BIN)/python -m pytest tests/api

distributed: .venv/.ok  ## Every recipe in two processes, against one
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "distributed and not slow" tests/distributed

slow: .venv/.ok  ## Tests that take long or want an idle machine
	$(BIN)/python -m pytest -m slow

lock: .venv/.ok  ## Write the versions of .venv into constraints.txt
	$(BIN)/python scripts/lock.py

clean:  ## Remove what the targets made
	rm -rf .venv demo demo-quick .pytest_cache .mypy_cache .ruff_cache
