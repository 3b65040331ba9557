# Every target is a few lines that anyone could type; README.md lists the same steps for systems without make.
PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
READY  := $(VENV)/.ready
UV     := 0.13.8
# Extra flags for uv, e.g. UV_FLAGS=--torch-backend=cpu for the smaller CPU build of torch on Linux.
UV_FLAGS ?=

.PHONY: demo app test lab release assignments grade bench lint bundled clean

demo: $(READY)
	$(PY) -m idc.demo

# A page to try captioners on; RUNS="runs/demo …" offers trained ones beside the bundled checkpoint.
app: $(READY)
	$(PY) -m idc.app $(if $(RUNS),--run $(RUNS))

test: $(READY)
	$(PY) -m pytest -n 2

# The course in your browser, nbgrader's menu included; nbgrader calls programs of its own, hence the path.
lab: $(READY)
	JUPYTER_CONFIG_PATH="$(CURDIR)/configs/jupyter" PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(PY) -m jupyter lab notebooks/00_tour.ipynb

# What students get, from solutions/; then as an archive with stubs for the library's pieces.
assignments: $(READY)
	for set in solutions/*/; do PATH="$(CURDIR)/$(VENV)/bin:$$PATH" nbgrader generate_assignment "$$(basename $$set)" --force --create || exit 1; done

release: $(READY)
	$(PY) -m autograder.release

# A class of 30 that never was, graded behind the wall as a real one would be; ends in the class report.
grade: $(READY)
	test -d runs/grade/submitted || { rm -rf runs/grade/making && $(PY) -m autograder.classroom runs/grade/making --students 30 && mv runs/grade/making runs/grade/submitted; }
	$(PY) -m autograder grade runs/grade/submitted --out runs/grade/grades --sets ps1,ps2,ps3,ps4,ps5 --jobs 2 --open

# Small sizes against the committed ratios; RELEASED=path of a checkout of the released code adds its comparisons.
bench: $(READY)
	$(PY) -m benchmarks --check $(if $(RELEASED),--released $(RELEASED))

lint: $(READY)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

$(READY): requirements.txt requirements.lock build-constraints.txt pyproject.toml
	$(PYTHON) -c "import sys; sys.version_info >= (3, 10) or sys.exit('error: Python ' + sys.version.split()[0] + ' is too old; install 3.10 or newer, or name one: make PYTHON=python3.11')"
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check uv==$(UV)
	$(PY) -m uv pip install --python $(PY) --compile-bytecode --build-constraints build-constraints.txt -c requirements.lock -r requirements.txt -e . $(UV_FLAGS)
	$(PY) -m compileall -q idc
	$(PY) -m idc.backbones.versions
	touch $(READY)

# How the bundled backbone, checkpoint and small CLIP were made; takes hours on two cores.
bundled: $(READY)
	$(PY) data_scripts/render_world.py --out data/bundled --scenes 6000 --seed 1000 --splits 5200,200,600
	$(PY) data_scripts/preprocess_captions.py --root data/bundled
	$(PY) data_scripts/train_backbone.py --root data/bundled --out idc/assets --bf16 --epochs 5
	$(PY) data_scripts/extract_features.py --root data/bundled --backbone rendered
	$(PY) -m idc.train --cfg configs/scorer_cbr/bundled.yaml
	$(PY) -m idc.test --run runs/bundled --snapshot best --out runs/bundled/results
	$(PY) -m idc.evaluate --results runs/bundled/results --anno data/bundled --out runs/bundled/metrics.json
	$(PY) data_scripts/bundle_checkpoint.py --run runs/bundled
	$(PY) data_scripts/train_clip.py --root data/bundled --steps 3000
	cp data/bundled/clip_seed0.safetensors idc/assets/clip_rendered.safetensors
	$(PY) -m benchmarks.tables

clean:
	rm -rf runs data build dist
