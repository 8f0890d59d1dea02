"""A part of a plan: what is left of a run of 100,000 tasks may be a single one."""

from collections.abc import Iterator, Mapping, Sequence

from attrs import field, frozen

from muster.domain.plan import Plan, PlanTask


@frozen
class PlanPart(Plan):
    """Some tasks of a plan, with all that they wait for.

    ``graph`` is that of the whole plan, in its order; the tasks keep their places.
    """

    graph: Mapping[str, Sequence[str]] = field(factory=dict, kw_only=True, eq=False)

    @property
    def whole(self) -> Mapping[str, Sequence[str]]:
        """See `Plan`."""
        return self.graph

    def placed(self) -> Iterator[tuple[int, PlanTask]]:
        """See `Plan`."""
        own = {task.id: task for task in self.tasks}
        for place, task_id in enumerate(self.graph):
            if task_id in own:
                yield place, own[task_id]
