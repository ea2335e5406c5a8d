# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""llama.cpp, through the C interface that llama-cpp-python has; that package's own loop and sampler, which
are in Python and slow, are not used.

    llamacpp.py ENGINE_AS_JSON                     serves (adapter.py)
    llamacpp.py ENGINE_AS_JSON --score             the same, for bench/accuracy.py
    llamacpp.py --quantize FROM TO q4_0|q8_0       makes a GGUF of another type; --pure: of no other type
"""

from __future__ import annotations

import argparse
import ctypes
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import llama_cpp as llama  # noqa: E402
import numpy as np  # noqa: E402
from adapter import Decoder, Scorer, serve  # noqa: E402

TYPES = {"q4_0": llama.LLAMA_FTYPE_MOSTLY_Q4_0, "q8_0": llama.LLAMA_FTYPE_MOSTLY_Q8_0}


@llama.llama_log_callback
def _silence(level, text, data):
    pass


class Engine:
    name = f"llama.cpp (llama-cpp-python {llama.__version__})"

    def __init__(self, model: str, threads: int, context: int = 2048, extra_buffers: bool = True, **settings):
        """Settings: fields of llama_context_params, by their names.  What is not given has llama.cpp's
        default.  Extra buffers hold weights once more, as AMX or the like reads them."""
        llama.llama_log_set(_silence, None)
        llama.llama_backend_init()
        given = llama.llama_model_default_params()
        given.use_extra_bufts = extra_buffers
        self.model = llama.llama_model_load_from_file(model.encode(), given)
        if not self.model:
            raise RuntimeError(f"llama.cpp does not load {model}")
        params = llama.llama_context_default_params()
        settings |= {"n_ctx": context, "n_threads": threads, "n_threads_batch": threads}
        for key, value in settings.items():
            setattr(params, key, value)
        self.context = llama.llama_init_from_model(self.model, params)
        if not self.context:
            raise RuntimeError(f"llama.cpp makes no context of {settings}")
        self.memory = llama.llama_get_memory(self.context)
        self.most = llama.llama_n_batch(self.context)
        self.vocab_size = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(self.model))

    def feed(self, tokens):
        for i in range(0, len(tokens), self.most):
            piece = tokens[i : i + self.most]
            ids = (llama.llama_token * len(piece))(*piece)
            # Without a list of outputs: logits of the last token only.
            status = llama.llama_decode(self.context, llama.llama_batch_get_one(ids, len(piece)))
            if status != 0:
                raise RuntimeError(f"llama_decode: {status}")
        logits = llama.llama_get_logits_ith(self.context, -1)
        address = ctypes.addressof(logits.contents)
        return np.frombuffer((ctypes.c_float * self.vocab_size).from_address(address), np.float32)

    def logits(self, tokens):
        self.rewind(0)
        batch = llama.llama_batch_init(len(tokens), 0, 1)
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.logits[i] = token, i, 1
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, 0
        status = llama.llama_decode(self.context, batch)
        llama.llama_batch_free(batch)
        if status != 0:
            raise RuntimeError(f"llama_decode: {status}")
        address = ctypes.addressof(llama.llama_get_logits(self.context).contents)
        shape = (len(tokens), self.vocab_size)
        return np.frombuffer(
            (ctypes.c_float * (shape[0] * shape[1])).from_address(address), np.float32
        ).reshape(shape)

    def rewind(self, position):
        llama.llama_memory_seq_rm(self.memory, 0, position, -1)


def quantize(source: str, target: str, kind: str, pure: bool) -> None:
    llama.llama_log_set(_silence, None)
    params = llama.llama_model_quantize_default_params()
    params.ftype = TYPES[kind]
    params.allow_requantize = True
    params.pure = pure
    params.nthread = 1
    if llama.llama_model_quantize(source.encode(), target.encode(), params) != 0:
        raise RuntimeError(f"llama.cpp does not quantize {source}")


if __name__ == "__main__":
    if sys.argv[1] == "--quantize":
        parser = argparse.ArgumentParser()
        parser.add_argument("--quantize", nargs=3, metavar=("FROM", "TO", "TYPE"))
        parser.add_argument("--pure", action="store_true")
        arguments = parser.parse_args()
        quantize(*arguments.quantize, arguments.pure)
    else:
        serve(Engine, Scorer if "--score" in sys.argv else Decoder)
