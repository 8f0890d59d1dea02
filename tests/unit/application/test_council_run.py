"""A council in virtual time: what it comes to, whatever its members do."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest

from muster.domain.ballot import Unreadable, Vote
from muster.domain.council import Council
from muster.domain.council_events import (
    AskedAgain,
    Concluded,
    MemberAbsent,
    RoundBegan,
    StatementCommitted,
)
from muster.domain.errors import JournalError, SystemHaltedError
from muster.domain.outcome import FailureCause, SpawnResult
from muster.domain.run_report import RunStatus
from muster.domain.task import AgentRequest
from muster.testing import (
    fails,
    hangs,
    in_virtual_time,
    raises,
    replies,
    waits,
)
from tests.unit.application.chamber import (
    NAMES,
    Session,
    is_second,
    is_vote,
    member_of,
    round_of,
    vote,
)

FIVE = Council("Shall we move?", NAMES)


def of(name: str, *numbers: int) -> Callable[[AgentRequest], bool]:
    """A question to that member, in one of those rounds."""
    return lambda request: (
        member_of(request) == name and (not numbers or round_of(request) in numbers)
    )


@in_virtual_time
async def test_four_rounds_and_a_decision() -> None:
    """Assess, position, cross-examine, vote: each asks everybody once."""
    session = Session(FIVE).votes(emil=vote("reject", 0.6, "too far"))

    report = await session.held()

    verdict = report.verdict
    assert (verdict.outcome, verdict.choice, verdict.rounds) == (
        "decided",
        "approve",
        4,
    )
    assert verdict.tally == {"approve": 4, "reject": 1}
    assert verdict.dissents == {"emil": Vote("reject", 0.6, "too far")}
    assert report.status is RunStatus.SUCCEEDED
    assert [each.phase for each in session.of(RoundBegan)] == [
        "assess",
        "position",
        "cross-examine",
        "vote",
    ]
    assert len(session.asked()) == 20
    assert session.asked()[:2] == ["1-assess-ann", "1-assess-ben"]
    assert report.summary["council"]["choice"] == "approve"
    assert [each.task_index for each in report.results.values()] == list(range(20))


@in_virtual_time
async def test_prompts_and_contexts_are_everybodys_own() -> None:
    """From the second round on the others' committed words are in them."""
    session = Session(FIVE).votes()
    session.crew.stub.on(lambda _: True, replies(lambda r: f"so says {member_of(r)}"))

    await session.held()

    prompts = {str(c.request.task_id): c.request.text for c in session.crew.stub.calls}
    assert "so says" not in prompts["1-assess-ann"]
    assert "ben:\n> so says ben" in prompts["2-position-ann"]
    assert "What you said before:\n> so says ann" in prompts["2-position-ann"]
    assert len(set(prompts.values())) == 20


@in_virtual_time
async def test_all_are_asked_at_once() -> None:
    """A round takes as long as its slowest member."""
    session = Session(Council("t", [f"m{n}" for n in range(72)]))
    session.crew.stub.on(is_vote, waits(10) + replies(vote("approve")))
    session.crew.stub.on(lambda _: True, waits(10) + replies("hm"))

    report = await session.held()

    assert session.crew.stub.peak_active == 72
    assert report.summary["duration_s"] == pytest.approx(40, abs=0.5)


