"""From a question to an answer in virtual time: every phase, fair weather and a crash."""

import asyncio

import pytest
from attrs import evolve

from muster.application.fleet import FleetEngine
from muster.application.soar.ledger import place_of
from muster.application.soar.pipeline import Soar
from muster.application.soar.respond import Detail, document, lines, plan_lines
from muster.domain.complexity import Complexity
from muster.domain.errors import JournalError
from muster.domain.knowledge import Chunk
from muster.domain.outcome import Usage
from muster.domain.question import Question
from muster.domain.run_report import RunStatus
from muster.domain.soar_events import Phase, PhaseBegan, PhaseEnded, SubgoalsRouted
from muster.domain.synthesis import Claim
from muster.testing import fails, hangs, in_virtual_time, replies, waits
from tests.unit.application.questions import (
    CODER,
    HARD,
    TWO,
    Inquiry,
    Shelf,
    answer,
    split,
    subgoal,
)

EASY = "What is a parser?"


@in_virtual_time
async def test_all_phases_in_order() -> None:
    """Each is told as it begins and ends, and costs what its agents cost."""
    asking = Inquiry().says(decompose=TWO, synthesize=answer("Yes.", 0.9, 1, 2))

    report = await asking.run()

    began = [each.phase for each in asking.events if isinstance(each, PhaseBegan)]
    assert began == list(Phase)
    ended = [each for each in asking.events if isinstance(each, PhaseEnded)]
    assert tuple(ended) == report.phases
    asked = {each.phase: each.asked for each in ended if each.asked}
    assert asked == {Phase.DECOMPOSE: 1, Phase.COLLECT: 2, Phase.SYNTHESIZE: 1}
    assert asking.asked() == ["decompose", "s1", "s2", "synthesize"]
    assert report.status is RunStatus.SUCCEEDED
    assert report.answer is not None
    assert report.answer.text == "Yes."
    assert report.answer.claims == (Claim("Yes.", (1, 2)),)
    assert not report.answer.missing
    assert asking.journal.summary["soar"]["confidence"] == 0.9


@in_virtual_time
async def test_a_simple_question_is_answered_directly() -> None:
    """By one agent, with the confidence that it names."""
    asking = Inquiry(EASY).says(answer=answer("A reader.", 0.7))

    report = await asking.run()

    assert asking.asked() == ["answer"]
    assert report.answer is not None
    assert (report.answer.text, report.answer.confidence) == ("A reader.", 0.7)
    assert asking.shelf.asked == [(EASY, 5)]


@in_virtual_time
async def test_whoever_wants_subgoals_gets_them() -> None:
    """For a plan, however simple the goal is."""
    asking = Inquiry(EASY, options={"at_least": Complexity.MEDIUM, "dry_run": True})
    asking.says(decompose=TWO)

    report = await asking.run()

    assert len(report.subgoals) == 2
    assert "at most 2" in asking.prompt("decompose")


@in_virtual_time
async def test_the_prompts_hold_what_is_needed() -> None:
    """Material and agents for the model; who it is and what was before for an agent."""
    chunk = Chunk("src/a.py", "def parse(): ...", 3, 9, 1.0)
    asking = Inquiry(profiles=[CODER], shelf=Shelf([chunk]))
    asking.says(decompose=TWO, synthesize=answer(), s1="line 4 is it")

    await asking.run()

    first = asking.prompt("decompose")
    assert "> --- src/a.py:3-9\n> def parse(): ..." in first
    assert "- coder: Writes and refactors Python code" in first
    second = asking.prompt("s2")
    assert "✓ [s1]: line 4 is it" in second
    assert "act as a reader specialist" in second
    assert "> def parse(): ..." in second
    assert "Subgoal 1 (look):\n> line 4 is it" in asking.prompt("synthesize")


@in_virtual_time
async def test_agents_are_known_or_made_up() -> None:
    """Made-up ones have no agent for the tool, and are counted over the whole run."""
    known = subgoal("code", assigned_agent="coder", match_quality="excellent")
    asking = Inquiry(profiles=[CODER])
    asking.says(decompose=split(known, subgoal("look")), synthesize=answer())

    report = await asking.run()

    agents = {c.request.task_id: c.request.agent for c in asking.stub.calls}
    assert (agents["s1"], agents["s2"]) == ("coder", None)
    assert report.collected is not None
    told = report.collected.execution_metadata
    assert (told["spawn_count"], told["spawned_agents"]) == (1, ["adhoc-reader"])
    [routed] = [each for each in asking.events if isinstance(each, SubgoalsRouted)]
    assert routed.subgoals == ((1, "coder", "code"), (2, "adhoc-reader", "look"))


