# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Every reason for an error occurs, and has a sentence."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SENTENCES = ROOT / "src/module/describe.cc"
# For delegates, which applications bring.
OTHERS = {"kDelegateRun"}


def reasons() -> list[str]:
    text = (ROOT / "include/rushlight/error.h").read_text()
    body = re.search(r"enum class Reason : uint16_t \{(.*?)\n\};", text, re.S).group(1)
    return re.findall(r"^  (k\w+)", body, re.M)


def test_reasons_occur():
    sources = [
        path
        for folder in ("src", "include", "tools")
        for pattern in ("*.cc", "*.h")
        for path in (ROOT / folder).rglob(pattern)
        if path != SENTENCES and not path.stem.endswith("_test")
    ]
    used = set(re.findall(r"Reason::(k\w+)", "\n".join(p.read_text() for p in sources)))
    assert set(reasons()) - used == OTHERS


def test_reasons_have_sentences():
    sentences = re.findall(r"\{Reason::(k\w+),", SENTENCES.read_text())
    assert sentences == [r for r in reasons() if r in sentences], "in the order of the enum"
    assert set(reasons()) == set(sentences)
