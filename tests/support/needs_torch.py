"""Torch for a file of tests that is about nothing else: without it the file is skipped and says so."""

import pytest
from tensors import NEEDS_TORCH

torch = pytest.importorskip("torch", reason=NEEDS_TORCH)
