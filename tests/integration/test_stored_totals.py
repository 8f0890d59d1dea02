"""What SQLite sums up is what the results themselves add up to."""

from contextlib import closing

import attrs
import pytest

from muster.domain.outcome import Attempt, Failure, FailureCause, SpawnResult, Usage
from muster.domain.run_results import InPlanOrder, Totals, run_results
from muster.infrastructure.clock import SystemClock
from muster.infrastructure.journal.database import open_reader
from muster.infrastructure.journal.history import StoredResults
from muster.infrastructure.journal.run_journal import RunJournal
from muster.infrastructure.randomness import SystemRandomness

NUMBERS = {
    field.name: number
    for number, field in enumerate(attrs.fields(Usage), start=3)
    if field.name != "cost_estimated"
}
ATTEMPT = Attempt(1, None, "sim", 100.0, 1.0)


def result(name: str, **options: object) -> SpawnResult:
    """A success, unless it has a cause."""
    cause = options.pop("cause", None)
    failure = None if cause is None else Failure(FailureCause(cause), "no")
    return SpawnResult(cause is None, failure=failure, task_id=name, **options)


RESULTS = {
    each.task_id: each
    for each in [
        result("a", output="yes", execution_time=1.5, attempts=(ATTEMPT, ATTEMPT)),
        result("b", retry_count=2, fallback=True, agent="x", usage=Usage(**NUMBERS)),
        result("c", simulated=True, usage=Usage(1, cost_usd=0.5, cost_estimated=True)),
        result("d", cached=True, leftovers=3, execution_time=4.0),
        result("e", cause="crash", retry_count=1, agent="x", usage=Usage()),
        result("f", cause="crash", execution_time=2.0),
        result("g", cause="parked"),
    ]
}


@pytest.fixture
def stored(tmp_path):
    """Makes `StoredResults` of these tasks; the journal knows all of `RESULTS`."""
    journal = RunJournal.create(
        tmp_path, clock=SystemClock(), randomness=SystemRandomness()
    )
    journal.adopt((each, f"identity of {name}") for name, each in RESULTS.items())
    places = dict.fromkeys(RESULTS, 0)
    with closing(open_reader(tmp_path)) as reader:

        def make(names):
            recorded = {each: each for each in names}
            return StoredResults(reader, tmp_path, journal.run, recorded, places)

        yield make
    journal.close()


@pytest.mark.parametrize("names", ["abcdefg", "abd", "efg", "", "c", "ag"])
def test_the_sums(stored, names):
    """Of those that are asked for, and of no others that the run has recorded."""
    own = {each: RESULTS[each] for each in names}

    found = stored(names)

    assert found.totals() == Totals.of(own.values())
    assert found.totals().succeeded == sum(each.success for each in own.values())
    assert found.failed() == {n: each for n, each in own.items() if not each.success}
    assert found.spans() == run_results(own).spans()
    # A task whose answer was another's took no time of its own.
    assert {n: each for n, each in found.seconds().items() if n != "d"} == {
        n: each.execution_time for n, each in own.items() if n != "d"
    }


@pytest.mark.parametrize("known", ["abcdefg", "abef", "bdg", ""])
def test_joined(stored, known):
    """Results of this run and of those before it are summed up as one."""
    rest = {name: each for name, each in RESULTS.items() if name not in known}
    joined = InPlanOrder(list(RESULTS), rest, stored(known))

    assert joined.totals() == Totals.of(RESULTS.values())
    assert joined.failed() == run_results(RESULTS).failed()
    assert list(joined.failed()) == ["e", "f", "g"]
    assert joined.spans() == {"a": (100.0, 101.5)}


def test_no_more_than_was_asked_for(stored):
    """Who knows more than is in the plan does not have it counted."""
    joined = InPlanOrder(["a", "e"], {"a": RESULTS["a"]}, stored("bcdefg"))

    assert joined.totals().count == 2
    assert list(joined.failed()) == ["e"]
    assert joined.seconds() == {"a": 1.5, "e": 0.0}
    assert list(joined.spans()) == ["a"]
