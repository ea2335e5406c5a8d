# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Generation and conversations, with a model that is a table: what follows depends on the last token
and on how many came before it, so that a wrong position shows."""

import json

import pytest
import rushlight
import torch
from rushlight import _native
from torch.export import Dim

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

WORDS = ["<s>", "</s>", "<user>", "<bot>", "<sys>", *(f"w{i}" for i in range(27))]
VOCAB, CONTEXT = len(WORDS), 40
EOS = 1


class Table(torch.nn.Module):
    """Logits that say: the sum of all tokens so far, and never a marker."""

    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(CONTEXT, dtype=torch.int64))

    def forward(self, tokens, positions):
        self.seen.index_copy_(0, positions, tokens[0])
        before = torch.arange(CONTEXT)[None, :] <= positions[:, None]
        total = (self.seen[None, :] * before).sum(1)
        follows = 5 + total % (VOCAB - 5)
        follows = torch.where(total % 13 == 0, EOS, follows)
        return torch.nn.functional.one_hot(follows, VOCAB).to(torch.float32)[None]


def expected(prompt: list[int], count: int = 1000) -> list[int]:
    """What the model generates, up to the end token or the end of the context."""
    ids = list(prompt)
    while len(ids) - len(prompt) < count and len(ids) <= CONTEXT:
        total = sum(ids)
        ids.append(EOS if total % 13 == 0 else 5 + total % (VOCAB - 5))
        if ids[-1] == EOS:
            break
    return ids[len(prompt) :]


TEMPLATE = """{{ bos_token }}{% for m in messages %}
{%- if m.role == 'user' and m.content == 'w26' %}{{ raise_exception('not that word') }}{% endif %}
{{- ' <' + {'user': 'user', 'assistant': 'bot', 'system': 'sys'}[m.role] + '> ' + m.content }}
{%- endfor %}{% if add_generation_prompt %} <bot>{% endif %}"""


def tokenizer_json() -> bytes:
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(WORDS)}, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(WORDS[:5])
    return tokenizer.to_str().encode()


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    def make(name, max_seq_len, template=True, tokenizer="rushlight.tokenizer"):
        n = Dim("n", min=1, max=max_seq_len)
        example = (torch.zeros(1, 2, dtype=torch.int64), torch.arange(2))
        exported = torch.export.export(
            Table(), example, dynamic_shapes={"tokens": {1: n}, "positions": {0: n}}
        )
        data = {"rushlight.tokenizer_config.json": json.dumps({"bos_token": {"content": "<s>"}}).encode()}
        if tokenizer == "rushlight.tokenizer":
            data[tokenizer] = _native.compile_tokenizer(tokenizer_json())
        elif tokenizer is not None:
            data[tokenizer] = tokenizer_json()
        if template:
            data["rushlight.chat_template.jinja"] = TEMPLATE.encode()
        manager = rushlight.to_edge_transform_and_lower(
            exported,
            constant_methods={
                "get_max_context_len": CONTEXT,
                "get_max_seq_len": max_seq_len,
                "get_eos_ids": [EOS],
                "get_vocab_size": VOCAB,
            },
            named_data=data,
        )
        path = tmp_path_factory.mktemp("chat") / f"{name}.pte"
        manager.to_executorch().save(str(path))
        return str(path)

    return make


@pytest.fixture(scope="module")
def engine(program):
    return _native.Engine.load(program("table", 8))


def test_info(engine):
    assert engine.info["max_context_len"] == CONTEXT
    assert engine.info["max_seq_len"] == 8
    assert engine.info["eos_ids"] == [EOS]


@pytest.mark.parametrize("prompt", ([7], [5, 6, 7], list(range(5, 25)), [9] * CONTEXT))
def test_generate(engine, prompt):
    result = engine.session().generate(prompt, max_new_tokens=1000)
    assert result["ids"] == expected(prompt)
    ended = "end_of_text" if result["ids"][-1] == EOS else "context_full"
    assert result["stopped"] == ended
    assert result["prompt_tokens"] == len(prompt)


def test_limits(engine):
    session = engine.session()
    result = session.generate([6, 7], max_new_tokens=3, ignore_eos=True)
    assert len(result["ids"]) == 3 and result["stopped"] == "max_tokens"
    assert session.position == 4  # the last one was not fed
    with pytest.raises(_native.Error, match="context is full"):
        session.feed([5] * CONTEXT)
    assert session.position == 4
    with pytest.raises(_native.Error, match="out of range"):
        session.feed([VOCAB])
    with pytest.raises(_native.Error, match="out of range"):
        session.rewind(5)


def test_sessions_together_are_as_alone(engine):
    prompts = [[5, 6, 7], list(range(5, 25)), [9]]  # one takes three calls
    alone = [engine.session().feed(p) for p in prompts]
    together = engine.feed_together([engine.session() for _ in prompts], prompts)
    assert together.shape == (3, VOCAB)
    for one, row in zip(alone, together, strict=True):
        assert (one == row).all()
    session = engine.session()
    with pytest.raises(ValueError, match="a session twice"):
        engine.feed_together([session, session], [[5], [5]])
    with pytest.raises(ValueError, match="1 sessions, but 2"):
        engine.feed_together([session], [[5], [5]])
    with pytest.raises(ValueError, match="no tokens"):
        session.feed([])
    assert engine.feed_together([], []).shape == (0, VOCAB)


def test_fork_and_save(engine):
    session = engine.session()
    session.feed([5, 6, 7])
    other, saved = session.fork(), session.save()
    session.feed([8])
    assert other.position == 3
    assert other.generate([9], max_new_tokens=5)["ids"] == expected([5, 6, 7, 9], 5)
    restored = engine.restore(saved)
    assert restored.position == 3
    assert restored.generate([9], max_new_tokens=5)["ids"] == expected([5, 6, 7, 9], 5)


def test_saved_states_are_checked(engine, program):
    session = engine.session()
    session.feed([5, 6, 7])
    saved = session.save()
    for end in range(len(saved)):
        with pytest.raises(_native.Error):
            engine.restore(saved[:end])
    with pytest.raises(_native.Error, match="not what it should be"):
        engine.restore(saved + b"x")
    with pytest.raises(_native.Error, match="another program"):
        _native.Engine.load(program("other", 9)).restore(saved)
    for i in range(8, len(saved)):
        try:
            engine.restore(saved[:i] + bytes([saved[i] ^ 0xFF]) + saved[i + 1 :])
        except _native.Error:
            pass


def test_rewind(engine):
    session = engine.session()
    session.feed([5, 6, 7, 8])
    session.rewind(2)
    assert session.generate([9], max_new_tokens=5)["ids"] == expected([5, 6, 9], 5)


def test_stop_strings_and_streaming(engine):
    whole = engine.session().generate([6, 7], max_new_tokens=6, ignore_eos=True)
    text = whole["text"].decode()
    words = [WORDS[i] for i in whole["ids"] if i >= 5]
    assert text == "".join(words)
    shown = []
    stop = words[2] + words[3][:2]  # over the border of two tokens
    result = engine.session().generate(
        [6, 7], 6, True, [stop], on_token=lambda i, t: shown.append(t.decode()) or True
    )
    assert result["stopped"] == "stop_string"
    assert result["text"].decode() == "".join(shown) == text[: text.index(stop)]
    result = engine.session().generate([6, 7], 6, True, on_token=lambda i, t: False)
    assert result["stopped"] == "cancelled" and len(result["ids"]) == 1


def encode(*words):
    return [WORDS.index(w) for w in words]


def text(ids):
    return "".join(WORDS[i] for i in ids if i >= 5)


def test_conversation(engine):
    chat = _native.Chat(engine, "w1")
    first = chat.send("w3 w4")
    prompt = encode("<s>", "<sys>", "w1", "<user>", "w3", "w4", "<bot>")
    assert first["ids"] == expected(prompt)
    assert first["text"].decode() == text(first["ids"])
    assert first["prompt_tokens"] == len(prompt)
    assert [m["content"] for m in chat.messages] == [b"w1", b"w3 w4", first["text"]]
    chat.reset()
    assert [m["role"] for m in chat.messages] == ["system"]
    # What it has seen is not computed again: all but the last token of the same prompt.
    again = chat.send("w3 w4")
    assert again["ids"] == first["ids"] and again["prompt_tokens"] == 1
    chat.reset()
    other = chat.send("w3 w5")
    assert other["prompt_tokens"] == 2
    assert other["ids"] == expected(prompt[:5] + encode("w5", "<bot>"))


def test_refusal_leaves_the_conversation(engine):
    chat = _native.Chat(engine)
    chat.send("w1", max_new_tokens=1)
    before = chat.messages
    with pytest.raises(_native.Error, match="refused"):
        chat.send("w26")
    assert chat.refusal == "not that word"
    assert chat.messages == before
    with pytest.raises(_native.Error, match="context is full"):
        chat.send("w1 " * 50)
    assert chat.messages == before and chat.forgotten == 0
    assert chat.send("w2", max_new_tokens=1)["ids"]


def test_oldest_messages_are_forgotten(engine):
    chat = _native.Chat(engine, "w1")
    for i in range(20):
        question = f"w{i} " * 6
        answer = chat.send(question, max_new_tokens=3)
        kept = chat.messages[1:-1]  # behind the system's, before the answer
        prompt = encode("<s>", "<sys>", "w1")
        for m in kept:
            prompt += encode("<user>" if m["role"] == "user" else "<bot>")
            prompt += [WORDS.index(w) if w in WORDS else 5 for w in m["content"].decode().split()]
        prompt += encode("<bot>")
        assert len(prompt) + 3 <= CONTEXT
        assert answer["ids"] == expected(prompt, 3)
    assert chat.forgotten > 0 and chat.forgotten % 2 == 0
    assert chat.messages[0]["content"] == b"w1"


def test_without_a_template(program):
    chat = _native.Chat(
        _native.Engine.load(program("plain", 8, template=False, tokenizer="rushlight.tokenizer.json"))
    )
    assert chat.send("w3 w4", max_new_tokens=2)["ids"] == expected(encode("w3", "w4"), 2)


def test_without_a_tokenizer(program):
    engine = _native.Engine.load(program("silent", 8, tokenizer=None))
    with pytest.raises(_native.Error, match="no tokenizer"):
        _native.Chat(engine)


def test_one_token_a_call(program):
    engine = _native.Engine.load(program("narrow", 2))
    assert engine.session().generate([5, 6, 7], 4, True)["ids"] == expected([5, 6, 7], 4)[:4]
