.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin
DONE := .venv/.set-up-done
TESTS := $(BIN)/python -m pytest -q -n $${TEST_PROCESSES:-2} --dist loadfile --no-loadscope-reorder

.PHONY: help setup demo train eval test test-long lint bench notebooks clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(DONE): pyproject.toml constraints.txt set_up.sh spark_jobs/set_up.py spark_jobs/quick_start.py
	@./set_up.sh

setup: $(DONE)  ## Make .venv, install pinned packages, check Java, fetch the Delta jars

demo: $(DONE)  ## Metadata to verified shards on the sample to a small model, with a report
	@$(BIN)/python -m sample.demo --out demo_output

train: $(DONE)  ## Train RECIPE (tiny) on DATA (the demo's manifest) as run NAME in LOGS; FLAGS are passed on
	@$(BIN)/taxaflow train --recipe $(or $(RECIPE),tiny) --train-data $(or $(DATA),demo_output/shards/demo/manifest.json) \
		--logs $(or $(LOGS),demo_output/runs) --name $(or $(NAME),demo) --resume latest $(FLAGS)

eval: $(DONE)  ## Evaluate MODEL (the demo's) on the split SPLIT (test) of DATA into RESULTS; FLAGS are passed on
	@$(BIN)/taxaflow eval --resume $(or $(MODEL),demo_output/runs/demo) --out $(or $(RESULTS),demo_output/eval) \
		--shards $(or $(DATA),demo_output/shards/demo/manifest.json) --split $(or $(SPLIT),test) $(FLAGS)
	@$(BIN)/taxaflow report $(or $(RESULTS),demo_output/eval)

test: $(DONE)  ## All tests that a change must pass, two processes at a time
	@$(TESTS) -m 'not long'

test-long: $(DONE)  ## Every test, the long crash list included
	@$(TESTS)

lint: $(DONE)  ## Style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright

bench: $(DONE)  ## Measure the pipeline on 1 M generated rows (ROWS=5000000 for more)
	@$(BIN)/python -m bench.pipeline --rows $${ROWS:-1000000} --work $${WORK:-build/bench}

notebooks: $(DONE)  ## Open the notebooks in Jupyter, on the demo's output
	@$(BIN)/jupyter lab notebooks

clean:  ## Remove what demo, tests and builds left (not .venv)
	@rm -rf demo_output build dist *.egg-info .pytest_cache .ruff_cache spark-warehouse hs_err_pid*.log
