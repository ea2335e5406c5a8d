# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What bench/peers computes, and its protocol with an engine made for the test.  No time is asserted."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from adapter import Encoder, Scorer, log_softmax
from child import Child
from summary import Spread, ratios, table, turns

ENGINE = '''
import sys
sys.path.insert(0, {folder!r})
import numpy as np
from adapter import serve

class Engine:
    """Expects the sum of all tokens so far, modulo 10."""
    name = "sum"

    def __init__(self, model, threads):
        print("libraries print")
        self.tokens = []

    def feed(self, tokens):
        self.tokens += tokens
        return np.eye(10, dtype=np.float32)[sum(self.tokens) % 10] * 5

    def rewind(self, position):
        del self.tokens[position:]

serve(Engine)
'''


@pytest.fixture
def child(tmp_path):
    script = tmp_path / "engine.py"
    script.write_text(ENGINE.format(folder=str(Path(__file__).parent)))
    with Child([sys.executable, script, json.dumps({"model": "", "threads": 1})], {}) as child:
        yield child


def test_turns_go_forward_and_back():
    assert [list(t) for t in turns(3, 2)] == [[0, 1, 2], [2, 1, 0]] * 2


def test_ratios_pair_runs_of_one_pass():
    assert ratios([2.0, 20.0, 6.0], [1.0, 10.0, 2.0]) == Spread(2.0, 2.0, 2.5)
    with pytest.raises(ValueError):
        ratios([1.0], [1.0, 2.0])


def test_one_run_has_no_spread():
    assert Spread.of([3.0]) == Spread(3.0, 3.0, 3.0)


def test_table_is_aligned():
    assert table([["a", "bb"], ["ccc", "d"]]) == "| a   | bb |\n| --- | -- |\n| ccc | d  |"


def test_decoding_continues_the_context_and_can_be_repeated(child):
    for _ in range(2):
        assert child.ask(op="decode", tokens=[1, 2, 4], n=3)["ids"] == [7, 4, 8]
    assert child.ask(op="decode", tokens=[3], n=1)["ids"] == [3]
    assert child.ask(op="decode", tokens=[9, 2, 4], n=1)["ids"] == [5]


def test_prefill_starts_empty(child):
    for _ in range(2):
        assert child.ask(op="prefill", tokens=[5, 6])["id"] == 1


def test_surprise_is_the_mean_of_negative_log_probabilities(child):
    right = child.ask(op="surprise", tokens=[1, 1, 2])["nats"]
    assert right == pytest.approx(0.0589, abs=1e-4)  # log(1 + 9 exp(-5))
    assert child.ask(op="surprise", tokens=[1, 2])["nats"] == pytest.approx(right + 5)


def test_memory_and_disturbances_are_reported(child):
    assert child.ask(op="memory")["peak"] >= child.ready["before"] > 0
    assert child.disturbances[0].cpu_seconds >= 0 and child.disturbances[0].seconds > 0


def test_an_engine_that_ends_is_an_error(child):
    with pytest.raises(RuntimeError, match="ended"):
        child.ask(op="decode", tokens=[], n=1)


def test_an_encoder_is_timed_and_compared(tmp_path):
    class Doubles:
        def run(self, inputs):
            return 2 * inputs[0]

    case = str(tmp_path / "case.npz")
    first = np.array([[1.0, 0.0]], np.float32)
    np.savez(case, input0=np.stack([first, 3 * first]), output=np.array([[3.0, 4.0]], np.float32))
    server = Encoder(Doubles())
    assert server.agree(case)["cosine"] == pytest.approx(0.6)
    assert server.encode(case, seconds=0)["seconds"] > 0


def test_scores_are_sums_over_the_tokens_that_have_a_next_one(tmp_path):
    class Sure:
        """Of the token behind each, with the odds of e to 1 against each of two others."""

        def logits(self, tokens):
            return np.eye(3, dtype=np.float32)[[*tokens[1:], 0]]

    original = str(tmp_path / "original.npy")
    same = np.stack([log_softmax(np.eye(3)[1]), log_softmax(np.eye(3)[2])])
    np.save(original, same)
    score = Scorer(Sure()).score([0, 1, 2], original)
    assert score["divergence"] == pytest.approx(0, abs=1e-12) and score["agreements"] == 2
    assert score["surprise"] == pytest.approx(2 * np.log(1 + 2 / np.e))
    np.save(original, same[::-1])
    score = Scorer(Sure()).score([0, 1, 2], original)
    # Each time e and 1 change their places: (e - 1) / (e + 2) times a difference of 1.
    assert score["divergence"] == pytest.approx(2 * (np.e - 1) / (np.e + 2)) and score["agreements"] == 0
