# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The integration API on small models of many families: programs choose the tokens that eager chooses.

Eager is the model itself on the whole sequence, without any cache.  Passes with Transformers 4.56 and 5.
"""

from __future__ import annotations

import pytest
import torch
import transformers
from torch.export import Dim

import rushlight
from rushlight.transformers import TorchExportableModuleWithStaticCache, convert_and_export_with_cache

SMALL = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
GPT2 = {"vocab_size": 64, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
HYBRID = ["sliding_attention", "full_attention"]

# Name of the classes -> what differs from SMALL.  Windows are shorter than the sequences below.
MODELS = {
    "Llama": {"tie_word_embeddings": True},
    "Qwen2": {},
    "Qwen3": {"head_dim": 16},
    "Gemma2": {"head_dim": 16, "sliding_window": 4, "layer_types": HYBRID, "attn_logit_softcapping": 1.0},
    "Gemma3": {"head_dim": 16, "sliding_window": 4, "layer_types": HYBRID},
    "Phi3": {},
    "Mistral": {"sliding_window": 4},
    "GPT2": GPT2,
    "SmolLM3": {"no_rope_layers": [1, 0]},
    "Granite": {"attention_multiplier": 0.3, "logits_scaling": 2.0},
    "Olmo2": {},
}
# Before, their masks ask for a number while they are traced.
if int(transformers.__version__.split(".")[0]) >= 5:
    MODELS["Bert"] = {"is_decoder": True}
    MODELS["Roberta"] = {"is_decoder": True}  # counts positions from 1
    # These have an attention of their own.
    MODELS["RemBert"] = {"is_decoder": True, "input_embedding_size": 16, "output_embedding_size": 32}
    MODELS["BigBird"] = {"is_decoder": True, "attention_type": "original_full"}
    MODELS["MegatronBert"] = {"is_decoder": True}
    MODELS["BioGpt"] = {}
CACHE = 24
PROMPT = [5, 17, 33, 2, 41, 9]


def make(name: str):
    """A model with random weights, large enough that logits differ clearly."""
    options = MODELS[name] if name == "GPT2" else {**SMALL, **MODELS[name]}
    class_name = {"Gemma3": "Gemma3Text", "GPT2": "GPT2"}.get(name, name)
    config = getattr(transformers, f"{class_name}Config")(**options)
    head = {"GPT2": "GPT2LMHeadModel", "Bert": "BertLMHeadModel"}.get(name, f"{name}ForCausalLM")
    torch.manual_seed(0)
    model = getattr(transformers, head)(config).eval()
    model.set_attn_implementation("eager")  # the others of Transformers 4 drop Gemma 2's soft cap
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    use_static_cache(model)
    return model


def use_static_cache(model) -> None:
    model.generation_config.cache_implementation = "static"
    model.generation_config.cache_config = {"batch_size": 1, "max_cache_len": CACHE}
    model.generation_config.use_cache = True


@torch.no_grad()
def eager_logits(model, ids) -> torch.Tensor:
    return model(torch.tensor([ids]), use_cache=False).logits[0]


def eager_greedy(model, prompt, count) -> list[int]:
    ids = list(prompt)
    for _ in range(count):
        ids.append(int(eager_logits(model, ids)[-1].argmax()))
    return ids


def compiled(exported) -> rushlight.LoadedProgram:
    return rushlight.load(rushlight.to_edge_transform_and_lower(exported).to_executorch().buffer)


def greedy(program, prompt, count: int, chunks) -> list[int]:
    """Prompt in chunks of these lengths, then token by token."""
    ids, position = list(prompt), 0
    for length in [*chunks, *[1] * count]:
        step = torch.tensor([ids[position : position + length]])
        positions = torch.arange(position, position + length)
        logits = program(input_ids=step, cache_position=positions)
        position += length
        if position == len(ids) and len(ids) < len(prompt) + count:
            ids.append(int(logits[0, -1].argmax()))
    return ids


@pytest.mark.parametrize("name", MODELS)
def test_greedy_tokens_are_eagers(name):
    """One program, any number of tokens a call; across the window; twice, the second time over what the
    first left in the cache."""
    model = make(name)
    tokens = Dim("tokens", min=1, max=CACHE - 1)
    exported = convert_and_export_with_cache(
        model,
        torch.tensor([PROMPT[:3]]),
        torch.arange(3),
        dynamic_shapes={"input_ids": {1: tokens}, "cache_position": {0: tokens}},
        strict=False,
    )
    program = compiled(exported)
    expected = eager_greedy(model, PROMPT, 12)
    assert greedy(program, PROMPT, 12, [6]) == expected
    assert greedy(program, PROMPT, 12, [1, 3, 2]) == expected
    logits = program(torch.tensor([expected]), torch.arange(len(expected)))[0]
    torch.testing.assert_close(logits, eager_logits(model, expected), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["Llama", "Gemma3", "GPT2"])
def test_the_defaults_one_token_a_call(name):
    """As the documentation of Transformers has it: strict, no examples, the helper that generates."""
    model = make(name)
    exported = convert_and_export_with_cache(model)
    expected = eager_greedy(model, PROMPT, 6)
    assert greedy(compiled(exported), PROMPT, 6, [1] * len(PROMPT)) == expected
    ids = TorchExportableModuleWithStaticCache.generate(exported, torch.tensor([PROMPT]), 6)
    assert ids.tolist() == [expected]


def test_buffers_have_the_names_of_transformers():
    module = TorchExportableModuleWithStaticCache(make("Llama"))
    buffers = dict(module.named_buffers())
    for i in range(2):
        assert buffers[f"key_cache_{i}"].shape == buffers[f"value_cache_{i}"].shape == (1, 2, CACHE, 8)
    assert not any("cache" in key for key in module.state_dict())


def test_the_model_stays_as_it_was():
    model = make("Gemma2")
    before = model.config.to_dict(), eager_logits(model, PROMPT)
    attention = model.config._attn_implementation
    convert_and_export_with_cache(model)
    assert model.config.to_dict() == before[0] and model.config._attn_implementation == attention
    torch.testing.assert_close(eager_logits(model, PROMPT), before[1], rtol=0, atol=0)


def test_embeddings_in_place_of_ids():
    model = make("Qwen2")
    module = TorchExportableModuleWithStaticCache(model, batch_size=1, max_cache_len=CACHE)
    embeds = model.get_input_embeddings()(torch.tensor([PROMPT])).detach()
    arguments = {"inputs_embeds": embeds, "cache_position": torch.arange(len(PROMPT))}
    with torch.no_grad():
        exported = torch.export.export(module, (), arguments, strict=False)
    logits = compiled(exported)(**arguments)[0]
    torch.testing.assert_close(logits, eager_logits(model, PROMPT), rtol=1e-3, atol=1e-3)


def test_a_batch():
    model = make("Llama")
    module = TorchExportableModuleWithStaticCache(model, batch_size=2, max_cache_len=CACHE)
    ids = torch.tensor([PROMPT, PROMPT[::-1]])
    arguments = {"input_ids": ids, "cache_position": torch.arange(len(PROMPT))}
    with torch.no_grad():
        exported = torch.export.export(module, (), arguments, strict=False)
        expected = model(ids, use_cache=False).logits
    torch.testing.assert_close(compiled(exported)(**arguments), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    model = make("Llama").to(dtype)
    exported = convert_and_export_with_cache(model, torch.tensor([PROMPT]), torch.arange(len(PROMPT)))
    logits = compiled(exported)(torch.tensor([PROMPT]), torch.arange(len(PROMPT)))[0]
    expected = eager_logits(model, PROMPT)
    assert logits.dtype == dtype
    assert float((logits - expected).abs().max()) < 0.05 * float(expected.abs().max())


BAD = {
    "no generation config": (
        lambda m: setattr(m, "generation_config", None), {}, AssertionError, "must have a generation config"),
    "no cache": (
        lambda m: setattr(m.generation_config, "use_cache", False), {}, AssertionError, "caching enabled"),
    "dynamic": (
        lambda m: setattr(m.generation_config, "cache_implementation", None), {}, AssertionError, "'static'"),
    "no batch size": (
        lambda m: setattr(m.generation_config, "cache_config", {"max_cache_len": 4}), {}, ValueError,
        "batch_size must be provided"),
    "no length": (
        lambda m: setattr(m.generation_config, "cache_config", None), {"batch_size": 1}, ValueError,
        "max_cache_len must be provided"),
}  # fmt: skip


@pytest.mark.parametrize("bad", BAD)
def test_errors_are_those_of_transformers(bad):
    spoil, arguments, error, text = BAD[bad]
    model = make("Llama")
    spoil(model)
    with pytest.raises(error, match=text):
        TorchExportableModuleWithStaticCache(model, **arguments)


def test_what_is_no_decoder_is_refused():
    for name, options, text in (("Bert", {}, "is_decoder=True"), ("OpenAIGPT", GPT2, "nothing in a cache")):
        sizes = options or {**SMALL, "num_key_value_heads": 4}
        config = getattr(transformers, f"{name}Config")(**sizes)
        model = getattr(transformers, f"{name}LMHeadModel")(config).eval()
        use_static_cache(model)
        with pytest.raises(ValueError, match=text):
            TorchExportableModuleWithStaticCache(model)


# ---- Models without a cache ----


def test_an_encoder():
    config = transformers.BertConfig(
        vocab_size=64, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
        max_position_embeddings=32,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.BertModel(config).eval()
    length = Dim("length", min=2, max=16)

    def call(count, padding):
        mask = torch.ones(1, count, dtype=torch.int64)
        mask[0, count - padding :] = 0
        return {"input_ids": torch.arange(count)[None] + 3, "attention_mask": mask}

    program = rushlight.compile(
        model, kwargs=call(6, 1), dynamic_shapes={"input_ids": {1: length}, "attention_mask": {1: length}}
    )
    loaded = rushlight.load(program.buffer)
    for count, padding in ((6, 2), (2, 0), (16, 5)):
        with torch.no_grad():
            expected = model(**call(count, padding))
        actual = loaded(**call(count, padding))
        assert list(actual) == list(expected.keys())
        for name, value in expected.items():
            torch.testing.assert_close(actual[name], value, rtol=1e-4, atol=1e-4)


def test_an_encoder_and_a_decoder():
    """T5 as two methods: what the encoder made is an input of the decoder."""
    config = transformers.T5Config(
        vocab_size=64, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, decoder_start_token_id=0
    )
    torch.manual_seed(0)
    model = transformers.T5ForConditionalGeneration(config).eval()

    class Decode(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, ids, states):
            return self.model(decoder_input_ids=ids, encoder_outputs=(states,), use_cache=False).logits

    class Encode(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, ids):
            return self.model.encoder(ids).last_hidden_state

    source, target = Dim("source", min=2, max=16), Dim("target", min=2, max=16)
    prompt = torch.tensor([PROMPT])
    program = rushlight.compile(
        {"encode": Encode(), "decode": Decode()},
        {"encode": (prompt,), "decode": (torch.tensor([[0, 1, 2]]), torch.randn(1, 6, 32))},
        dynamic_shapes={"encode": ({1: source},), "decode": ({1: target}, {1: source})},
    )
    loaded = rushlight.load(program.buffer)
    for ids in (prompt, prompt[:, :3]):
        states = loaded.encode(ids)
        decoded = torch.tensor([[0, 7]])
        for _ in range(6):
            with torch.no_grad():
                expected = model(input_ids=ids, decoder_input_ids=decoded).logits
            logits = loaded.decode(decoded, states)
            torch.testing.assert_close(logits, expected, rtol=1e-3, atol=1e-3)
            decoded = torch.cat([decoded, expected[:, -1:].argmax(-1)], 1)
