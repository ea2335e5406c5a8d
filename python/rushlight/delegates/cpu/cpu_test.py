# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Decoders on the CPU delegate against eager."""

import numpy as np
import pytest
import torch
import transformers as T

import rushlight
from rushlight import _native
from rushlight.delegates.backend import call_delegate
from rushlight.delegates.cpu.weights import (
    SCALES,
    IntegerForm,
    IntegerRows,
    Quantization,
    interleaved,
    keep_integers,
    pack,
    pack_integers,
)
from rushlight.delegates.partitioner import Partitioner, PartitionResult
from rushlight.transformers.text_generation import TextGenerationModule, compile_text_generation

SIZES = dict(
    hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96, vocab_size=99,
    max_position_embeddings=96, num_key_value_heads=2,
)  # fmt: skip
PLAIN = {name: size for name, size in SIZES.items() if name != "num_key_value_heads"}
MODELS = {
    "llama": lambda: T.LlamaForCausalLM(T.LlamaConfig(**SIZES)),
    "qwen2": lambda: T.Qwen2ForCausalLM(T.Qwen2Config(**SIZES)),  # biases
    "qwen3": lambda: T.Qwen3ForCausalLM(T.Qwen3Config(**SIZES, head_dim=32)),  # norms of heads
    "window": lambda: T.MistralForCausalLM(T.MistralConfig(**SIZES, sliding_window=16)),
    "softcap": lambda: T.Gemma2ForCausalLM(T.Gemma2Config(**SIZES, head_dim=32, sliding_window=16)),
    "columns": lambda: T.Phi3ForCausalLM(T.Phi3Config(**SIZES, pad_token_id=0)),
    "partial": lambda: T.StableLmForCausalLM(T.StableLmConfig(**SIZES)),
    "scales": lambda: T.GraniteForCausalLM(T.GraniteConfig(**SIZES, residual_multiplier=0.5)),
    "pairs": lambda: T.CohereForCausalLM(T.CohereConfig(**SIZES)),
    "conv1d": lambda: T.GPT2LMHeadModel(
        T.GPT2Config(vocab_size=99, n_embd=64, n_layer=2, n_head=4, n_positions=96)
    ),
    "by heads": lambda: T.GPTNeoXForCausalLM(T.GPTNeoXConfig(**PLAIN)),
    "one key": lambda: T.FalconForCausalLM(
        T.FalconConfig(vocab_size=99, hidden_size=64, num_hidden_layers=2, num_attention_heads=4)
    ),
    "counts": lambda: T.OPTForCausalLM(
        T.OPTConfig(
            vocab_size=99,
            hidden_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            ffn_dim=96,
            max_position_embeddings=96,
            word_embed_proj_dim=64,
        )
    ),
    "in pieces": lambda: T.MixtralForCausalLM(T.MixtralConfig(**SIZES, num_local_experts=4)),
}
TOKENS = 40


def make(name):
    torch.manual_seed(1)
    model = MODELS[name]().eval()
    with torch.no_grad():
        for p in model.parameters():
            if p.std() == 0:
                p.add_(0.1 * torch.randn_like(p))
    return model, torch.randint(1, 99, (1, TOKENS))


def compiled(model, quantize=None):
    return compile_text_generation(
        model, max_context_len=64, max_seq_len=TOKENS, backend="cpu", quantize=quantize
    )


def logits(module, ids, chunk):
    out = []
    for begin in range(0, TOKENS, chunk):
        end = min(begin + chunk, TOKENS)
        tokens = ids[:, begin:end].contiguous().numpy()
        out.append(np.array(module.forward(tokens, np.arange(begin, end))).reshape(-1))
    return out


