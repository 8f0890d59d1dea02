"""A plan that is as it was when its run read it: only what is left of it is read again."""

from collections.abc import Callable, Mapping
from pathlib import Path

from attrs import frozen

from muster.application.resumption import RunHistory, identify
from muster.domain.errors import PlanError
from muster.domain.plan import Plan
from muster.infrastructure.cli.running import plan_context
from muster.infrastructure.plan_files.index import kept
from muster.infrastructure.settings import Settings


@frozen
class Unchanged:
    """``plan`` is the part that is left. All identities of the whole, and of whom there
    is a success of that identity.
    """

    plan: Plan
    identities: Mapping[str, str]
    kept: frozenset[str]


def unchanged(
    folder: Path,
    source: tuple[str, bytes],
    history: RunHistory,
    settings: Settings,
    below: Callable[[Plan], Plan],
) -> Unchanged | None:
    """The part of the plan that is left; None when it must be read as a whole.

    The same bytes may mean something else by now: where a tool, a profile or a model
    has changed, so have the identities of the tasks that name it. ``below`` puts the
    plan below the command line.
    """
    name, text = source
    index = kept(folder, name, text)
    if index is None:
        return None
    known = index.identities
    done = frozenset(each for each in known if history.keeps(each, known[each]))
    wanted = known.keys() - done | set(index.samples)
    try:
        part = below(index.part(wanted, name, settings.policies))
    except PlanError:
        # To be told of the whole plan, if it still is one.
        return None
    now = identify(part, plan_context(settings, part))
    if any(known[each] != identity for each, identity in now.items()):
        return None
    return Unchanged(part, known, done)
