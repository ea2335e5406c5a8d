# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
import sys

from rushlight.cli import main

sys.exit(main())
