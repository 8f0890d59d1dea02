"""The lane, the breaker and the budget together, on a small simulated backend."""

import importlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture
def overload(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("overload")


def test_all_figures_are_reached(overload):
    """No overload outlives its cause; refusals and lost time stay small."""
    lines = []

    assert overload.main(quick=True, say=lines.append) == []
    assert len(lines) > 10


def test_the_simulated_backend_does_fell_a_naive_fleet(overload):
    """Otherwise the figures above would prove nothing."""
    figures = overload.fault_run(overload.JITTER, "brown-out", 60.0, overload.QUICK)

    assert figures.back_after == float("inf")
    assert overload.missed(figures, overload.COMES_BACK)
