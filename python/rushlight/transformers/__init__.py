# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Transformers models: the integration API, and exporting them as programs that generate text."""

from rushlight.transformers.static_cache import (
    TorchExportableModuleWithStaticCache,
    convert_and_export_with_cache,
)

__all__ = ["TorchExportableModuleWithStaticCache", "convert_and_export_with_cache"]
