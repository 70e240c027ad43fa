"""What all tests share: how thorough Hypothesis is, and where the recordings are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

CODEC_EXAMPLES = 100_000 if os.environ.get("ANJU_NIGHTLY") else 2_000

settings.register_profile("anju", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("anju")


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of recordings; tests that need it are skipped where it is missing."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("ANJU_RECORDINGS", default))
    if not (folder / "falls").is_dir():
        pytest.skip(f"no recordings at {folder} (set ANJU_RECORDINGS)")
    return folder