@in_virtual_time
async def test_a_dry_run_stops_after_the_route() -> None:
    """The plan is there, nobody has worked on it, and another process goes on."""
    asking = Inquiry(options={"dry_run": True}).says(decompose=TWO)

    report = await asking.run()

    assert asking.asked() == ["decompose"]
    assert report.status is RunStatus.PARTIAL
    assert list(plan_lines(report))[:2] == ["1. look", "   adhoc-reader (ad-hoc)"]

    after = asking.again(options={}).says(synthesize=answer())
    report = await after.run()

    assert after.asked() == ["s1", "s2", "synthesize"]
    assert report.status is RunStatus.SUCCEEDED


@pytest.mark.parametrize("held", ["decompose", "s1", "s2", "synthesize"])
def test_a_crash_at_any_moment_costs_one_question(held: str) -> None:
    """Nobody who has answered is asked again, whatever has changed meanwhile."""

    @in_virtual_time
    async def check() -> None:
        script = {"decompose": TWO, "synthesize": answer()}
        first = Inquiry(profiles=[]).on(held, hangs()).says(**script)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await first.run()

        second = first.again(profiles=[CODER], shelf=Shelf(digest="other"))
        report = await second.says(**script).run()

        order = ["decompose", "s1", "s2", "synthesize"]
        assert second.asked() == order[order.index(held) :]
        assert report.status is RunStatus.SUCCEEDED
        before = {each.phase for each in report.phases if each.recalled}
        assert {Phase.ASSESS, Phase.RETRIEVE} <= before
        assert second.shelf.asked == []

    check()


@in_virtual_time
async def test_a_finished_question_is_told_again() -> None:
    """Nobody is asked."""
    first = Inquiry().says(decompose=TWO, synthesize=answer("Yes."))
    await first.run()

    second = first.again(options={"uses_cache": False})
    report = await second.run()

    assert second.asked() == []
    assert report.answer is not None
    assert report.answer.text == "Yes."


@in_virtual_time
async def test_what_failed_is_tried_again_on_request() -> None:
    """And the answer is made anew, of more."""
    script = {"decompose": TWO, "synthesize": answer("Half.")}
    first = Inquiry().on("s1", fails("auth")).says(**script)
    assert (await first.run()).status is RunStatus.FAILED

    same = first.again(options={"uses_cache": False})
    assert (await same.run()).status is RunStatus.FAILED
    assert same.asked() == []

    better = same.again(options={"uses_cache": False, "retry_failed": True})
    report = await better.says(synthesize=answer("Whole.")).run()

    assert better.asked() == ["s1", "synthesize"]
    assert report.answer is not None
    assert report.answer.text == "Whole."
    assert not report.answer.missing


@in_virtual_time
async def test_the_same_question_is_answered_from_the_cache() -> None:
    """Marked, and only while the sources are as they were."""
    script = {"decompose": TWO, "synthesize": answer("Yes.", 0.6)}
    first = Inquiry().says(**script)
    await first.run()
    shared = {"notebook": first.notebook}

    second = Inquiry(f"  {HARD} ", **shared)  # type: ignore[arg-type]
    report = await second.run()
    assert second.asked() == []
    assert report.answer is not None
    assert (report.answer.text, report.answer.cached_from) == ("Yes.", "memory")
    assert "from the cache (run memory)" in "\n".join(lines(report))
    assert document(report)["cached"] is True

    changed = Inquiry(shelf=Shelf(digest="changed"), **shared).says(**script)  # type: ignore[arg-type]
    await changed.run()
    assert len(changed.asked()) == 4

    forced = Inquiry(options={"uses_cache": False}, **shared).says(**script)  # type: ignore[arg-type]
    await forced.run()
    assert len(forced.asked()) == 4


