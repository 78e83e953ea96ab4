# Every verb sets up .venv by itself and refreshes it when the lock file or pyproject.toml changed.
# PYTHON=python3.12 make book      uses another interpreter.
# PORT=9000 make serve             uses another port.

PYTHON ?= python3
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help book slides serve pdf measure test wheel colab browser grade exercises benchmarks results tuning films lint format repository clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(INSTALLED): requirements.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

book: $(INSTALLED)  ## execute every chapter and build the book; prints the path of index.html
	@$(BIN)/python -m book.build

slides: $(INSTALLED)  ## a deck for each part of the book, plain HTML; prints the path of their index
	@$(BIN)/python -m book.slides

serve: book  ## build the book and serve it on this machine
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

pdf: $(INSTALLED)  ## print the whole book to _build/trust-regions.pdf (needs make browser)
	@$(BIN)/python -m book.pdf

measure: $(INSTALLED)  ## how heavy the pages are, and how soon they show text (needs make browser)
	@$(BIN)/python -m book.measure

test: $(INSTALLED)  ## run all tests (pages in a real browser too, where one is installed)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

wheel: $(INSTALLED)  ## build the wheel and use it alone, in a fresh environment
	$(BIN)/python -m pytest tests/wheel_in_a_fresh_environment.py

colab: $(INSTALLED)  ## run every notebook alone, in an environment with Colab's versions
	$(BIN)/python -m pytest tests/colab/notebooks_in_colab.py

browser:  ## install Debian's Chromium and its driver, and axe-core from npm, for the browser tests
	@missing=; for pair in chromium:chromium chromedriver:chromium-driver npm:npm; do \
		command -v $${pair%%:*} >/dev/null || missing="$$missing $${pair#*:}"; \
	done; \
	if test -n "$$missing"; then \
		sudo=; test "$$(id -u)" = 0 || sudo=sudo; \
		$$sudo apt-get update -qq && \
		$$sudo env DEBIAN_FRONTEND=noninteractive \
			apt-get install -y -qq --no-install-recommends $$missing || exit 1; \
	fi
	@npm ci --prefix tests/axe --silent --no-audit --no-fund
	@echo "Chromium, its driver and axe-core are installed."

grade: $(INSTALLED)  ## check the exercises you have written
	$(BIN)/python -m pytest exercises

exercises: $(INSTALLED)  ## derive the exercises from the solutions, and from the chapters the appendices, the map, the tasks, the schedule and the films
	$(BIN)/python -m course_lib.grading.generate
	$(BIN)/python -m book.generated

benchmarks: $(INSTALLED)  ## measure what is missing in results/benchmarks beside other libraries
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[compare,fast]'
	$(BIN)/python -W ignore -m benchmarks

results: $(INSTALLED)  ## STUDY=name: run what is missing of results/name/study.toml [OPTIONS="--seeds 3 --steps 50000"]
	$(BIN)/python -m course_lib study results/$(STUDY)/study.toml $(OPTIONS)

tuning: $(INSTALLED)  ## run what is missing of results/tuning, and write results/tuning.md from it
	for name in ppo ppo_robust ppo_wide ppo_seeds trpo trpo_kl trpo_anneal npg ppo_penalty a2c reinforce; do \
		$(BIN)/python -m course_lib study results/tuning/$$name/study.toml --processes 1 || exit 1; \
	done
	$(BIN)/python -m course_lib.show.tuning_page results/tuning

films: $(INSTALLED)  ## make what is missing of results/films, and the page that shows them
	$(BIN)/python -m course_lib.show.films results/films
	$(BIN)/python -m book.generated

lint: $(INSTALLED)  ## check style, types, storeys, and that notebooks hold no outputs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/nbstripout --keep-id --verify chapters/*.ipynb exercises/*.ipynb solutions/*.ipynb

format: $(INSTALLED)  ## repair what make lint would complain of, where a machine can
	$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .
	$(BIN)/nbstripout --keep-id chapters/*.ipynb exercises/*.ipynb solutions/*.ipynb

repository: $(INSTALLED)  ## URL=https://github.com/you/trust-regions: set the address everywhere
	@$(BIN)/python -m book.repository "$(URL)"

clean:  ## remove everything that was built, but not .venv
	rm -rf _build .pytest_cache .ruff_cache .mypy_cache .hypothesis
