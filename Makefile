# Each target installs what it still needs: Debian packages through apt, Python packages into
# .venv. The second time only what changed is rebuilt.

VENV ?= .venv
PYTHON3 ?= python3
BUILD := build/release
STAMPS := $(VENV)/.stamps
VENV_BIN := $(abspath $(VENV))/bin

DEBIAN_PACKAGES := g++ cmake ninja-build ccache pkg-config libeigen3-dev libspectra-dev libfaiss-dev \
  libopenblas-dev nlohmann-json3-dev libgtest-dev libbenchmark-dev python3-dev python3-venv

# Of `make serve` alone.
SERVE_PACKAGES := libboost-dev libcli11-dev

SOURCES := CMakeLists.txt pyproject.toml \
  $(shell find cmake include src python -type f ! -path '*/__pycache__/*')
CPP_FILES = $(shell find include src python tests benchmarks examples -name '*.[ch]pp')
PYTHON_FILES := python tests benchmarks examples

export PIP_DISABLE_PIP_VERSION_CHECK := 1

# One name for the compiler of the library and of the package, which Python would choose for
# itself: what both compile, a compiler cache then compiles once.
ifeq ($(origin CXX),default)
CXX := c++
endif
export CXX

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-cpp test-python test-levels bench serve load-test lint format clean

help: ## show the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | \
	  column -t -s '|' 2>/dev/null || grep '##' $(firstword $(MAKEFILE_LIST))

demo: $(STAMPS)/package ## simulated card payments, the whole job, ecseq-demo/report.html
	$(VENV_BIN)/ecseq demo

test: test-cpp test-python ## all tests: C++ (ctest), then Python (pytest)

# In this order also under `make -j`: the output ends with pytest's summary.
test-python: test-cpp $(STAMPS)/package ## the Python tests, after the C++ tests
	$(VENV_BIN)/python -m pytest tests/python

test-cpp: $(STAMPS)/debian ## the C++ tests and the tests of the installed package
	$(configure)
	cmake --build --preset release
	ctest --preset release --output-on-failure

test-levels: $(STAMPS)/venv ## the Python tests at each level of the package as pip builds it (slow)
	$(call install_package,auto)
	@touch $(STAMPS)/package
	@set -e; for level in $$($(VENV_BIN)/python -c \
	  "import ecseq; print(*ecseq.cpu_info()['available'])"); do \
	  echo "== ECSEQ_ISA=$$level"; ECSEQ_ISA=$$level $(VENV_BIN)/python -m pytest tests/python; done

bench: $(STAMPS)/debian ## build the benchmarks and run each
	$(configure)
	cmake --build --preset release
	@set -e; for program in $$(find $(BUILD)/benchmarks -maxdepth 1 -type f -perm -u+x | sort); do \
	  echo "== $$program"; "$$program"; done

serve: $(STAMPS)/serve ## build the HTTP service and its load test, docs/serving-http.md
	$(configure) -DECSEQ_BUILD_SERVE=ON
	cmake --build --preset release --target ecseq_serve ecseq_load_test

# LOAD: options of the load test, such as "--rate 40000 --seconds 600".
load-test: serve $(BUILD)/load-model.ecseq ## the service under load: 20,000 events/s over loopback
	examples/serve/load_test.sh $(BUILD)/examples/serve $(BUILD)/load-model.ecseq $(LOAD)

$(BUILD)/load-model.ecseq: examples/serve/load_model.py | $(STAMPS)/package
	$(VENV_BIN)/python $< $@

lint: $(STAMPS)/lint ## formatting, ruff, mypy; changes nothing
	@echo $(CPP_FILES) | xargs $(VENV_BIN)/clang-format --dry-run -Werror
	$(VENV_BIN)/ruff check $(PYTHON_FILES)
	$(VENV_BIN)/ruff format --check $(PYTHON_FILES)
	$(VENV_BIN)/mypy

format: $(STAMPS)/lint ## rewrite the sources as `make lint` wants them
	@echo $(CPP_FILES) | xargs $(VENV_BIN)/clang-format -i
	$(VENV_BIN)/ruff check --fix $(PYTHON_FILES)
	$(VENV_BIN)/ruff format $(PYTHON_FILES)

clean: ## remove what these targets made, .venv included
	rm -rf $(BUILD) build/python $(VENV) ecseq-demo .mypy_cache .pytest_cache .ruff_cache

launcher = $(if $(shell command -v ccache),-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
configure = cmake --preset release $(launcher)

# Debian packages: only those missing, with sudo where we are not root. Elsewhere than on Debian
# the list is shown, and the compiler will tell what is not there.
$(STAMPS)/debian: PACKAGES = $(DEBIAN_PACKAGES)
$(STAMPS)/serve: PACKAGES = $(SERVE_PACKAGES)
$(STAMPS)/serve: $(STAMPS)/debian
$(STAMPS)/debian $(STAMPS)/serve: Makefile
	@if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then \
	  echo "Not a Debian system. Needed, by Debian's names: $(PACKAGES)"; \
	else \
	  missing=""; for package in $(PACKAGES); do \
	    dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'ok installed' \
	      || missing="$$missing $$package"; \
	  done; \
	  if [ -n "$$missing" ]; then \
	    if [ "$$(id -u)" = 0 ]; then root=""; \
	    elif command -v sudo >/dev/null; then root=sudo; \
	    else \
	      echo "Missing Debian packages, and neither root nor sudo to install them. Run as root:" >&2; \
	      echo "  apt-get install$$missing" >&2; exit 1; \
	    fi; \
	    echo "Installing:$$missing"; \
	    $$root apt-get update -q && \
	    $$root env DEBIAN_FRONTEND=noninteractive \
	      apt-get install -q -y --no-install-recommends $$missing || exit 1; \
	  fi; \
	fi
	@mkdir -p $(@D) && touch $@

# The tools that build the package live in .venv too: an isolated build would compile everything
# again each time, for its paths change.
$(STAMPS)/venv: $(STAMPS)/debian
	$(PYTHON3) -m venv $(VENV)
	$(VENV_BIN)/pip install -q --upgrade 'pip>=25.1' 'scikit-build-core>=0.10' 'pybind11>=2.11'
	@touch $@

# $(1): levels, python/CMakeLists.txt. A .venv is for the machine it is on.
install_package = $(if $(shell command -v ccache),CMAKE_CXX_COMPILER_LAUNCHER=ccache) \
  $(VENV_BIN)/pip install -q --no-build-isolation -C build-dir=build/python \
  -C cmake.define.ECSEQ_PYTHON_LEVELS=$(1) '.[test]'

$(STAMPS)/package: $(STAMPS)/venv $(SOURCES)
	@echo "Compiling the package: some minutes, the first time."
	$(call install_package,native)
	@touch $@

$(STAMPS)/lint: $(STAMPS)/venv pyproject.toml
	$(VENV_BIN)/pip install -q --group lint
	@touch $@
