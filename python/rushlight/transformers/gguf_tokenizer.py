# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""tokenizer.json from the tokenizer in a GGUF file's metadata."""

from __future__ import annotations

import json

from rushlight.transformers.text_generation import TextAssets

# Kinds of tokens in tokenizer.ggml.token_type.
_CONTROL, _USER_DEFINED = 3, 4

_BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
_DIGITS = {"type": "Digits", "individual_digits": True}


def _split(pattern: str) -> list[dict]:
    """A pattern that splits the text, and bytes as characters."""
    return [
        {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False},
        {**_BYTE_LEVEL, "use_regex": False},
    ]


_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# How text is split into words before merges, by tokenizer.ggml.pre.
_PRE_TOKENIZERS = {
    "default": [_BYTE_LEVEL],
    "gpt-2": [_BYTE_LEVEL],
    "smollm": [_DIGITS, _BYTE_LEVEL],
    "starcoder": [_DIGITS, _BYTE_LEVEL],
    "refact": [_DIGITS, _BYTE_LEVEL],
    "command-r": [_DIGITS, _BYTE_LEVEL],
    "llama-bpe": _split(_WORDS % r"\p{N}{1,3}"),
    "qwen2": _split(_WORDS % r"\p{N}"),
}
_NORMALIZERS = {"qwen2": {"type": "NFC"}}


def gguf_assets(metadata: dict) -> TextAssets:
    """What a GGUF file tells of its tokenizer.  Only byte-level BPE (`gpt2` in GGUF's words) is
    translated; for others the program goes without a tokenizer."""
    tokens = metadata.get("tokenizer.ggml.tokens")
    if tokens is None:
        return TextAssets()
    config = {}
    for name in ("bos", "eos", "unknown", "padding"):
        token = metadata.get(f"tokenizer.ggml.{name}_token_id")
        if token is not None and token < len(tokens):
            key = {"unknown": "unk", "padding": "pad"}.get(name, name)
            config[f"{key}_token"] = tokens[token]
    config["add_bos_token"] = bool(metadata.get("tokenizer.ggml.add_bos_token", False))
    assets = TextAssets(tokenizer_config=config, chat_template=metadata.get("tokenizer.chat_template"))
    if metadata.get("tokenizer.ggml.model") == "gpt2":
        assets.tokenizer = json.dumps(_tokenizer(metadata, tokens), ensure_ascii=False).encode()
    return assets


def _tokenizer(metadata: dict, tokens: list[str]) -> dict:
    pre = metadata.get("tokenizer.ggml.pre", "default")
    if pre not in _PRE_TOKENIZERS:
        raise ValueError(
            f"GGUF tokenizer of kind {pre!r} is not known; give a folder with tokenizer.json instead"
        )
    kinds = metadata.get("tokenizer.ggml.token_type") or [1] * len(tokens)
    steps = _PRE_TOKENIZERS[pre]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": i,
                "content": token,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": kind == _CONTROL,
            }
            for i, (token, kind) in enumerate(zip(tokens, kinds, strict=True))
            if kind in (_CONTROL, _USER_DEFINED)
        ],
        "normalizer": _NORMALIZERS.get(pre),
        "pre_tokenizer": steps[0] if len(steps) == 1 else {"type": "Sequence", "pretokenizers": steps},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": pre == "llama-bpe",
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": [merge.split(" ", 1) for merge in metadata.get("tokenizer.ggml.merges", [])],
        },
    }
