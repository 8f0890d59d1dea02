"""Respond: what a question came to, for people and for programs."""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

from attrs import field, frozen

from muster.application.soar.collect import CollectResult
from muster.domain.assignment import Assignment
from muster.domain.complexity import Assessment
from muster.domain.outcome import SpawnResult
from muster.domain.question import Question
from muster.domain.run_report import RunStatus
from muster.domain.soar_events import PhaseEnded
from muster.domain.subgoals import Subgoal
from muster.domain.synthesis import Answer


class Detail(StrEnum):
    """How much is said."""

    QUIET = "quiet"
    NORMAL = "normal"
    VERBOSE = "verbose"


@frozen
class SoarReport:
    """A question from its first phase to its last. ``problem`` is why it has no answer."""

    run_id: str | None
    status: RunStatus
    question: Question
    assessment: Assessment
    sources: tuple[str, ...] = ()
    subgoals: tuple[Subgoal, ...] = ()
    assignments: tuple[Assignment, ...] = ()
    collected: CollectResult | None = None
    answer: Answer | None = None
    problem: str | None = None
    phases: tuple[PhaseEnded, ...] = ()
    warnings: tuple[str, ...] = ()
    results: Mapping[str, SpawnResult] = field(factory=dict)
    summary: Mapping[str, Any] = field(factory=dict)

    @property
    def is_simulated(self) -> bool:
        """Whether an agent that took part was a simulation."""
        return any(each.simulated for each in self.results.values()) or bool(
            self.answer and self.answer.simulated
        )


def document(report: SoarReport) -> dict[str, Any]:
    """All of it as JSON-ready values."""
    assessment, collected = report.assessment, report.collected
    answer = report.answer.to_dict() if report.answer else {"answer": None}
    return {
        "run_id": report.run_id,
        "status": report.status.value,
        "question": report.question.text,
        "problem": report.problem,
        **answer,
        "simulated": report.is_simulated,
        "assessment": {
            "complexity": assessment.level.value,
            "score": assessment.score,
            "confidence": assessment.confidence,
            "reasons": list(assessment.reasons),
        },
        "sources": list(report.sources),
        "subgoals": [each.to_dict() for each in report.subgoals],
        "assignments": [each.to_dict() for each in report.assignments],
        "agent_outputs": [each.to_dict() for each in collected.agent_outputs]
        if collected
        else [],
        "execution_metadata": dict(collected.execution_metadata) if collected else None,
        "user_interactions": list(collected.user_interactions) if collected else [],
        "fallback_agents": list(collected.fallback_agents) if collected else [],
        "warnings": list(report.warnings),
        "phases": [each.to_dict() for each in report.phases],
        "summary": dict(report.summary),
    }


def lines(report: SoarReport, detail: Detail = Detail.NORMAL) -> Iterator[str]:
    """What a person reads. Quiet: the answer, and what is missing of it."""
    answer = report.answer
    if answer is None:
        if report.problem is not None:
            yield f"no answer: {report.problem}"
        return
    mark = " [simulated]" if report.is_simulated else ""
    yield answer.text + mark
    yield from _lacking(answer)
    if detail is Detail.QUIET:
        return
    yield ""
    yield _sureness(report, answer)
    yield from (f"note: {each}" for each in (*answer.notes, *report.warnings))
    if detail is Detail.VERBOSE:
        yield from _verbose(report, answer)


def plan_lines(report: SoarReport) -> Iterator[str]:
    """What would be worked on, by whom and after what."""
    if not report.subgoals:
        yield "the question is answered directly, by one agent"
        return
    for number, (subgoal, who) in enumerate(
        zip(report.subgoals, report.assignments, strict=True), start=1
    ):
        mark = " (critical)" if subgoal.is_critical else ""
        needs = ", ".join(map(str, subgoal.depends_on))
        after = f", after {needs}" if needs else ""
        yield f"{number}. {subgoal.description}{mark}"
        yield f"   {who.name} ({who.way.value}){after}"


def conversation(
    question: Question, answer: Answer, subgoals: Sequence[Subgoal], at: str
) -> str:
    """A question and its answer as a page to be kept."""
    parts = [f"# {at}", "", "## Question", "", question.text.strip(), "", "## Answer"]
    parts += ["", answer.text.strip(), *_lacking(answer)]
    parts += ["", f"Confidence: {answer.confidence:.2f}"]
    if subgoals:
        parts += ["", "## Subgoals", ""]
        numbered = enumerate(subgoals, start=1)
        parts += [f"{number}. {each.description}" for number, each in numbered]
    if answer.claims:
        parts += ["", "## Claims", "", *(f"- {each}" for each in _claims(answer))]
    return "\n".join(parts) + "\n"


def _lacking(answer: Answer) -> Iterator[str]:
    if answer.missing or answer.gaps:
        yield ""
        yield "Missing:"
        yield from (f"- {each}" for each in answer.missing)
        yield from (f"- {each}" for each in answer.gaps)


def _sureness(report: SoarReport, answer: Answer) -> str:
    words = f"confidence {answer.confidence:.2f}"
    if answer.cached_from is not None:
        return f"{words}, from the cache (run {answer.cached_from}); nobody was asked"
    total = len(report.subgoals)
    if total:
        words += f", {total - len(answer.missing)} of {total} subgoals answered"
    seconds = sum(each.seconds for each in report.phases)
    return f"{words}, {seconds:.1f} s"


def _claims(answer: Answer) -> Iterator[str]:
    for each in answer.claims:
        from_which = ", ".join(map(str, each.subgoals)) or "none"
        yield f"{each.text} [subgoals: {from_which}]"


def _verbose(report: SoarReport, answer: Answer) -> Iterator[str]:
    assessment = report.assessment
    reasons = "; ".join(assessment.reasons)
    yield ""
    yield (
        f"{assessment.level.value.lower()} (score {assessment.score:.2f}, sure to "
        f"{assessment.confidence:.2f}): {reasons}"
    )
    if answer.claims:
        yield ""
        yield "Claims:"
        yield from (f"- {each}" for each in _claims(answer))
    if report.sources:
        yield ""
        yield "Sources:"
        yield from (f"- {each}" for each in report.sources)
    if report.collected is not None:
        yield ""
        yield "Subgoals:"
        for each in report.collected.agent_outputs:
            state = (
                "answered" if each.result.success else f"failed ({each.result.error})"
            )
            who = f"{each.assignment.name}, {each.assignment.way.value}"
            yield f"{each.number}. {each.subgoal.description}"
            yield f"   {who}: {state}, {each.result.execution_time:.1f} s"
    yield ""
    yield "Phases:"
    yield from (f"- {_phase(each)}" for each in report.phases)


def _phase(ended: PhaseEnded) -> str:
    words = f"{ended.phase.value}: {ended.detail}, {ended.seconds:.2f} s"
    if ended.recalled:
        words += ", known from before"
    usage = ended.usage
    if usage is None:
        return words
    tokens = (usage.input_tokens or 0) + (usage.output_tokens or 0)
    words += f", {tokens:,} tokens" if tokens else ""
    return words + (f", ${usage.cost_usd:.4f}" if usage.cost_usd is not None else "")