@pytest.mark.parametrize("name", MODELS)
def test_equals_eager(name):
    model, ids = make(name)
    with torch.no_grad():
        expected = model(ids).logits[0].numpy()
    program = compiled(model)
    targets = [n.target for n in program.exported_program().graph.nodes if n.op == "call_function"]
    assert call_delegate in targets
    if name != "in pieces":
        assert targets.count(call_delegate) == 1 and len(targets) < 6
    for chunk in (17, 1):
        got = logits(rushlight.load(program.buffer), ids, chunk)
        for end, row in zip(range(chunk, TOKENS + 1, chunk), got, strict=False):
            np.testing.assert_allclose(row, expected[end - 1], atol=3e-6 * abs(expected).max())


@pytest.mark.parametrize("format, most", [("bf16", 0.02), ("int8", 0.05), ("int4", 0.4)])
def test_quantized_weights(format, most):
    model, ids = make("llama")
    with torch.no_grad():
        expected = model(ids).logits[0, -1].numpy()
    program = compiled(model, format)
    got = logits(rushlight.load(program.buffer), ids, TOKENS - 1)[-1]
    assert 0 < abs(got - expected).max() < most * abs(expected).max()
    assert program.file_bytes < compiled(model).file_bytes


@pytest.mark.parametrize("name", ["llama", "qwen3", "window", "softcap", "counts"])
def test_int8_caches(name, monkeypatch):
    """Eager, with keys and values rounded as the cache rounds them, is matched; without, it is come near."""
    model, ids = make(name)
    with torch.no_grad():
        exact = model(ids).logits[0].numpy()

    def rounded(x):
        scale = x.abs().amax(-1, keepdim=True) / 127
        return (x / scale).round() * scale

    update = T.DynamicCache.update
    monkeypatch.setattr(
        T.DynamicCache, "update", lambda self, k, v, *rest: update(self, rounded(k), rounded(v), *rest)
    )
    with torch.no_grad():
        expected = model(ids, past_key_values=T.DynamicCache()).logits[0].numpy()
    largest = abs(exact).max()
    assert 1e-4 * largest < abs(expected - exact).max() < 0.05 * largest
    program = compiled(model, Quantization(cache="int8"))
    for chunk in (17, 1):
        got = logits(rushlight.load(program.buffer), ids, chunk)
        for end, row in zip(range(chunk, TOKENS + 1, chunk), got, strict=False):
            np.testing.assert_allclose(row, expected[end - 1], atol=1e-4 * largest)


def test_activations_in_bf16():
    model, ids = make("llama")
    with torch.no_grad():
        expected = model(ids).logits[0, -1].numpy()
    plain, rounded = (
        logits(rushlight.load(compiled(model, Quantization("bf16", activations=a)).buffer), ids, TOKENS)[-1]
        for a in ("int8", "bf16")
    )
    assert 0 < abs(rounded - plain).max() < 0.02 * abs(expected).max()
    assert abs(rounded - expected).max() < 0.03 * abs(expected).max()


@pytest.mark.parametrize(
    "format",
    [None, "int8", "int4", Quantization(cache="int8"), Quantization("bf16", activations="bf16")],
    ids=str,
)
def test_same_bits_however_it_is_cut(format):
    model, ids = make("llama")
    file = compiled(model, format).buffer
    last = [
        logits(rushlight.load(file, threads=threads), ids, chunk)[-1]
        for threads in (1, 2)
        for chunk in (1, 8, 20)
    ]
    for other in last[1:]:
        np.testing.assert_array_equal(other, last[0])


def test_modules_share_weights_and_not_conversations():
    model, ids = make("llama")
    first = rushlight.load(compiled(model, "int8").buffer)
    second = first.share()
    alone = logits(first, ids, 1)
    tokens, positions = ids.numpy(), np.arange(TOKENS)
    for i in range(8):
        a = np.array(first.forward(tokens[:, i : i + 1], positions[i : i + 1])).reshape(-1)
        other = tokens[:, TOKENS - 1 - i : TOKENS - i]
        second.forward(np.ascontiguousarray(other), positions[i : i + 1])
        np.testing.assert_array_equal(a, alone[i])


