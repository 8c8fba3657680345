"""Memory of large pictures is returned to the system."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Freed in an order that leaves holes, as threads that decode at the same time do.
PROGRAM = """
import ctypes, pathlib
from recognition.memory import return_large_blocks
assert return_large_blocks()
allocate, free = ctypes.CDLL(None).malloc, ctypes.CDLL(None).free
allocate.restype, free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
def resident():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4096
blocks, before = [], resident()
for _ in range(20):
    blocks += [allocate(16 * 2**20) for _ in range(4)]
    for block in blocks[-4:]:
        ctypes.memset(block, 1, 16 * 2**20)
    blocks.append(allocate(2**20))  # kept, above what is freed
    for block in blocks[-5:-1]:
        free(block)
print((resident() - before) / 2**20)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_large_blocks_are_returned_to_the_system() -> None:
    process = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True)
    assert float(process.stdout) < 16
