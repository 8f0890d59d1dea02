"""What a run's big plan came to when it was read, so that a part of it can be had alone.

To parse 100,000 tasks takes many seconds, and who resumes a run wants to know only those
that are left. The index holds each task as the plain table that its format gave, so
that the strict reader behind every plan reads these too. It is used only for the very
bytes it was made from, by the version that made it; else the plan is read as a whole.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Self

from attrs import evolve, field, frozen

from muster.domain import presets
from muster.domain.plan import Plan, PlanTask
from muster.domain.plan_part import PlanPart
from muster.infrastructure.durable_file import write_whole
from muster.infrastructure.plan_files.document import PlanDocument
from muster.infrastructure.plan_files.fields import TASK_KEYS
from muster.infrastructure.plan_files.reading import to_plan
from muster.infrastructure.strict_tables import Path as Place

NAME: Final = "plan.index"
_FORMAT: Final = 1


@frozen(eq=False)
class PlanIndex:
    """A plan by task. ``samples`` stand for all that name the same agent, tool, model
    and policy: what these names mean is no part of a plan, and may have changed.
    """

    suffix: str
    rest: Mapping[str, Any]
    key: str
    tables: Sequence[str]
    lines: Sequence[int | None]
    graph: Mapping[str, Sequence[str]]
    samples: Sequence[str]
    identities: Mapping[str, str] = field(factory=dict)

    @classmethod
    def of(
        cls,
        document: PlanDocument,
        plan: Plan,
        name: str,
        at_least: int = presets.PLAN_INDEXED,
    ) -> Self | None:
        """The index of a plan that is worth one, and can be written as JSON."""
        if len(plan.tasks) < max(at_least, 1):
            return None
        key = next(each for each in TASK_KEYS if each in document.values)
        rest = {name: each for name, each in document.values.items() if name != key}
        found = document.values[key]
        try:
            tables = [json.dumps(table) for table in found]
            # JSON has no dates, and its keys are texts.
            same = json.loads(f"[{','.join(tables)}]") == found
            if not same or json.loads(json.dumps(rest)) != rest:
                return None
        except (TypeError, ValueError, RecursionError):
            return None
        lines = [task.line for task in plan.tasks]
        return cls(
            suffix_of(name),
            rest,
            key,
            tables,
            lines,
            plan.dependencies(),
            _samples(plan.tasks),
        )

    def with_identities(self, identities: Mapping[str, str]) -> Self:
        """The index of a plan whose tasks have these identities."""
        return evolve(self, identities=identities)

    def part(
        self, wanted: Iterable[str], file: str, policies: Collection[str] | None
    ) -> PlanPart:
        """These tasks, and all that they wait for. Raises `PlanError` as `to_plan`."""
        chosen = self._closed(wanted)
        places = [at for at, each in enumerate(self.graph) if each in chosen]
        tables = [json.loads(self.tables[at]) for at in places]

        def line_of(path: Place) -> int | None:
            is_task = len(path) > 1 and path[0] == self.key
            return self.lines[places[int(path[1])]] if is_task else None

        values = {**self.rest, self.key: tables}
        plan = to_plan(PlanDocument(values, line_of), file, policies)
        return PlanPart(
            plan.tasks, plan.defaults, plan.tools, plan.agents, graph=self.graph
        )

    def _closed(self, wanted: Iterable[str]) -> set[str]:
        found = set(wanted)
        waiting = list(found)
        while waiting:
            new = [each for each in self.graph[waiting.pop()] if each not in found]
            found.update(new)
            waiting += new
        return found


def keep(folder: Path, index: PlanIndex, plan: bytes) -> None:
    """Writes it beside the run's copy of the plan. Raises OSError."""
    body = json.dumps(
        {
            "rest": index.rest,
            "key": index.key,
            "tables": index.tables,
            "lines": index.lines,
            "ids": list(index.graph),
            "depends": [list(each) or None for each in index.graph.values()],
            "samples": index.samples,
            "identities": [index.identities[each] for each in index.graph],
        }
    ).encode()
    head = f"{_head(index.suffix, plan)} {sha256(body).hexdigest()}\n".encode()
    write_whole(str(folder / NAME), head + body)


def kept(folder: Path, name: str, plan: bytes) -> PlanIndex | None:
    """That of a run, if it is whole and was made from these very bytes."""
    try:
        head, _, body = (folder / NAME).read_bytes().partition(b"\n")
        suffix = suffix_of(name)
        if head.decode() != f"{_head(suffix, plan)} {sha256(body).hexdigest()}":
            return None
        found = json.loads(body)
        ids, depends = found.pop("ids"), found.pop("depends")
        identities = dict(zip(ids, found.pop("identities"), strict=True))
        graph = {
            each: tuple(needs) if needs else ()
            for each, needs in zip(ids, depends, strict=True)
        }
        return PlanIndex(suffix, **found, graph=graph, identities=identities)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def suffix_of(name: str) -> str:
    """What of a plan's name decides how its text is read."""
    return Path(name).suffix.lower() or "-"


def _head(suffix: str, plan: bytes) -> str:
    from importlib.metadata import version  # noqa: PLC0415 - small plans do without

    digest = sha256(plan).hexdigest()
    return f"muster {version('muster')} index {_FORMAT} {suffix} {digest}"


def _samples(tasks: Iterable[PlanTask]) -> list[str]:
    found: dict[tuple[object, ...], PlanTask] = {}
    for task in tasks:
        names = (task.agent, task.direct, task.tool, task.model, task.policy)
        known = found.setdefault(names, task)
        if known.depends and not task.depends:
            # It needs no others to be looked at.
            found[names] = task
    return [task.id for task in found.values()]