@in_virtual_time
async def test_no_more_are_asked_at_once_than_may_be() -> None:
    """The rest waits for its turn."""
    session = Session(FIVE, at_once=2).votes()

    await session.held()

    assert session.crew.stub.peak_active == 2


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("I approve of it.", "no JSON object"),
        ('{"choice": "approve"', "no JSON object"),
        ('{"choice": "maybe"}', "none of the choices"),
    ],
)
@pytest.mark.parametrize("second", [True, False])
def test_an_unreadable_vote_is_asked_for_once_more(
    answer: str, problem: str, second: object
) -> None:
    """In prose, in wrong JSON, for a choice that does not exist; then it abstains."""

    @in_virtual_time
    async def check() -> None:
        session = Session(FIVE)
        better = vote("reject", 0.3, "on reflection")
        session.crew.stub.on(is_second, replies(better if second else answer))
        session.votes(cleo=answer)

        report = await session.held()

        poll = report.verdict.poll
        assert session.of(AskedAgain) == [AskedAgain(4, ("cleo",))]
        assert session.asked()[-1] == "4-again-cleo"
        assert session.asked().count("4-again-cleo") == 1
        if second:
            assert poll.votes["cleo"] == Vote("reject", 0.3, "on reflection")
            assert not poll.abstentions
        else:
            assert problem in poll.abstentions["cleo"].reason
            assert report.verdict.tally == {"approve": 4, "reject": 0}
        said = [each for each in session.of(StatementCommitted) if each.number == 4]
        assert [isinstance(each.ballot, Unreadable) for each in said].count(True) == (
            1 if second else 2
        )

    check()


@in_virtual_time
async def test_who_fails_when_asked_again_abstains() -> None:
    """It was present, and has cast no vote."""
    session = Session(FIVE)
    session.crew.stub.on(is_second, fails("auth"))
    session.votes(ben="hm")

    report = await session.held()

    assert (
        "asked again: simulated auth" in report.verdict.poll.abstentions["ben"].reason
    )
    assert report.verdict.outcome == "decided"


@in_virtual_time
async def test_who_hangs_is_absent_and_holds_nobody_up_for_ever() -> None:
    """Its time is over some day; the others' votes count."""
    session = Session(FIVE)
    session.crew.stub.on(of("dora"), hangs())
    session.votes()

    report = await session.held()

    assert report.verdict.outcome == "decided"
    assert report.verdict.tally == {"approve": 4, "reject": 0}
    assert list(report.verdict.poll.absent) == ["dora"]
    assert len(session.of(MemberAbsent)) == 4
    assert report.summary["duration_s"] < 4 * session.run.agents.limit


@in_virtual_time
async def test_all_fail() -> None:
    """Then there is no quorum in the first round, and no second one."""
    session = Session(FIVE)
    session.crew.stub.on(lambda _: True, fails("auth"))

    report = await session.held()

    assert report.verdict.outcome == "no_quorum"
    assert report.verdict.rounds == 1
    assert len(report.verdict.poll.absent) == 5
    assert report.verdict.to_dict()["votes"] == []
    assert report.status is not RunStatus.SUCCEEDED
    assert set(session.asked()) == {f"1-assess-{n}" for n in NAMES}


@in_virtual_time
async def test_a_quorum_that_is_missed_at_the_vote() -> None:
    """A failed member is no vote, whatever it had said before."""
    session = Session(Council("t", NAMES, quorum="all"))
    session.crew.stub.on(of("ann", 4), fails("invalid_model"))
    session.votes()

    report = await session.held()

    assert report.verdict.outcome == "no_quorum"
    assert "4 of 5 members were present in round 4" in report.verdict.reason
    assert report.status is RunStatus.FAILED
    assert "invalid_model" in report.verdict.poll.absent["ann"]


@in_virtual_time
async def test_a_deadlock_after_the_last_round() -> None:
    """Votes are held again until then, each with the reasons of the one before."""
    session = Session(FIVE).votes(
        ann=vote("reject"), ben=vote("reject"), cleo=vote("abstain", reason="torn")
    )

    report = await session.held()

    assert report.verdict.outcome == "deadlock"
    assert report.verdict.rounds == 6
    assert report.verdict.poll.abstentions["cleo"].is_deliberate
    assert not session.of(AskedAgain), "who abstains has been understood"
    prompt = session.crew.stub.calls_of("ann")[-1:] or session.crew.stub.calls[-5:]
    assert "2 for 'approve', 2 for 'reject', 1 abstained" in prompt[0].request.text


