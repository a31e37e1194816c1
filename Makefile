# Everything a newcomer or CI calls. Needs python3 >= 3.11 with its venv module, and a package index.
#
#   make demo         one message travels SMTP -> SMTP -> IMAP and POP3, on loopback, with the transcript shown
#   make test         the test suite (PYTEST_ARGS="tests/smtp -x" narrows it)
#   make check        lint, format, types, layering, generated documents
#   make coverage     the branches of the core that its own tests run; fails below the least in pyproject.toml
#   make docs         writes the generated documents again
#   make bench-quick  the benchmarks beside their peers, in an environment of their own
#   make fuzz         every fuzz target with atheris, FUZZ_SECONDS (60) each (FUZZ_TARGETS="smtp.server" narrows it)
#   make clean        removes environments, caches and results

PYTHON ?= python3
PYTEST_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test coverage check lint types layering docs docs-check bench-quick fuzz clean
.DELETE_ON_ERROR:

demo: $(VENV)/demo.stamp
	@$(BIN)/mailproto demo

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# What lies below flows, and the tests that mirror it. Examples are the same every time, and so is the figure.
CORE_TESTS := tests/test_errors.py tests/_core tests/sasl tests/smtp tests/pop3 tests/imap tests/message \
	tests/proxy tests/promises tests/fuzz

coverage: $(VENV)/dev.stamp
	HYPOTHESIS_PROFILE=ci $(BIN)/python -m coverage run -m pytest -q $(CORE_TESTS) -k 'not P09'
	$(BIN)/python -m coverage report

check: lint types layering docs-check

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/dev.stamp
	$(BIN)/mypy
	$(BIN)/pyright
	@# verifytypes asks the python of PATH, whatever the configuration says.
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pyright --verifytypes mailproto --ignoreexternal

layering: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -q tests/test_layering.py tests/test_packaging.py

docs: $(VENV)/dev.stamp
	$(BIN)/python scripts/limits.py
	$(BIN)/python scripts/security.py
	$(BIN)/python scripts/parity.py

docs-check: $(VENV)/dev.stamp
	$(BIN)/python scripts/limits.py --check
	$(BIN)/python scripts/security.py --check
	$(BIN)/python scripts/parity.py --check

bench-quick: benchmarks/.venv/bench.stamp
	benchmarks/.venv/bin/python benchmarks/run.py --quick

fuzz: fuzz/.venv/fuzz.stamp
	fuzz/.venv/bin/python scripts/run_fuzz.py $(FUZZ_TARGETS)

clean:
	rm -rf $(VENV) .peers benchmarks/.venv benchmarks/results fuzz build dist
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache .coverage htmlcov
	find src tests scripts benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# The environments. A stamp is older than pyproject.toml only after a change there.

define new_venv
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mailproto needs Python 3.11 or newer; set PYTHON=")'
	@echo 'Setting up $(1), once.'
	@test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
endef

$(VENV)/demo.stamp: pyproject.toml
	$(call new_venv,$(VENV))
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[cli]'
	@touch $@

$(VENV)/dev.stamp: pyproject.toml
	$(call new_venv,$(VENV))
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev --editable '.[cli,testing,dns]'
	@touch $@ $(VENV)/demo.stamp

benchmarks/.venv/bench.stamp: pyproject.toml benchmarks/requirements.txt
	$(call new_venv,benchmarks/.venv)
	@benchmarks/.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable . --requirement benchmarks/requirements.txt
	@touch $@

fuzz/.venv/fuzz.stamp: pyproject.toml
	@mkdir -p fuzz
	$(call new_venv,fuzz/.venv)
	@fuzz/.venv/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@fuzz/.venv/bin/python -m pip install --quiet --disable-pip-version-check --group fuzz --editable .
	@touch $@
