"""The lane, the breaker and the budget together, on a small simulated backend."""

from benchmarks import overload


def test_all_figures_are_reached():
    """No overload outlives its cause; refusals and lost time stay small."""
    found = list(overload.runs(overload.QUICK))

    assert len(found) > 10
    for scenario, figures, bounds in found:
        assert overload.missed(figures, bounds) == [], scenario


def test_the_simulated_backend_does_fell_a_naive_fleet():
    """Otherwise the figures above would prove nothing."""
    figures = overload.fault_run(overload.JITTER, "brown-out", 60.0, overload.QUICK)

    assert figures.back_after == float("inf")
    assert overload.missed(figures, overload.COMES_BACK)