@in_virtual_time
async def test_a_later_vote_may_decide() -> None:
    """Whoever is convinced changes its vote."""
    session = Session(FIVE)
    session.crew.stub.on(
        is_vote,
        replies(
            lambda r: (
                vote(
                    "reject"
                    if member_of(r) in "ann ben cleo" and round_of(r) < 5
                    else "approve"
                )
                if member_of(r) != "cleo" or round_of(r) > 4
                else vote("abstain")
            )
        ),
    )

    report = await session.held()

    assert (report.verdict.outcome, report.verdict.rounds) == ("decided", 5)


@in_virtual_time
async def test_a_halt_in_the_second_round() -> None:
    """Ends what runs, asks nobody more, keeps what was said."""
    session = Session(FIVE)

    def smoke(request: AgentRequest) -> str:
        session.bench.halt("smoke")
        return "too late for me"

    session.crew.stub.on(of("ben", 2), waits(1) + replies(smoke))
    session.crew.stub.on(of("ann", 2), replies("quick"))
    session.crew.stub.on(lambda r: round_of(r) == 2, hangs())

    report = await session.held()

    assert (report.verdict.outcome, report.verdict.reason) == ("halted", "smoke")
    assert (report.verdict.rounds, report.status) == (2, RunStatus.HALTED)
    assert report.rounds[1].statements["ann"] == "quick"
    causes = {each.cause for each in report.rounds[1].absent.values()}
    assert causes == {FailureCause.HALTED}
    assert session.crew.stub.active == 0
    assert "verdict" not in session.scribe.hashes()


@in_virtual_time
async def test_a_halt_before_the_first_round() -> None:
    """Nobody is asked."""
    session = Session(FIVE)
    session.bench.halt("closed")

    report = await session.held()

    assert (report.verdict.outcome, report.verdict.reason) == ("halted", "closed")
    assert session.asked() == []


@in_virtual_time
async def test_a_member_that_halts_everybody() -> None:
    """As any agent may."""
    session = Session(FIVE)
    session.crew.stub.on(of("ann", 2), raises(SystemHaltedError("I saw it coming")))
    session.crew.stub.on(lambda _: True, replies("hm"))

    report = await session.held()

    assert report.verdict.outcome == "halted"
    assert "I saw it coming" in report.verdict.reason
    assert report.verdict.rounds == 2


@pytest.mark.parametrize("way", ["drain", "stop"])
@in_virtual_time
async def test_an_interruption_ends_it_and_it_can_go_on(way: str) -> None:
    """What was said before is kept; the rest is asked again."""
    session = Session(FIVE)
    interrupt = getattr(session.crew.fleet, way)

    def ctrl_c(request: AgentRequest) -> str:
        interrupt("interrupted")
        return "I was running"

    session.crew.stub.on(of("ann", 3), replies(ctrl_c))
    session.crew.stub.on(lambda r: round_of(r) == 3, waits(5) + replies("late"))

    report = await session.held()

    assert report.status is RunStatus.INTERRUPTED
    assert report.verdict.rounds == 3
    again = Session(FIVE, session).votes()
    assert (await again.held()).verdict.outcome == "decided"
    asked = [each for each in again.asked() if not each.startswith("4-")]
    done = report.rounds[2].statements
    assert sorted(asked) == [f"3-cross-examine-{n}" for n in NAMES if n not in done]


@in_virtual_time
async def test_a_council_that_died_in_its_third_round_asks_nobody_twice() -> None:
    """The journal has what was said; the answers are the same, and so are the questions."""
    first = Session(FIVE)
    first.crew.stub.on(of("ann", 3), replies("I was heard"))
    first.crew.stub.on(lambda r: round_of(r) == 3, hangs())
    first.crew.stub.on(lambda _: True, replies(lambda r: f"{r.task_id}!"))
    await _killed(first, after=1.0)

    second = Session(FIVE, first).votes()
    report = await second.held()

    rest = [f"3-cross-examine-{name}" for name in NAMES[1:]]
    votes = [f"4-vote-{name}" for name in NAMES]
    assert second.asked() == [*rest, *votes]
    assert report.verdict.outcome == "decided"
    assert report.rounds[0].statements["ben"] == "1-assess-ben!"
    assert report.rounds[2].statements["ann"] == "I was heard"
    assert len(report.results) == 20
    ids = [record.request_id for record, _ in second.scribe.said]
    assert len(ids) == len(set(ids)) == 21


