PY := .venv/bin/python
PORT ?= 8400
# The system's own Python where it is new enough and complete (Debian's is built with profile-guided optimisation: a data
# call costs 7 % less); else the first on the path.
SUITS = import ensurepip, os, sys, sysconfig; \
  sys.exit(sys.version_info < (3, 11) or not os.path.exists(sysconfig.get_path("include") + "/Python.h"))
PYTHON ?= $(shell /usr/bin/python3 -c '$(SUITS)' 2>/dev/null && echo /usr/bin/python3 || echo python3)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-9s %s\n", $$1, $$2}' Makefile

venv: .venv/ready ## locked dependencies in .venv (PYTHON=, else the system's or the first on the path)

.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Aval needs Python 3.11 or newer: $$($(PYTHON) --version)"; exit 1; }
	@echo "Installing the locked dependencies in .venv: a minute, once"
	@test -x $(PY) || $(PYTHON) -m venv .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# Bytecode is written here, because an environment may forbid the processes themselves to write any.
compiled: venv ## the data plane as machine code, where there is a C compiler: minutes, once
	@$(PY) -m compileall -q gateway examples tests
	@.venv/bin/aval compile || echo "Going on without: the data plane runs interpreted, a fifth slower."

demo: venv ## the main job, on SQLite, with example organisations and apps (PORT=8400)
	@.venv/bin/aval demo --port $(PORT)

story: venv ## the demo's story without a browser: every step printed and verified
	@.venv/bin/aval demo --story --port 0

check: venv ## format, lint, types, architecture
	.venv/bin/ruff format --check gateway examples tests
	.venv/bin/ruff check gateway examples tests
	.venv/bin/mypy
	.venv/bin/lint-imports

# What touches the store is run on both engines; the rest of the tests knows nothing of it.
BOTH := tests/journeys tests/store tests/log tests/proxy tests/authorization tests/consent tests/organisations \
  tests/people tests/sharings tests/signals

# Files in the order in which they are collected: by their number of tests, those that take longest would come last. What
# pytest makes of them is kept for the other workers and runs, also where processes may write no bytecode.
PYTEST := PYTHONDONTWRITEBYTECODE= $(PY) -m pytest -q --dist loadfile --no-loadscope-reorder

# Three at a time on two cores: one of them mostly waits for a process that a test has started.
test: venv browser postgres clients apache nginx module ## all tests, browser journeys too: a quarter of an hour
	AVAL_INTERPRETED=1 $(PYTEST) -n 3 -m "not browser"
	AVAL_INTERPRETED=1 $(PYTEST) -n 2 -m browser tests/people tests/screen tests/browser tests/clients

test-again: compiled postgres ## tests again: of the data plane as machine code, and on PostgreSQL
	$(PYTEST) -n 3 tests/formats tests/proxy tests/security tests/authorization
	ENGINE=postgres $(PYTEST) -n 3 -m "not browser and not sqlite and not postgres" $(BOTH)

browser: ## Debian's chromium for the browser tests
	@command -v chromium >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
	  && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } \
	  || echo "chromium is missing: browser tests are skipped. As root: apt-get install chromium"

# Debian's packages would start a cluster and a pgbouncer of their own. The tests start what they need, so the first is
# not made (a setting for the time of the installation only) and the second is stopped and does not start again.
NO_CLUSTER := /etc/postgresql-common/createcluster.d/no-cluster-for-tests.conf
postgres: ## Debian's PostgreSQL and pgbouncer for the tests on PostgreSQL
	@PATH="$$PATH:/usr/sbin:$$(echo /usr/lib/postgresql/*/bin | tr ' ' :)"; \
	has_both() { command -v initdb && command -v pgbouncer; } >/dev/null; \
	if ! has_both && test "$$(id -u)" = 0 && command -v apt-get >/dev/null; then \
	  had=$$(command -v pgbouncer); \
	  mkdir -p $(dir $(NO_CLUSTER)) && echo "create_main_cluster = off" >$(NO_CLUSTER); \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql pgbouncer >/dev/null; \
	  rm -f $(NO_CLUSTER); rmdir --ignore-fail-on-non-empty $(dir $(NO_CLUSTER)); \
	  test -n "$$had" || { invoke-rc.d pgbouncer stop; update-rc.d pgbouncer disable; } >/dev/null 2>&1; \
	  PATH="$$PATH:$$(echo /usr/lib/postgresql/*/bin | tr ' ' :)"; \
	fi; \
	command -v initdb >/dev/null \
	  || echo "PostgreSQL is missing: the tests on it are skipped. As root: apt-get install postgresql"; \
	command -v pgbouncer >/dev/null \
	  || echo "pgbouncer is missing: the tests through it are skipped. As root: apt-get install pgbouncer"

# Scripts of packages are not run. The lock names no host, so packages come from where npm of this machine gets them.
CLIENTS := tests/clients/node
clients: ## OAuth clients of Node, by npm, for the tests in tests/clients
	@if ! command -v npm >/dev/null; then \
	  echo "npm is missing: the tests with clients of Node are skipped. As root: apt-get install npm, with Node 20 or newer"; \
	elif ! test $(CLIENTS)/node_modules/.package-lock.json -nt $(CLIENTS)/package-lock.json; then \
	  npm ci --prefix $(CLIENTS) --ignore-scripts --no-fund --no-audit --loglevel=error \
	    || echo "npm could not install the clients: the tests with them are skipped"; \
	fi

