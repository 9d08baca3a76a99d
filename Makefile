# One line a task. PYTHON makes the environment; all else runs in it.
PYTHON ?= python3
IN = .venv/bin

.PHONY: setup fix check test slow lock results

setup: .venv/ready                        ## the environment: the package and what its development needs
.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv && $(IN)/pip install -q -e '.[dev]' -c constraints.txt && touch $@

fix: setup                                ## format, and mend what can be mended by itself
	$(IN)/ruff format . && $(IN)/ruff check --fix .

check: setup                              ## format, lint, types, import contracts
	$(IN)/ruff format --check . && $(IN)/ruff check . && $(IN)/basedpyright --level error --pythonpath $(IN)/python && $(IN)/lint-imports

test: setup                               ## the fast tests
	$(IN)/pytest -n 3 -m 'not slow'

slow: setup                               ## the tests that take longer
	$(IN)/pytest -m slow

lock: setup                               ## the versions that the tests ran with
	$(IN)/pip freeze --exclude-editable | grep -vE '^(nvidia|cuda|triton)' > constraints.txt

results: setup                            ## the files behind the figures in README and docs
	cd benchmarks && for name in $$(../$(IN)/python -c 'import errors; print(*errors.COMMANDS)'); do \
		../$(IN)/python errors.py $$name || exit; done
	$(IN)/python benchmarks/photographs.py && $(IN)/python benchmarks/learning.py
	$(IN)/alexnet bench all --out results/bench.json && $(IN)/python benchmarks/growth.py && $(IN)/python benchmarks/gpu.py
	$(IN)/python benchmarks/search.py && $(IN)/python benchmarks/search_speed.py && $(IN)/python benchmarks/embedding.py
	$(IN)/python benchmarks/parallel.py && $(IN)/python benchmarks/scaling.py
	$(IN)/python benchmarks/tables.py
