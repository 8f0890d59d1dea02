"""The chain of the witness: whatever is done to it is found, and where."""

from collections.abc import Callable

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.witness import (
    Head,
    Statement,
    WitnessRecord,
    content_hash,
    digest_of,
    first_break,
    head_of,
    link,
)

RUN = "run-1"
Chain = list[tuple[WitnessRecord, str]]
_anything = st.text(max_size=8)
statements = st.builds(
    Statement,
    batch_id=_anything,
    agent_id=_anything,
    content=st.text(max_size=30),
    request_id=st.none() | _anything,
    kind=st.sampled_from(["output", "vote"]),
)


def chain_of(*said: Statement) -> Chain:
    """Records that follow one another, a second apart."""
    head, chain = Head(), []
    for number, each in enumerate(said):
        kept = each.content
        record = link(head, RUN, each, kept=kept, recorded_at=float(number))
        chain.append((record, kept))
        head = head_of(record)
    return chain


def end_of(chain: Chain) -> Head:
    """The head that is kept in a second place."""
    return head_of(chain[-1][0]) if chain else Head()


def plain(size: int) -> Chain:
    """A chain of so many simple records."""
    return chain_of(*(Statement("b", f"a{n}", f"said {n}") for n in range(size)))


@given(st.lists(statements, max_size=8))
def test_a_chain_that_nobody_touched_holds(said: list[Statement]) -> None:
    """Whatever the agents are called and said, with all heads that it ever had."""
    chain = chain_of(*said)
    heads = [Head(), *(head_of(record) for record, _ in chain)]

    assert first_break(chain, RUN, heads) is None


_OTHERS = {
    "number": lambda n: n + 1,
    "run_id": lambda text: f"{text}x",
    "batch_id": lambda text: f"{text}x",
    "agent_id": lambda text: f"{text}x",
    "request_id": lambda text: f"{text or ''}x",
    "kind": lambda text: f"{text}x",
    "recorded_at": lambda at: at + 0.001,
    "sha256": lambda digest: digest[::-1] + "0",
    "kept_sha256": lambda digest: digest[::-1] + "0",
    "previous": lambda digest: digest[::-1] + "0",
    "digest": lambda digest: digest[::-1] + "0",
}


Tampered = tuple[Chain, int]  # and the first record (from 1) that is wrong then


def _a_field(chain: Chain, at: int, name: str) -> Tampered:
    record, kept = chain[at]
    changed = evolve(record, **{name: _OTHERS[name](getattr(record, name))})
    return [*chain[:at], (changed, kept), *chain[at + 1 :]], at + 1


def _the_content(chain: Chain, at: int, _: str) -> Tampered:
    record, kept = chain[at]
    return [*chain[:at], (record, f"{kept}."), *chain[at + 1 :]], at + 1


def _removed(chain: Chain, at: int, _: str) -> Tampered:
    return [*chain[:at], *chain[at + 1 :]], at + 1


def _repeated(chain: Chain, at: int, _: str) -> Tampered:
    return [*chain[: at + 1], *chain[at:]], at + 2


def _moved_to_the_end(chain: Chain, at: int, _: str) -> Tampered:
    moved = [*chain[:at], *chain[at + 1 :], chain[at]]
    return (moved if at < len(chain) - 1 else chain[:-1]), at + 1


def _inserted(chain: Chain, at: int, name: str) -> Tampered:
    # Linked as it should be: the next one shows that something is wrong, or the head.
    before, forged = Head(at, chain[at][0].previous), Statement("b", "a", name)
    record = link(before, RUN, forged, kept=name, recorded_at=0.0)
    wrong = [*chain[:at], (record, name), *chain[at:]]
    return wrong, at + 1 if at == len(chain) - 1 else at + 2


def _changed_and_mended(chain: Chain, at: int, _: str) -> Tampered:
    # By somebody who knows how digests are made.
    record, kept = chain[at]
    changed = evolve(record, agent_id=f"{record.agent_id}x")
    mended = evolve(changed, digest=digest_of(changed))
    wrong = [*chain[:at], (mended, kept), *chain[at + 1 :]]
    return wrong, at + 1 if at == len(chain) - 1 else at + 2


@pytest.mark.parametrize(
    "tamper",
    [
        _a_field,
        _the_content,
        _removed,
        _repeated,
        _moved_to_the_end,
        _inserted,
        _changed_and_mended,
    ],
)
@given(
    st.lists(statements, min_size=1, max_size=6),
    st.integers(0, 5),
    st.sampled_from(sorted(_OTHERS)),
)
def test_every_tampering_is_found_and_named(
    tamper: Callable[[Chain, int, str], Tampered],
    said: list[Statement],
    at: int,
    name: str,
) -> None:
    """Changed, removed, repeated, moved, inserted: the first wrong record is named."""
    chain = chain_of(*said)
    wrong, number = tamper(chain, at % len(chain), name)

    broken = first_break(wrong, RUN, [end_of(chain)])

    assert broken is not None
    assert broken.number == number, broken
    assert str(broken).startswith(f"record {number}: ")


@pytest.mark.parametrize("left", range(5))
def test_a_tail_that_is_gone_is_missed(left: int) -> None:
    """Also the whole of it; without a head nobody could tell."""
    chain = plain(5)

    broken = first_break(chain[:left], RUN, [end_of(chain)])

    assert broken is not None
    assert broken.number == left + 1
    assert f"had 5 records, {left} are left" in broken.problem
    assert first_break(chain[:left], RUN) is None


def test_a_tail_that_was_added_is_noticed() -> None:
    """Though it is linked as it should be."""
    chain = plain(4)

    broken = first_break(chain, RUN, [end_of(chain[:3])])

    assert broken is not None
    assert (broken.number, "only 3" in broken.problem) == (4, True)


@pytest.mark.parametrize("stale", range(1, 6))
def test_a_chain_that_was_written_anew_does_not_fit_an_old_head(stale: int) -> None:
    """Both heads speak, also when they are of the same length."""
    chain = plain(5)
    forged = chain_of(*(Statement("b", f"a{n}", "forged") for n in range(5)))

    broken = first_break(forged, RUN, [end_of(chain[:stale]), end_of(forged)])

    assert broken is not None
    assert broken.number == stale


def test_a_head_that_is_behind_lies_on_the_chain() -> None:
    """What a power cut leaves is no accusation."""
    chain = plain(5)

    assert first_break(chain, RUN, [end_of(chain[:2]), end_of(chain)]) is None


def test_what_is_kept_without_its_secrets_is_covered_too() -> None:
    """Two hashes: of what was said, and of what is kept."""
    statement = Statement("b", "a", "the key is sk-123")
    record = link(Head(), RUN, statement, kept="the key is ***", recorded_at=0.0)

    assert record.sha256 == content_hash("the key is sk-123")
    assert first_break([(record, "the key is ***")], RUN) is None
    assert first_break([(record, "the key is sk-123")], RUN) is not None


def test_the_digest_is_the_same_for_ever() -> None:
    """On every machine and in every version; a log of today is verified in ten years."""
    statement = Statement("b\u2028", "na\u00efve\ud800", "x", request_id=None)

    record = link(Head(), RUN, statement, kept="x", recorded_at=0.1)

    assert record.digest == (
        "a156bcbf242b95a12107c4f0afc4a199ddd338d7f43978d7cc719b93c5e3bd5a"
    )