# Its program and modules alone: Debian's package apache2 would start a server.
apache: ## Debian's Apache with its modules for OAuth, for the tests in tests/clients
	@modules=/usr/lib/apache2/modules; \
	has_all() { command -v apache2 >/dev/null && test -e $$modules/mod_auth_openidc.so && test -e $$modules/mod_oauth2.so; }; \
	has_all || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -qq \
	  && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	    apache2-bin libapache2-mod-auth-openidc libapache2-mod-oauth2 >/dev/null; } \
	  || echo "Apache is missing: the tests with it are skipped. As root: apt-get install apache2-bin" \
	    "libapache2-mod-auth-openidc libapache2-mod-oauth2"

# Its program alone, unpacked beside the environment: Debian's package would start a server. Its libraries are there with
# Debian's Python; where they are not, nginx does not run and counts as missing.
NGINX := .venv/nginx
nginx: venv ## Debian's nginx, for the tests behind it and with client certificates
	@has_it() { PATH="$$PATH:/usr/sbin:$$PWD/$(NGINX)/usr/sbin"; nginx -v; } >/dev/null 2>&1; \
	unpacked() { cd $(NGINX) && rm -f *.deb && apt-get download -qq nginx && dpkg -x nginx_*.deb . && rm -f *.deb; }; \
	(has_it) || { command -v apt-get && command -v dpkg && mkdir -p $(NGINX) \
	  && { (unpacked) || { test "$$(id -u)" = 0 && apt-get update -qq && (unpacked); }; } && (has_it); } >/dev/null 2>&1 \
	  || echo "nginx is missing: the tests with it are skipped. As root: apt-get install nginx-light"

# What stands in for a hardware module.
module: venv ## SoftHSM, for the tests of the sealing key behind a hardware module
	@has_both() { command -v softhsm2-util && command -v pkcs11-tool; } >/dev/null; \
	has_both || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -qq \
	  && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends softhsm2 opensc >/dev/null; } \
	  || echo "SoftHSM is missing: the tests with it are skipped. As root: apt-get install softhsm2 opensc"

bench: compiled clients ## side-by-side measurements, as ratios (ONLY=data-plane)
	@ONLY=$(ONLY) $(PY) -m tests.bench

torture: compiled postgres ## long runs: new random cases, lives of a consent, 500 MB streams, races, faults of many processes
	TORTURE=1 $(PYTEST) -n 2 --timeout 1800 $$(grep -rl --include='test_*.py' tests.torture tests)
	TORTURE=1 $(PYTEST) -n 2 -m browser --timeout 1800 tests/people tests/screen tests/browser
	for round in $$(seq 20); do TORTURE=1 $(PYTEST) -n 2 -m hypothesis tests || exit 1; done
	RUNS=2000 TORTURE=1 $(PY) -m pytest -q --timeout 3600 tests/proxy/test_terms_machine.py \
	  tests/security/test_state_machine.py tests/proxy/test_long_streams.py
	RACES=1000 FAULTS=100 TORTURE=1 $(PY) -m pytest -q --timeout 3600 tests/proxy/test_proxy_processes.py \
	  tests/proxy/test_database_gone.py tests/journeys/test_journeys_races.py
	KILLS=1000 $(PY) -m pytest -q -s --timeout 36000 tests/journeys/test_journeys_killed.py
	KILLS=1000 ENGINE=postgres $(PY) -m pytest -q -s --timeout 36000 tests/journeys/test_journeys_killed.py
	RUNS=500 ENGINE=postgres TORTURE=1 $(PY) -m pytest -q --timeout 3600 tests/proxy/test_terms_machine.py \
	  tests/security/test_state_machine.py

ROUNDS ?= 200
races: venv postgres ## twenty at once with one code, token, request, proof: once each, on both engines (ROUNDS=200)
	AVAL_INTERPRETED=1 ROUNDS=$(ROUNDS) $(PYTEST) -s tests/races

docs: venv ## write the reference again from the code, and the page of requirements from tests/requirements
	@.venv/bin/aval reference > gateway/docs/reference.md
	@$(PY) -m tests.requirements > gateway/docs/requirements.md

lock: venv ## resolve requirements.lock again, and the clients' package-lock.json
	$(PY) -m pip install --quiet --disable-pip-version-check uv
	.venv/bin/uv pip compile pyproject.toml --extra dev --extra pkcs11 --generate-hashes --universal --python-version 3.11 \
	  --no-emit-index-url --no-emit-find-links --no-header --quiet -o requirements.lock
	rm -rf $(CLIENTS)/package-lock.json $(CLIENTS)/node_modules
	npm install --prefix $(CLIENTS) --package-lock-only --ignore-scripts --no-fund --no-audit
	node $(CLIENTS)/lib/without_addresses.mjs $(CLIENTS)/package-lock.json

clean: ## remove the environment and the demo's data
	rm -rf .venv .demo

.PHONY: help venv compiled demo story check test test-again browser postgres clients apache nginx bench torture races docs lock clean