@pytest.mark.parametrize("quantize", [None, "int4", Quantization("int4", cache="int8")], ids=str)
def test_a_batch_of_conversations_is_each_alone(quantize, tmp_path):
    """Several tokens and single ones, behind contexts of several lengths; forked and restored ones too."""
    path = str(tmp_path / "m.pte")
    model = make("llama")[0]
    compile_text_generation(
        model, max_context_len=160, max_seq_len=64, backend="cpu", quantize=quantize
    ).save(path)
    engine = _native.Engine.load(path, threads=2)
    random = np.random.default_rng(0)
    vocabulary = engine.info["vocab_size"]
    contexts = [random.integers(0, vocabulary, n).tolist() for n in (1, 70, 130)]
    sessions = []
    for ids in contexts:
        session = engine.session()
        session.feed(ids)
        sessions.append(session)
    sessions += [sessions[1].fork(), engine.restore(sessions[2].save())]
    tokens = [random.integers(0, vocabulary, n).tolist() for n in (9, 1, 20, 3, 1)]
    alone = [s.fork().feed(t, threads=1) for s, t in zip(sessions, tokens, strict=True)]
    together = engine.feed_together(sessions, tokens)
    for one, row in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, row)


def test_refuses_positions_and_tokens_out_of_range():
    model, ids = make("llama")
    module = rushlight.load(compiled(model).buffer)
    for tokens, position in (([[99]], [0]), ([[-1]], [0]), ([[1]], [64]), ([[1]], [-1]), ([[1, 1]], [3, 5])):
        with pytest.raises(RuntimeError):
            module.forward(np.array(tokens), np.array(position))
    assert np.isfinite(np.array(module.forward(ids[:, :3].numpy(), np.arange(3)))).all()


def test_damaged_plans_are_refused_or_run():
    model, ids = make("llama")
    file = bytearray(compiled(model, "int4").buffer)
    begin = file.index(b"RLC1") - 4
    random = np.random.default_rng(3)
    outcomes = set()
    for _ in range(300):
        damaged = bytearray(file)
        for _ in range(random.integers(1, 4)):
            damaged[begin + random.integers(0, 6000)] = random.integers(0, 256)
        try:
            rushlight.load(bytes(damaged)).forward(ids[:, :3].numpy(), np.arange(3))
            outcomes.add("ran")
        except RuntimeError:
            outcomes.add("refused")
    assert outcomes == {"ran", "refused"}


def test_scales_of_four_bits():
    codes = torch.randint(0, 16, (32, 64)).float()
    codes[:, ::32], codes[:, 1::32] = 0, 15
    even = codes * 0.25 - 1.5
    assert pack(even, "int4", 32).minimum
    assert pack(even, "int4", 32).error < 1e-6
    grid = codes * (0.25 + torch.rand(32, 64)[:, ::32].repeat_interleave(32, 1).bfloat16()).float() - 1.5
    float_scales, levels = SCALES["bfloat16"], SCALES["int8"]
    # Floats, where weights were on a grid of floats; whole numbers, where they were not; or as asked for.
    kept = pack(grid, "int4", 32)
    assert kept.minimum and kept.scale == float_scales and kept.error < 0.003
    assert pack(grid, "int4", 32, "int8").scale == levels
    rows = torch.randn(32, 64)
    packed, plain = pack(rows, "int4", 32), pack(rows, "int4", 32, "bfloat16")
    assert packed.scale == levels and plain.scale == float_scales and not plain.minimum
    assert packed.error < plain.error
    # One scale for a row would lose what is small in it.
    far = torch.randn(32, 1024)
    far[:, 5] = 140
    assert pack(far, "int4", 32).scale == float_scales
    # A group that is a row, or long, has no levels.
    assert pack(rows, "int4", 0).scale == float_scales
    assert pack(torch.randn(16, 4096), "int4", 2048, "int8").scale == float_scales