@in_virtual_time
async def test_a_council_that_is_done_comes_to_the_same_again() -> None:
    """And asks nobody; its verdict is recorded once."""
    first = Session(FIVE).votes(emil="never heard of it")
    one = await first.held()

    second = Session(FIVE, first)
    two = await second.held()

    assert second.asked() == []
    assert one.verdict == two.verdict
    assert first.scribe.hashes().keys() >= {"verdict"}
    assert [r.kind for r, _ in second.scribe.said].count("verdict") == 1


@in_virtual_time
async def test_a_failure_stays_when_the_council_goes_on() -> None:
    """Or the later rounds would be other rounds."""
    first = Session(FIVE)
    first.crew.stub.on(of("ben", 1), fails("invalid_model"))
    first.crew.stub.on(lambda r: round_of(r) == 2, hangs())
    await _killed(first, after=1.0)

    second = Session(FIVE, first).votes()
    report = await second.held()

    assert not [each for each in second.asked() if each.startswith("1-")]
    assert list(report.rounds[0].absent) == ["ben"]


@in_virtual_time
async def test_an_answer_without_a_witness_is_committed_when_it_goes_on() -> None:
    """It was never seen by anybody; it is not asked for again."""
    first = Session(FIVE)
    first.crew.stub.on(lambda r: round_of(r) == 2, hangs())
    await _killed(first, after=1.0)
    lost = first.scribe.said.pop()

    second = Session(FIVE, first).votes()
    await second.held()

    assert lost[0].request_id in second.scribe.hashes()
    assert lost[0].request_id not in second.asked()


@in_virtual_time
async def test_another_topic_is_another_council() -> None:
    """What was said about something else is no answer."""
    first = Session(FIVE).votes()
    await first.held()

    second = Session(Council("Shall we stay?", NAMES), first).votes()
    await second.held()

    assert len(second.asked()) == 20


@in_virtual_time
async def test_a_journal_that_breaks_ends_the_council() -> None:
    """Nobody is asked whose answer would be lost."""
    session = Session(FIVE)
    session.journal.broken = True

    with pytest.raises(JournalError):
        await session.held()

    assert not [each for each in session.asked() if each.startswith("2-")]


@in_virtual_time
async def test_nothing_is_told_before_it_is_witnessed() -> None:
    """Commit before view."""
    session = Session(FIVE).votes()
    seen: list[bool] = []

    def look(event: object) -> None:
        if isinstance(event, StatementCommitted):
            name = f"{event.number}-{event.phase}-{event.member}"
            seen.append(name in session.scribe.hashes())
        if isinstance(event, Concluded):
            session.events.append(event)

    session.run.listener = look
    await session.held()

    assert seen == [True] * 20
    assert session.of(Concluded)


@in_virtual_time
async def test_secrets_reach_no_other_member() -> None:
    """What is masked on disk is masked in the next prompt, or resuming would differ."""
    session = Session(FIVE, mask=lambda text: text.replace("hunter2", "***")).votes()
    session.crew.stub.on(lambda _: True, replies("the password is hunter2"))

    report = await session.held()

    texts = [call.request.text for call in session.crew.stub.calls]
    assert not any("hunter2" in text for text in texts)
    assert report.rounds[0].statements["ann"] == "the password is ***"


async def _killed(session: Session, *, after: float) -> None:
    """A SIGKILL: what was recorded is there, and nothing that comes later."""
    with suppress(TimeoutError):
        async with asyncio.timeout(after):
            await session.held()
    # What ended because it was cancelled would not have been recorded.
    results = session.journal.results
    results[:] = [each for each in results if each.success or _is_own_fault(each)]


def _is_own_fault(result: SpawnResult) -> bool:
    return result.failure is not None and result.failure.cause.is_agent_failure
