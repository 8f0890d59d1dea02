"""Small plans for tests, and what became of them."""

from typing import Any

from muster.domain.plan import Plan, PlanTask
from muster.domain.run_report import RunReport
from tests.unit.application.crew import Crew

DIAMOND = {"a": "", "b": "a", "c": "a", "d": "bc"}
ONCE: dict[str, Any] = {"max_retries": 0, "fallback_to_llm": False}


def plan(graph: dict[str, str], **tasks: dict[str, Any]) -> Plan:
    """A plan of one-letter ids; each task's agent has its task's name."""
    return Plan(
        tuple(
            PlanTask(
                each,
                **{"prompt": f"do {each}", "agent": each, "depends": tuple(needs)}
                | tasks.get(each, {}),
            )
            for each, needs in graph.items()
        )
    )


def fates(report: RunReport) -> dict[str, str | None]:
    """The cause of each failure by task id, None for a success."""
    return {
        each: result.failure.cause.value if result.failure else None
        for each, result in report.results.items()
    }


def prompts(crew: Crew) -> dict[str, str]:
    """What each agent was asked."""
    return {call.request.agent_id: call.request.text for call in crew.stub.calls}


def started(crew: Crew) -> list[str]:
    """The agents in the order of their starts."""
    return [call.request.agent_id for call in crew.stub.calls]