@pytest.mark.parametrize("inputs", [576, 1536, 3000])
def test_two_levels_whatever_the_chunk(inputs):
    model = torch.nn.Sequential(torch.nn.Linear(inputs, 80), torch.nn.Linear(80, 48, bias=False)).eval()
    x = torch.randn(40, inputs)
    program = rushlight.compile(
        model, (x,), quantize="int4", dynamic_shapes=({0: torch.export.Dim("rows", max=64)},)
    )
    assert [w.error for w in program.weights if w.error > 0]
    module = rushlight.load(program.buffer)
    whole = module(x)
    parts = torch.cat([torch.as_tensor(module(x[i:j])) for i, j in ((0, 1), (1, 4), (4, 21), (21, 40))])
    assert torch.equal(torch.as_tensor(whole), parts)
    expected = model(x)
    assert (torch.as_tensor(whole) - expected).norm() < 0.15 * expected.norm()


def test_scales_that_cannot_be():
    with pytest.raises(ValueError, match="int7"):
        Quantization("int4", scales="int7")
    with pytest.raises(ValueError, match="activations"):
        Quantization("int4", scales="int8", activations="fp32")


def integers(n, k, form):
    """Random codes in a form, and their values."""
    low, high = {"int8": (-128, 128), "int4": (0, 16) if form.minimum else (-8, 8)}[form.format]
    groups = k // (form.group or k)
    rows = IntegerRows(
        torch.randint(low, high, (n, k), dtype=torch.int8),
        0.001 * torch.randn(n, groups).half().float(),
        0.01 * torch.randn(n, groups) if form.minimum else None,
    )
    spread = lambda t: t.repeat_interleave(k // groups, 1)  # noqa: E731
    values = spread(rows.scales) * rows.codes
    return rows, values + spread(rows.minimums) if form.minimum else values


FORMS = [IntegerForm("int4", 32, "float32", False), IntegerForm("int4", 16, "float32", True)]
FORMS += [IntegerForm("int8", 16, "float32", False), IntegerForm("int8", 0, "float32", True)]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_integers_of_a_checkpoint_stay(form):
    """Queries and keys of one form, values of another; gates and what they gate."""
    model, ids = make("llama")
    other = IntegerForm("int8", 32, "float32", False)
    for name, p in model.named_parameters():
        if p.dim() == 2:
            own = other if "v_proj" in name or "embed" in name else form
            rows, values = integers(*p.shape, own)
            p.data.copy_(values)
            keep_integers(p, own, lambda rows=rows: rows)
    with torch.no_grad():
        expected = model(ids).logits[0, -1].numpy()
    program = compiled(model, "int8")
    assert {w.error for w in program.weights} == {0.0}
    names = sorted(len(w.names) for w in program.weights)
    assert names == [1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2]  # of two layers, embedding, head
    got = logits(rushlight.load(program.buffer), ids, TOKENS - 1)[-1]
    assert 0 < abs(got - expected).max() < 0.05 * abs(expected).max()
    exact = compiled(model, Quantization("int8", activations="fp32", cache="fp32"))
    for chunk in (TOKENS - 1, 1):
        got = logits(rushlight.load(exact.buffer), ids, chunk)[-1]
        np.testing.assert_allclose(got, expected, atol=3e-6 * abs(expected).max())


def test_integers_stay_where_as_many_bits_are_asked_for():
    p = torch.nn.Parameter(torch.zeros(16, 32))
    keep_integers(p, FORMS[2], lambda: None)
    forms = [Quantization(f).form_of("w", p) for f in ("int8", "int4", "bf16", "float32")]
    assert forms == [FORMS[2], "int4", "bfloat16", "float32"]
    assert Quantization("int4", modules={"w": "int8"}).form_of("w", p) == FORMS[2]
    assert Quantization("int8").form_of("w", torch.zeros(1)) == "int8"
    with torch.no_grad():
        p.add_(1)
    assert Quantization("int8").form_of("w", p) == "int8"


def test_integers_that_their_form_does_not_hold():
    rows, _ = integers(16, 32, FORMS[0])
    for form, wrong in (
        (IntegerForm("int4", 32, "bfloat16", False), rows),  # scales would be rounded
        (FORMS[0], IntegerRows(rows.codes + 16, rows.scales)),
        (FORMS[0], IntegerRows(rows.codes, rows.scales * torch.inf)),
        (IntegerForm("int4", 24, "float32", False), rows),
        (IntegerForm("int4", 16, "float32", False), rows),  # more groups than scales
        (FORMS[0], IntegerRows(rows.codes, rows.scales[:8])),
    ):
        with pytest.raises((RuntimeError, ValueError)):
            pack_integers(wrong, form)


def test_interleaves_panels():
    gate, other = torch.arange(20.0), torch.arange(100.0, 120.0)
    both = interleaved(gate, other)
    assert both.tolist()[:32] == [*range(16), *range(100, 116)]
    assert both.tolist()[32:] == [*range(16, 20), *[0] * 12, *range(116, 120), *[0] * 12]


def test_users_partitioners_of_one_method_come_behind_ours_in_all():
    class Nothing(Partitioner):
        seen = 0

        def partition(self, exported_program):
            Nothing.seen += 1
            return PartitionResult(exported_program, {})

    x = torch.randn(2, 8)
    models = {"a": torch.nn.Linear(8, 3).eval(), "b": torch.nn.Linear(8, 4).eval()}
    program = rushlight.compile(models, (x,), backend="cpu", partitioner={"a": Nothing()})
    assert Nothing.seen == 1
    module = rushlight.load(program.buffer)
    for name, model in models.items():
        assert any(n.target is call_delegate for n in program.exported_program(name).graph.nodes)
        got = np.array(module.method(name)(x.numpy()))
        np.testing.assert_allclose(got, model(x).detach().numpy(), atol=1e-6)


def test_options_that_do_not_exist():
    for wrong in (
        dict(weights="int3"),
        dict(group=24),
        dict(activations="fp16"),
        dict(cache="int4"),
        dict(modules={"*": "x"}),
    ):
        with pytest.raises(ValueError):
            Quantization(**wrong)
    with pytest.raises(ValueError):
        rushlight.compile(torch.nn.Linear(2, 2), (torch.zeros(1, 2),), backend="gpu")


def test_what_another_method_writes_is_no_weight():
    class Adapter(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("weight", torch.eye(16))
            self.bias = torch.nn.Parameter(torch.ones(16))

    class Write(torch.nn.Module):
        def __init__(self, adapter):
            super().__init__()
            self.adapter = adapter

        def forward(self, weight):
            self.adapter.weight.copy_(weight)
            return weight.sum()

    class Apply(Write):
        def forward(self, x):
            return torch.nn.functional.linear(x, self.adapter.weight, self.adapter.bias)

    adapter = Adapter()
    weight, x = torch.randn(16, 16), torch.randn(3, 16)
    program = rushlight.compile(
        {"write": Write(adapter), "apply": Apply(adapter)}, {"write": (weight,), "apply": (x,)}
    )
    loaded = rushlight.load(program.buffer)
    torch.testing.assert_close(loaded.apply(x), x + 1)
    loaded.write(weight)
    torch.testing.assert_close(loaded.apply(x), x @ weight.T + 1)


def test_what_has_no_step_stays_an_operator():
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(8, 12)

        def forward(self, x):
            return self.layer(x).view(-1, 3, 4)  # an output that is a view

    model, x = Model().eval(), torch.randn(2, 8)
    torch.testing.assert_close(rushlight.load(rushlight.compile(model, (x,)).buffer)(x), model(x))


def test_a_decoder_of_any_length_is_told_to_take_a_bound():
    module = TextGenerationModule(make("llama")[0], 64, False)
    tokens = torch.export.Dim.DYNAMIC
    with torch.no_grad():
        exported = torch.export.export(
            module,
            (torch.zeros(1, 3, dtype=torch.long), torch.arange(3)),
            dynamic_shapes=({1: tokens}, {0: tokens}),
            strict=False,
        )
    with pytest.raises(rushlight.CompileError, match="bound"):
        rushlight.compile(exported)
