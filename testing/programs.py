"""Programs that some tests need and not every machine has."""

from __future__ import annotations

import os

import pytest


def require(name: str, path: str | None, missing: str) -> str:
    """`path`; where it is None, skip the test with the reason `missing`, or fail it if REQUIRE_<NAME> is 1."""
    if path is not None:
        return path
    if os.environ.get(f"REQUIRE_{name.upper()}") == "1":
        pytest.fail(missing)
    pytest.skip(missing)
