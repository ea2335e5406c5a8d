# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Ids and texts equal to those of the Python library `tokenizers`, without a single difference."""

import json
import random

import pytest
import tokenizer_testing as cases
from rushlight import _native

from tokenizers import Regex, Tokenizer, pre_tokenizers


class Pair:
    """Our tokenizer and theirs, from one file."""

    def __init__(self, file: str):
        self.file = file.encode()
        self.ours = _native.Tokenizer(self.file)
        self.theirs = Tokenizer.from_str(file)
        self.theirs.no_truncation()
        self.theirs.no_padding()

    def check(self, texts, add_special=True):
        unique = list(dict.fromkeys(t if isinstance(t, str) else t.decode("utf-8", "replace")
                                    for t in texts))  # fmt: skip
        encodings = self.theirs.encode_batch(unique, add_special_tokens=add_special)
        expected = {text: e.ids for text, e in zip(unique, encodings, strict=True)}
        for text in texts:
            key = text if isinstance(text, str) else text.decode("utf-8", "replace")
            ids = self.ours.encode(text, add_special_tokens=add_special)
            assert ids == expected[key], f"{text!r}"
        for text in unique:
            for skip in (True, False):
                decoded = self.theirs.decode(expected[text], skip_special_tokens=skip)
                assert self.ours.decode(expected[text], skip) == decoded, f"{text!r}"


@pytest.fixture(scope="module", params=[*cases.REAL, *cases.TRAINED])
def pair(request):
    return Pair(cases.file(request.param))


@pytest.fixture
def rng():
    return random.Random(cases.SEED)


def test_vocabulary(pair):
    vocab = pair.theirs.get_vocab()
    assert pair.ours.vocab_size == max(vocab.values()) + 1
    for content, i in vocab.items():
        assert pair.ours.find_token(content) == i
        token = pair.theirs.get_added_tokens_decoder().get(i)
        assert pair.ours.is_special(i) == (token is not None and token.special)
    assert pair.ours.find_token("no such token") is None


def test_lines(pair):
    pair.check(cases.corpus()[::2])


def test_random_texts(pair, rng):
    pair.check(cases.random_texts(rng, 2000))
    pair.check(cases.random_texts(rng, 500), add_special=False)


def test_bad_utf8(pair, rng):
    pair.check(cases.random_byte_strings(rng, 1500))


def test_compiled(pair, rng):
    pair.ours = _native.Tokenizer.open(_native.compile_tokenizer(pair.file))
    test_vocabulary(pair)
    pair.check(cases.random_texts(rng, 500))
    pair.ours = _native.Tokenizer(pair.file)


def test_special_tokens_as_text(pair, rng):
    texts = cases.random_texts(rng, 500)
    pair.theirs.encode_special_tokens = True
    expected = [e.ids for e in pair.theirs.encode_batch(texts)]
    pair.theirs.encode_special_tokens = False
    for text, ids in zip(texts, expected, strict=True):
        assert pair.ours.encode(text, parse_special_tokens=False) == ids, f"{text!r}"


def test_random_ids(pair, rng):
    """Tokens in an order that no text makes, with ids that do not exist."""
    size = pair.ours.vocab_size
    for _ in range(500):
        ids = [rng.randrange(size + 2) for _ in range(rng.randrange(8))]
        for skip in (True, False):
            expected = pair.theirs.decode(ids, skip_special_tokens=skip)
            assert pair.ours.decode(ids, skip) == expected, ids


def test_stream(pair, rng):
    """A stream makes the same text as a whole, for tokens that make valid UTF-8."""
    per_token = {"WordPiece"} & {json.loads(pair.theirs.to_str())["model"]["type"]}
    if per_token or pair.theirs.decoder is None:
        pytest.skip("decodes the end of a text differently")
    last_differs = "BPEDecoder" in repr(pair.theirs.decoder)
    for text in cases.random_texts(rng, 300):
        ids = pair.ours.encode(text)
        stream = _native.StreamDecoder(pair.ours, skip_special=True)
        parts = [stream.add(i) for i in ids] + [stream.finish()]
        whole = pair.ours.decode(ids, True)
        assert "".join(parts).rstrip(" " * last_differs) == whole.rstrip(" " * last_differs), text
        assert all("\ufffd" not in p for p in parts) or "\ufffd" in whole


@pytest.mark.parametrize("name", ["smollm2", "minilm", "llama2"])
def test_all_short_byte_strings(name):
    Pair(cases.file(name)).check(cases.short_byte_strings())


@pytest.mark.parametrize("name", ["minilm", "smollm2", "nfkd", "o200k"])
def test_every_character(name):
    """Every assigned character, at the start of a word, in one and alone."""
    words = [f"{chr(c)}b a{chr(c)}b {chr(c)}" for c in range(0x110000) if cases.assigned(c)]
    Pair(cases.file(name)).check(["; ".join(words[i : i + 10]) for i in range(0, len(words), 10)])