@pytest.mark.parametrize(
    ("confidence", "kept", "learned"),
    [(0.49, 0, 0), (0.5, 1, 0), (0.79, 1, 0), (0.8, 1, 1)],
)
def test_what_is_kept_depends_on_the_confidence(
    confidence: float, kept: int, learned: int
) -> None:
    """Below 0.5 nothing, from 0.5 the answer, from 0.8 also its pattern."""

    @in_virtual_time
    async def check() -> None:
        asking = Inquiry()
        asking.says(decompose=TWO, synthesize=answer("Yes.", confidence))

        await asking.run()

        book = asking.notebook
        assert (len(book.kept), len(book.learned)) == (kept, learned)
        assert len(book.logs) == 1
        assert "Yes." in book.logs[0]

    check()


@in_virtual_time
async def test_a_pattern_is_shown_for_questions_like_it() -> None:
    """And for no others."""
    first = Inquiry().says(decompose=TWO, synthesize=answer("Yes.", 0.95))
    await first.run()

    like = Inquiry(HARD.replace("tests", "docs"), notebook=first.notebook)
    await like.says(decompose=TWO, synthesize=answer()).run()
    other = Inquiry(
        "Deploy the database to production and encrypt all of its backups",
        notebook=first.notebook,
    )
    await other.says(decompose=TWO, synthesize=answer()).run()

    assert "was once answered well" in like.prompt("decompose")
    assert "was once answered well" not in other.prompt("decompose")


@in_virtual_time
async def test_an_interruption_asks_nobody_further() -> None:
    """What runs is ended; another process goes on from there."""
    asking = Inquiry().says(decompose=TWO, synthesize=answer())
    asking.on("s1", waits(10) + replies("done"))
    asyncio.get_running_loop().call_later(1, asking.crew.fleet.stop)

    report = await asking.run()

    assert report.status is RunStatus.INTERRUPTED
    assert report.answer is None
    assert asking.asked() == ["decompose", "s1"]

    after = asking.again()
    report = await after.says(synthesize=answer()).run()
    assert after.asked() == ["s1", "s2", "synthesize"]
    assert report.status is RunStatus.SUCCEEDED


@in_virtual_time
async def test_without_a_journal_nothing_goes_on() -> None:
    """What can't be recorded is not acted on."""
    asking = Inquiry().says(decompose=TWO)
    asking.journal.broken = True

    with pytest.raises(JournalError):
        await asking.run()

    assert asking.asked() == []


@in_virtual_time
async def test_secrets_go_to_no_model() -> None:
    """Neither from the question nor from the project nor from an agent."""
    chunk = Chunk("a.env", "TOKEN=hunter2", 1, 1, 1.0)
    options = {"mask": lambda text: text.replace("hunter2", "***")}
    asking = Inquiry(f"{HARD} hunter2", shelf=Shelf([chunk]), options=options)
    asking.says(decompose=TWO, synthesize=answer(), s1="it is hunter2")

    await asking.run()

    for task_id in ("decompose", "s1", "synthesize"):
        assert "hunter2" not in asking.prompt(task_id)


@in_virtual_time
async def test_who_may_not_start_does_not() -> None:
    """A refusal passes through, and what was found out before is kept."""

    async def refuse(*_: object) -> tuple[()]:
        raise PermissionError

    asking = Inquiry(options={"consent": refuse}).says(decompose=TWO)
    with pytest.raises(PermissionError):
        await asking.run()
    assert asking.asked() == ["decompose"]

    async def agree(*_: object) -> tuple[dict[str, str]]:
        return ({"question": "start?", "answer": "y"},)

    after = asking.again(options={"consent": agree}).says(synthesize=answer())
    report = await after.run()

    assert after.asked() == ["s1", "s2", "synthesize"]
    assert report.collected is not None
    [said] = report.collected.user_interactions
    assert said["answer"] == "y"


@in_virtual_time
async def test_nothing_to_ask_and_nowhere_to_keep() -> None:
    """Neither knowledge nor a memory nor a journal is needed."""
    asking = Inquiry().says(decompose=TWO, synthesize=answer())
    asking.crew.fleet.context.journal = None
    soar = Soar(asking.crew.fleet.context, Question(HARD))

    report = await soar.run()

    assert report.status is RunStatus.SUCCEEDED
    assert report.run_id is None
    assert report.phases[-2].detail == "nothing is kept"


@in_virtual_time
async def test_a_simple_dry_run_asks_nobody() -> None:
    """One agent would answer."""
    asking = Inquiry(EASY, options={"dry_run": True})

    report = await asking.run()

    assert asking.asked() == []
    assert list(plan_lines(report)) == [
        "the question is answered directly, by one agent"
    ]
    assert list(lines(report)) == []


