# The course's commands: `make help` lists them. Each does its own set-up once; later calls start at once.
PYTHON ?= python3.11
VENV := .venv
CURRENT := .venv-current
BOOK := .venv-book
SETTINGS := $(wildcard notebooks/*-settings.json)
PORT ?= 8888
PYTEST_OPTIONS ?= -q -n 2 --dist loadfile
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help lab setup serve class-check lint test test-current notebooks book mutants pretrained scores bench lock clean

help: ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

lab: setup ## open JupyterLab on lesson 1
	$(VENV)/bin/jupyter lab --ServerApp.root_dir=. notebooks/01_dataset.ipynb

serve: setup ## run JupyterLab for others: INTERFACE=name or address [PORT=] [CERTIFICATE= KEY=]; PASSWORD from the environment or generated
	$(VENV)/bin/python tools/serve.py --interface "$(INTERFACE)" --port $(PORT) \
		$(if $(CERTIFICATE),--certificate "$(CERTIFICATE)") $(if $(KEY),--key "$(KEY)")

class-check: setup ## before a class: fetch everything and list what is missing
	$(VENV)/bin/python tools/class_check.py --port $(PORT) $(if $(DATASETS),--datasets $(DATASETS))

setup: $(VENV)/.done ## install the pinned environment (GPU=1: with TensorFlow's CUDA libraries)
ifdef GPU
	$(VENV)/bin/pip install 'tensorflow[and-cuda]==2.15.1'
endif

$(VENV)/.done: requirements.lock pyproject.toml $(SETTINGS)
	$(call install,$(VENV),requirements.lock)

$(CURRENT)/.done: requirements-current.lock pyproject.toml $(SETTINGS)
	$(call install,$(CURRENT),requirements-current.lock)

$(BOOK)/.done: requirements-book.lock
	$(PYTHON) -m venv $(BOOK)
	$(BOOK)/bin/pip install --quiet --require-hashes -r requirements-book.lock
	touch $@

define install
	$(PYTHON) -m venv $(1)
	$(1)/bin/pip install --quiet --require-hashes -r $(2)
	$(1)/bin/pip install --quiet --no-deps --no-build-isolation --editable .
	mkdir -p $(1)/share/jupyter/lab/settings
	cp notebooks/jupyterlab-settings.json $(1)/share/jupyter/lab/settings/overrides.json
	mkdir -p $(1)/etc/ipython
	cp notebooks/kernel-settings.json $(1)/etc/ipython/ipython_kernel_config.json
	mkdir -p $(1)/etc/jupyter
	cp notebooks/server-settings.json $(1)/etc/jupyter/jupyter_server_config.json
	touch $@
endef

lint: setup ## check code style, and that the notebooks match their sources
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/python notebooks/generate.py --check

test: lint ## run every test: lint, lessons (students' and solved), unit tests
	$(call run_tests,$(VENV))

test-current: $(CURRENT)/.done ## run the same tests on current TensorFlow, without tensorflow-addons
	$(call run_tests,$(CURRENT))

define run_tests
	rm -rf runs/*-smoke
	LAB_PROFILE=smoke LAB_STRICT=unsolved $(1)/bin/python -m pytest $(PYTEST_OPTIONS) --nbval --nbval-current-env notebooks/*.ipynb
	LAB_PROFILE=smoke LAB_STRICT=1 $(1)/bin/python -m pytest $(PYTEST_OPTIONS) --nbval --nbval-current-env notebooks/solutions
	$(1)/bin/python -m pytest $(PYTEST_OPTIONS) tests --ignore tests/test_endurance.py
	$(1)/bin/python -m pytest -q -s tests/test_endurance.py
endef

notebooks: setup ## regenerate the notebooks from notebooks/sources
	$(VENV)/bin/python notebooks/generate.py

book: setup $(BOOK)/.done ## build the course as a site with executed lessons: build/book/_build/html/index.html [LESSONS=01_dataset]
	LAB_STRICT=1 $(VENV)/bin/python tools/book.py $(LESSONS)
	$(BOOK)/bin/jupyter-book build build/book --all --warningiserror --keep-going
	$(VENV)/bin/python tools/book.py --check

mutants: setup ## break a copy of the helpers in one way at a time; a test and a lesson must notice each
	$(VENV)/bin/python tests/mutants.py

pretrained: setup ## train the shipped generators again (hours; resumes after an interruption)
	$(VENV)/bin/python benchmarks/pretrained.py

scores: setup ## measure the shipped generators again and compare with their cards
	$(VENV)/bin/python benchmarks/scores.py --check

bench: setup ## measure speed and memory side by side (three hours); tables in benchmarks/README.md
	$(VENV)/bin/python benchmarks/pipeline.py
	$(VENV)/bin/python benchmarks/style.py
	$(VENV)/bin/python benchmarks/style.py --write
	$(VENV)/bin/python benchmarks/step.py
	$(VENV)/bin/python benchmarks/step.py --write
	$(VENV)/bin/python benchmarks/where.py
	$(VENV)/bin/python benchmarks/where.py --write
	$(VENV)/bin/python benchmarks/time_to_quality.py
	$(VENV)/bin/python benchmarks/time_to_quality.py --write

lock: ## resolve the dependencies again (needs uv)
	$(call compile,pyproject.toml --extra pinned --extra test,requirements.lock)
	$(call compile,pyproject.toml --extra current --extra test,requirements-current.lock)
	$(call compile,--group pyproject.toml:book,requirements-book.lock)

define compile
	uv pip compile $(1) --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--no-emit-index-url --no-emit-find-links -o $(2)
endef

clean: ## remove environments, runs and caches; data/ is kept
	rm -rf $(VENV) $(CURRENT) $(BOOK) runs build *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