def test_whisper_words():
    """The tokens that Whisper's file adds: languages, tasks, times."""
    text = "<|startoftranscript|><|en|><|transcribe|><|0.00|> Hello!<|2.40|><|endoftext|>"
    Pair(cases.file("whisper")).check([text])


# Patterns

ATOMS = ["a", "b", "c", "A", "é", "中", " ", r"\s", r"\d", r"\w", r"\S", r"\p{L}", r"\p{N}",
         r"\p{Lu}", "'", r"[^\s\p{L}]", "[a-c]", "[^a]", ".", r"\n", r"\.", "1", r"\W", r"\D",
         r"\h", r"\p{^L}", r"\P{N}", r"[\p{L}&&[^a-c]]", "[ab[cd]é]", r"\x41", r"\u00e9",
         r"\p{Han}", r"[^\p{L}\r\n]", "ſ", "k", r"[\p{Lu}]", "[[^a]b]", "[^[^a]b]", "[a-c&&[^B]]",
         r"[^\P{L}é]", "[a-]", "[-a]", r"[\w-]", "[]a]", "[a-c-é]", "[[:punct:]]",
         "[[:^space:]]"]  # fmt: skip
QUANTIFIERS = ["*", "+", "?", "*?", "+?", "??", "++", "*+", "?+", "{2}", "{1,2}", "{0,3}", "{,2}",
               "{2,}", "{1,3}?", "{2}?"]  # fmt: skip
GROUPS = ["(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:", "(", "(?:", "(?<name>"]


def random_pattern(rng, depth=0):
    kind = rng.random()
    if depth > 3 or kind < 0.35:
        return rng.choice(ATOMS)
    if kind < 0.55:
        return random_pattern(rng, depth + 1) + random_pattern(rng, depth + 1)
    if kind < 0.65:
        return random_pattern(rng, depth + 1) + "|" + random_pattern(rng, depth + 1)
    if kind < 0.85:
        body = random_pattern(rng, depth + 1)
        return (body if body in ATOMS else f"(?:{body})") + rng.choice(QUANTIFIERS)
    if kind < 0.92:
        return rng.choice(GROUPS) + random_pattern(rng, depth + 1) + ")"
    if kind < 0.96:
        return rng.choice(["^", "$", r"\b", r"\B", r"\A", r"\z", r"\Z"])
    return "(?i)" + random_pattern(rng, depth + 1)


def cut(pattern, text):
    """The pieces between the matches, and those together with the matches."""
    data = text.encode()
    between, isolated, end = [], [], 0
    for match in [*_native.regex_find_all(pattern, text), (len(data), len(data))]:
        between.append(data[end : match[0]])
        isolated += [data[end : match[0]], data[slice(*match)]]
        end = match[1]
    return [[p.decode() for p in pieces if p] for pieces in (between, isolated)]


def test_patterns(rng):
    """Random patterns match what Oniguruma matches."""
    alphabet = "abcABC  \n\t1234''.,!éẞ中文ſKkxyz\u3000\u00a0_-"
    compared = 0
    for _ in range(8000):
        pattern = random_pattern(rng)
        try:
            theirs = Regex(pattern)
            _native.regex_find_all(pattern, "")
        except Exception:  # one of the two refuses it
            continue
        for _ in range(3):
            text = "".join(rng.choices(alphabet, k=rng.randrange(1, 14)))
            expected = [[p for p, _ in pre_tokenizers.Split(theirs, b).pre_tokenize_str(text)]
                        for b in ("removed", "isolated")]  # fmt: skip
            assert cut(pattern, text) == expected, (pattern, text)
            compared += 1
    assert compared > 15000


def test_gpt2_pattern_is_the_hand_written_one(rng):
    tok = json.loads(cases.file("gpt2"))
    by_hand = _native.Tokenizer(json.dumps(tok).encode())
    tok["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [
            {
                "type": "Split",
                "pattern": {"Regex": cases.GPT2},
                "behavior": "Isolated",
                "invert": False,
            },
            {
                "type": "ByteLevel",
                "add_prefix_space": False,
                "trim_offsets": True,
                "use_regex": False,
            },
        ],
    }
    by_pattern = _native.Tokenizer(json.dumps(tok).encode())
    for text in cases.random_texts(rng, 5000) + cases.random_byte_strings(rng, 2000):
        assert by_hand.encode(text) == by_pattern.encode(text), f"{text!r}"


def test_long_texts(pair):
    """A megabyte of anything: equal on a part, and no limit is met."""
    for unit in (
        "a",
        " ",
        "ab",
        "A",
        "1",
        "'",
        "中",
        "\n",
        " \n",
        "e\u0301",
        "🙂",
        "don't ",
        "<mask>",
    ):
        part = unit * (3000 // len(unit))
        pair.check([part, part + "x", "x" + part])
        pair.ours.encode(unit * (1_000_000 // len(unit.encode())))
