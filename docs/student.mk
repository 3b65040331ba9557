# make lab: the course in your browser. make check: which exercises are right. Both install the kit first.
PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
READY  := $(VENV)/.ready
UV_FLAGS ?=

.PHONY: lab check

lab: $(READY)
	JUPYTER_CONFIG_PATH="$(CURDIR)/configs/jupyter" PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(PY) -m jupyter lab notebooks/00_tour.ipynb

check: $(READY)
	$(PY) -m autograder assignments

$(READY): requirements.txt requirements.lock build-constraints.txt pyproject.toml
	$(PYTHON) -c "import sys; sys.version_info >= (3, 10) or sys.exit('error: Python ' + sys.version.split()[0] + ' is too old; install 3.10 or newer, or name one: make PYTHON=python3.11')"
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check uv==0.13.8
	$(PY) -m uv pip install --python $(PY) --compile-bytecode --build-constraints build-constraints.txt -c requirements.lock -r requirements.txt -e . $(UV_FLAGS)
	$(PY) -m idc.backbones.versions
	touch $(READY)