@in_virtual_time
async def test_the_material_is_bounded() -> None:
    """The best chunks have their say first."""
    chunks = [Chunk(f"{n}.py", f"chunk {n} " * 2000, 1, 9, 1.0) for n in range(9)]
    asking = Inquiry(EASY, shelf=Shelf(chunks)).says(answer=answer())

    report = await asking.run()

    text = asking.prompt("answer")
    assert "--- 0.py:1-9" in text
    assert "--- 4.py:1-9" not in text
    assert len(text) < 40_000
    assert "Sources:\n- 0.py:1-9" in "\n".join(lines(report, Detail.VERBOSE))


@in_virtual_time
async def test_costs_are_told_by_phase() -> None:
    """Tokens and money of whoever was asked there; of what was known, nothing."""
    script = {"decompose": TWO, "synthesize": answer()}
    first = Inquiry(options={"dry_run": True})
    first.on("decompose", replies(TWO, usage=Usage(input_tokens=10, cost_usd=0.5)))
    await first.run()
    second = first.again(options={}).says(s1="x", **script)
    second.on("s2", replies("y", usage=Usage(output_tokens=7)))

    report = await second.run()

    cost = {each.phase: each.usage for each in report.phases}
    assert cost[Phase.DECOMPOSE] is None
    assert cost[Phase.COLLECT] == Usage(output_tokens=7)
    told = "\n".join(lines(report, Detail.VERBOSE))
    assert "- decompose: 2 subgoals, 0.00 s, known from before" in told
    assert "- collect: 2 of 2 answered, 0.00 s, 7 tokens" in told
    before = "\n".join(
        lines(evolve(report, phases=first.soar.book.phases), Detail.VERBOSE)
    )
    assert "2 subgoals, 0.00 s, 10 tokens, $0.5000" in before


@in_virtual_time
async def test_an_interruption_before_the_agents() -> None:
    """Nobody is started, whatever a person says meanwhile."""
    fleet: list[FleetEngine] = []

    async def too_late(*_: object) -> tuple[()]:
        fleet[0].drain()
        return ()

    asking = Inquiry(options={"consent": too_late}).says(decompose=TWO)
    fleet.append(asking.crew.fleet)

    report = await asking.run()

    assert asking.asked() == ["decompose"]
    assert report.status is RunStatus.INTERRUPTED


@in_virtual_time
async def test_an_interruption_while_the_model_thinks() -> None:
    """It finishes, and is not asked again for something better."""
    asking = Inquiry().on("decompose", waits(2) + replies("prose"))
    asyncio.get_running_loop().call_later(1, asking.crew.fleet.drain)

    report = await asking.run()

    assert asking.asked() == ["decompose"]
    assert report.status is RunStatus.INTERRUPTED


@pytest.mark.parametrize("name", ["plan", "s0", "s01", "sx", ""])
def test_tasks_that_no_question_has(name: str) -> None:
    """Have no place."""
    with pytest.raises(KeyError):
        place_of(name)


def test_places_are_in_the_order_of_the_work() -> None:
    """However many subgoals there are."""
    names = [
        "assess",
        "retrieve",
        "decompose",
        "route",
        "s1",
        "s2",
        "s72",
        "synthesize",
    ]

    assert sorted(names, key=place_of) == names


@pytest.mark.parametrize(
    ("detail", "holds", "lacks"),
    [
        (Detail.QUIET, ["Yes."], ["confidence", "Phases"]),
        (Detail.NORMAL, ["Yes.", "confidence 0.90, 2 of 2"], ["Claims", "Phases"]),
        (
            Detail.VERBOSE,
            [
                "Claims:\n- Yes. [subgoals: 1, 2]",
                "Subgoals:\n1. look",
                "- decompose: 2",
            ],
            [],
        ),
    ],
)
def test_as_much_is_said_as_is_asked_for(
    detail: Detail, holds: list[str], lacks: list[str]
) -> None:
    """Quiet, normal, verbose."""

    @in_virtual_time
    async def check() -> None:
        asking = Inquiry().says(decompose=TWO, synthesize=answer("Yes.", 0.9, 1, 2))

        text = "\n".join(lines(await asking.run(), detail))

        assert [each for each in holds if each not in text] == []
        assert [each for each in lacks if each in text] == []

    check()
