# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Chat templates render byte for byte as in transformers.

testdata/*.jinja are templates in the style of well-known model families; testdata/expressions.txt
has one template a line, among them what must fail.
"""

import datetime
import json
import pathlib
import random

import pytest
from rushlight import _native
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

from tokenizers import Tokenizer, models

TESTDATA = pathlib.Path(__file__).parent / "testdata"
TEMPLATES = sorted(p.stem for p in TESTDATA.glob("*.jinja"))
EXPRESSIONS = [e for e in (TESTDATA / "expressions.txt").read_text().split("\n") if e]

NOW = 1_790_000_000
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
RAISED = 0x1300 + 3  # Reason::kTemplateRaised


class FixedClock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(NOW, tz)


@pytest.fixture(autouse=True)
def fixed_clock(monkeypatch):
    monkeypatch.setattr(chat_template_utils, "datetime", FixedClock)


def read(name: str) -> str:
    return (TESTDATA / f"{name}.jinja").read_text()


class Failed(Exception):
    """Rendering failed; args: what raise_exception was called with, or None."""


def theirs(source, messages, tools=None, add_generation_prompt=False, **variables):
    try:
        template = chat_template_utils._compile_jinja_template(source)
        return template.render(messages=messages, tools=tools, documents=None,
                               add_generation_prompt=add_generation_prompt,
                               **variables)  # fmt: skip
    except Exception as e:
        raised = type(e).__name__ == "TemplateError"
        raise Failed(raised) from e


def ours(source, messages, tools=None, add_generation_prompt=False, **variables):
    tokens = {k: variables.pop(k) for k in ("bos_token", "eos_token") if k in variables}
    try:
        template = _native.ChatTemplate(source)
        return template.render(json.dumps(messages), tools=json.dumps(tools), now=NOW,
                               add_generation_prompt=add_generation_prompt,
                               variables=json.dumps(variables), **tokens)  # fmt: skip
    except _native.Error as e:
        assert e.code == "TemplateInvalid", e
        raise Failed(e.reason == RAISED) from e


def outcome(render, *args, **kwargs):
    try:
        return render(*args, **kwargs)
    except Failed as e:
        return e.args


def call(name, arguments, call_id="abcdef123", **more):
    function = {"name": name, "arguments": arguments}
    return {"type": "function", "id": call_id, "function": function} | more


def chat(*pairs, **last):
    messages = [{"role": role, "content": content} for role, content in pairs]
    messages[-1] |= last
    return messages


USER, ASSISTANT, SYSTEM, TOOL = "user", "assistant", "system", "tool"
CONVERSATIONS = {
    "one": chat((USER, "Hello!")),
    "answered": chat((USER, "Hi"), (ASSISTANT, "Hello. How can I help?")),
    "turns": chat((USER, "a"), (ASSISTANT, "b"), (USER, "c"), (ASSISTANT, "d"), (USER, "e")),
    "system": chat((SYSTEM, "Be brief."), (USER, "What is 2+2?")),
    "system_turns": chat((SYSTEM, " Speak French. "), (USER, "Hi "), (ASSISTANT, " Salut"),
                         (USER, "x")),
    "late_system": chat((USER, "Hi"), (SYSTEM, "Now be rude."), (USER, "Hi again")),
    "two_users": chat((USER, "first"), (USER, "second")),
    "assistant_first": chat((ASSISTANT, "I begin."), (USER, "ok")),
    "empty": [],
    "empty_content": chat((SYSTEM, ""), (USER, ""), (ASSISTANT, "")),
    "none_content": chat((USER, "x"), (ASSISTANT, None)),
    "unicode": chat((USER, "Grüße 你好 🙂 \u200b\u0301 ﬁ ẞ İ"), (ASSISTANT, "naïve — „quoted“ …")),
    "spaces": chat((SYSTEM, "\n\t x \n"), (USER, "  two\n\n  lines  \n"),
                   (ASSISTANT, "\r\n\u3000y\u00a0")),
    "special": chat((USER, "<|im_end|> {{ x }} {% if %} </s> \\n 'q' \"q\" </think>")),
    "thinking": chat((USER, "2+2?"), (ASSISTANT, "<think>\nAdd them.\n</think>\n\n4"),
                     (USER, "3+3?"), (ASSISTANT, "<think>\nAgain.\n</think>\n\n6")),
    "reasoning": chat((USER, "Why?"), (ASSISTANT, "Because."), (USER, "Really? /no_think"),
                      (ASSISTANT, "Yes."), reasoning_content="\nLet me see.\n", thinking="see"),
    "tool_call": chat((USER, "Weather in Paris?"), (ASSISTANT, None),
                      tool_calls=[call("get_weather", {"city": "Paris", "days": 2})]),
    "tool_result": [
        *chat((SYSTEM, "Use tools."), (USER, "Weather in Paris and Rome?"), (ASSISTANT, "")),
        {"role": ASSISTANT, "content": None, "tool_calls": [
            call("get_weather", {"city": "Paris"}),
            call("get_weather", {"city": "Röm"}, "ghijkl456")]},
        {"role": TOOL, "content": '{"c": 20}', "tool_call_id": "abcdef123", "name": "get_weather"},
        {"role": TOOL, "content": "21 °C", "tool_call_id": "ghijkl456", "name": "get_weather"},
        *chat((ASSISTANT, "20 and 21 degrees."), (USER, "Thanks!"))],
    "one_tool_result": [
        *chat((USER, "Weather in Oslo?"), (ASSISTANT, ""),
              tool_calls=[call("get_weather",
                               {"city": "Oslo", "deep": {"a": [1, 2.5, None, True]}})]),
        {"role": TOOL, "content": "-3", "tool_call_id": "abcdef123"},
        *chat((ASSISTANT, "Cold."))],
    "string_arguments": chat((USER, "x"), (ASSISTANT, "calling"),
                             tool_calls=[call("f", '{"a": 1}', "short")]),
    "parts": chat((SYSTEM, [{"type": "text", "text": "Look."}]),
                  (USER, [{"type": "image"}, {"type": "text", "text": " What is this? "}]),
                  (ASSISTANT, [{"type": "text", "text": "A cat."}])),
}  # fmt: skip

TOOLS = [
    {"type": "function", "function": {
        "name": "get_weather", "description": "The weather of a city.",
        "parameters": {"type": "object", "required": ["city"], "properties": {
            "city": {"type": "string", "description": "Its name, \"quoted\" & <tagged>"},
            "days": {"type": "integer", "description": "How many", "default": 1},
            "unit": {"type": "string", "enum": ["C", "F"], "default": "C"},
            "where": {"type": ["string", "null"]},
            "deep": {"type": "object", "properties": {
                "a": {"type": "array", "items": {"type": "number"}}}},
            "list": {"type": "array", "items": {
                "type": "object", "additionalProperties": {"type": "string"}}},
        }},
        "return": {"type": "array", "items": {"type": "number"}}}},
    {"type": "function", "function": {
        "name": "now", "description": "", "parameters": {"type": "object", "properties": {}}}},
]  # fmt: skip

VARIABLES = [
    {},
    {"enable_thinking": False, "tools_in_user_message": False, "builtin_tools": ["get_weather"],
     "controls": {"citations": True}, "reasoning_effort": "high", "date_string": "today"},
]  # fmt: skip


def test_there_are_enough():
    assert len(TEMPLATES) >= 25 and len(CONVERSATIONS) >= 20


@pytest.mark.parametrize("name", TEMPLATES)
def test_family(name):
    source = read(name)
    rendered = 0
    for title, messages in CONVERSATIONS.items():
        for add_generation_prompt in (False, True):
            for tools in (None, TOOLS):
                for variables in VARIABLES:
                    args = (source, messages, tools, add_generation_prompt)
                    expected = outcome(theirs, *args, **TOKENS, **variables)
                    assert outcome(ours, *args, **TOKENS, **variables) == expected, title
                    rendered += isinstance(expected, str)
    assert rendered > 30  # most conversations suit most templates


@pytest.mark.parametrize("name", TEMPLATES)
def test_without_tokens(name):
    """A tokenizer without a beginning or end leaves the variables undefined."""
    for messages in CONVERSATIONS.values():
        args = (read(name), messages, None, True)
        assert outcome(ours, *args) == outcome(theirs, *args)


def test_apply_chat_template():
    """The public function of transformers, with its own preparation of the inputs."""
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), **TOKENS)
    for name in ("chatml_default_system", "llama31_tools", "qwen25", "zephyr"):
        for messages in (CONVERSATIONS["system_turns"], CONVERSATIONS["one_tool_result"]):
            expected = tokenizer.apply_chat_template(
                messages, tools=TOOLS, chat_template=read(name), tokenize=False,
                add_generation_prompt=True)  # fmt: skip
            assert ours(read(name), messages, TOOLS, True, **TOKENS) == expected


EXPRESSION_VARIABLES = dict(
    s="Hello, World", e="", u8="héllo wörld ñ 中文", l=[3, 1, 2], w=["b", "A", "c", "a"],
    d={"b": 1, "a": 2, "C": 3}, n=None, t=True, f=False, i=42, x=2.5, neg=-7, big=1e20, small=1e-7,
    nested={"a": {"b": [{"c": "deep"}]}}, q="it's \"q\"", multi="a\nb\n\nc", sp="  pad  ",
    ms=[{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo", "k": 1},
        {"role": "system", "content": "s"}],
    items_key={"items": 5, "x": 1}, empty_l=[], empty_d={}, bools=[True, False, None],
)  # fmt: skip


@pytest.mark.parametrize("source", EXPRESSIONS)
def test_expression(source):
    expected = outcome(theirs, source, [], **EXPRESSION_VARIABLES)
    assert outcome(ours, source, [], **EXPRESSION_VARIABLES) == expected


TAGS = ["{{ 'v' }}", "{{- 'v' }}", "{{ 'v' -}}", "{{- 'v' -}}", "{% set x = 1 %}",
        "{%- set x = 1 %}", "{% set x = 1 -%}", "{%+ set x = 1 %}", "{% set x = 1 +%}",
        "{%- set x = 1 -%}", "{# c #}", "{#- c -#}", "{#+ c +#}", "{% raw %} r {% endraw %}",
        "{%- raw -%} r {%- endraw -%}", "{% if true %}", "{% endif %}", "{%- if true -%}",
        "{%- endif -%}", "{{ '\\n' }}"]  # fmt: skip
BLANKS = ["", " ", "\n", "  \n", "\n  ", "a", "a ", "a\n", "\na", "\r\n", "\u00a0\n"]


def test_white_space():
    """Blanks and tags in random order."""
    rng = random.Random(20261123)
    compared = 0
    for _ in range(4000):
        tags = rng.choices(TAGS, k=rng.randrange(1, 4))
        opened = sum((" if " in t) - ("endif" in t) for t in tags)
        tags += ["{% endif %}"] * max(0, opened)
        source = "".join(rng.choice(BLANKS) + tag for tag in tags) + rng.choice(BLANKS)
        expected = outcome(theirs, source, [])
        assert outcome(ours, source, []) == expected, repr(source)
        compared += isinstance(expected, str)
    assert compared > 1500


def test_error_lines():
    for source, line in (("{{ 1 }}\n{{ 1 + }}", 2), ("a\n\n{% if %}", 3), ("\n{{ x.y.z }}", 2),
                         ("{% if 1 %}\n\n{{ 'a' | int + 'b' }}{% endif %}", 3),
                         ("\n{{ raise_exception('no') }}", 2), ("\n\n{{ 1 | nonesuch }}", 3),
                         ("{% for x in [1] %}\n{{ range(10 ** 9) }}{% endfor %}", 2)):  # fmt: skip
        with pytest.raises(_native.Error) as e:
            _native.ChatTemplate(source).render("[]")
        assert (e.value.code, e.value.index) == ("TemplateInvalid", line)


def test_inputs_must_be_json():
    template = _native.ChatTemplate("{{ messages }}")
    for bad in ("", "[", "[1,]", '["\\ud800"]', "[" * 100 + "]" * 100, "[18446744073709551616]"):
        with pytest.raises(_native.Error):
            template.render(bad)
    assert template.render('[1, -2, 1.5, "\\u00e9", {"a": 1, "b": 2, "a": 3}]') == (
        "[1, -2, 1.5, 'é', {'a': 3, 'b': 2}]")  # fmt: skip
