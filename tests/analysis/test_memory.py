"""What the system says of memory is what was taken."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from secondguess.analysis.memory import mapped_bytes, resident_bytes

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux says it")
TAKE = """
from secondguess.analysis.memory import mapped_bytes, resident_bytes
before = mapped_bytes(), resident_bytes()
taken = b"x" * 50_000_000
print(mapped_bytes() - before[0], resident_bytes() - before[1])
"""


def test_fifty_million_bytes_are_seen() -> None:
    done = subprocess.run([sys.executable, "-c", TAKE], capture_output=True, text=True, check=True)
    assert all(50_000_000 <= int(bytes_) < 52_000_000 for bytes_ in done.stdout.split())


def test_of_another_process_it_is_known_and_of_none_nothing() -> None:
    assert (resident_bytes(os.getpid()) or 0) > 1_000_000
    assert mapped_bytes(1 << 22) is None and resident_bytes(1 << 22) is None
