# Everything from a clean clone: `make demo` and `make test` set up .venv by themselves.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test fuzz lint docs clean help
.DELETE_ON_ERROR:

help:  ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: $(VENV)/.demo  ## render a drive, run the six nodes on it over ROS 2, open the report
	@$(BIN)/perception demo --overwrite

test: $(VENV)/.test  ## the whole suite, two files at a time; every process has its own DDS domain
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

fuzz: $(VENV)/.test  ## damaged inputs of every kind, N each (make fuzz N=600)
	@PERCEPTION_FUZZ=$(or $(N),600) $(BIN)/python -m pytest test/fuzz -s

lint: $(VENV)/.test  ## ruff, mypy, and who may import whom
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

docs: $(VENV)/.test  ## what is written from the code: docs/metrics.md, docs/tasks.md, config/*.yaml
	@$(BIN)/python -m perception_nodes.evaluation.metrics_document docs/metrics.md
	@$(BIN)/python -m perception_nodes.pipelines.tasks.describe docs/tasks.md
	@$(BIN)/python -m perception_nodes.ros.tools.parameter_files config

clean:  ## forget the environment and what was built
	rm -rf $(VENV) build install log runs demo *.egg-info

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	  || { echo 'perception_nodes needs Python 3.10 or newer: make PYTHON=python3.12 ...'; exit 2; }
	@echo 'setting up $(VENV) ...'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: setup.py setup.cfg | $(BIN)/python
	@echo 'installing what the demo needs ...'
	@$(PIP) 'setuptools<80' wheel && $(PIP) -e '.[ros]'
	@touch $@

$(VENV)/.test: $(VENV)/.demo
	@echo 'installing what the tests need ...'
	@$(PIP) -e '.[ros,train,tensorrt,openvino,dev]'
	@touch $@
