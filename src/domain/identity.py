"""What makes a task the same task again: its content, and that of what it waits for.

Its place in the file, its id, its patience (timeout, policy) and the words that muster
says about a tool are no part of it. The same content gives the same identity on every
machine and in every version that keeps `_VERSION`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

from attrs import frozen

from muster.domain import graph
from muster.domain.agent_profile import AgentProfile
from muster.domain.task import Expectation
from muster.domain.tool import ToolSpec

_VERSION: Final = b"muster task 1"
# What a tool does, not how it is watched, found, logged in to or stopped: a better
# hint in a new version must not run a night's work again.
_OF_A_TOOL: Final = (
    "command",
    "prompt",
    "agent_args",
    "model_args",
    "extra_args",
    "bypass_args",
    "output",
    "env",
    "permissions",
    "shell",
    "requires_output",
    "is_agent",
    "adapter",
)
# A tool that has none of these is the tool it was before there were any.
_OF_SOME_TOOLS: Final = ("base_url", "model", "options")
_OF_A_PROFILE: Final = (
    "name",
    "description",
    "tools",
    "model",
    "tool",
    "prompt",
    "extra",
)
_OF_AN_EXPECTATION: Final = ("exit_code", "file", "regex", "json_schema", "command")


@frozen
class Setting:
    """All but the prompt that decides what an agent is asked to do.

    ``tool`` is a name only where no tool of that name can be found.
    """

    tool: ToolSpec | str | None = None
    model: str | None = None
    agent: str | None = None
    profile: AgentProfile | None = None
    expect: Expectation | None = None
    cwd: str | None = None
    env: Mapping[str, str] | None = None


# The prompt as it was written, before any output is put into it.
Content = tuple[str, Setting]


def identities(
    contents: Mapping[str, Content], depends: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """The identity of each task, 64 hexadecimal digits, in the order of ``contents``.

    It holds the identities of the task's dependencies, in their order: a change
    reaches all dependents and nothing else. Tasks on a cycle have none.
    """
    known: dict[int, bytes] = {}
    found: dict[str, str] = {}
    for task_id in _after_their_needs(contents, depends):
        prompt, setting = contents[task_id]
        # By id(): an equal setting only costs a second encoding, and the contents
        # keep all of them alive meanwhile.
        surroundings = known.get(id(setting))
        if surroundings is None:
            surroundings = known[id(setting)] = _surroundings(setting)
        needs = depends[task_id]
        before = [found[each] for each in dict.fromkeys(needs)] if needs else ()
        found[task_id] = _digest(surroundings, prompt, before)
    if list(found) == list(contents):
        return found
    return {each: found[each] for each in contents if each in found}


def identity(prompt: str, setting: Setting, dependencies: Sequence[str] = ()) -> str:
    """The identity of one task whose dependencies have these identities."""
    return _digest(_surroundings(setting), prompt, dependencies)


def canonical(value: Any) -> bytes:
    """One text of bytes per value, and no two different values with the same one.

    Mappings have no order, sequences do; every part carries its kind and length, so
    that no two parts can run into each other.
    """
    for kind, encode in _ENCODERS:
        if isinstance(value, kind):
            return encode(value)
    return _tagged(b"o", f"{type(value).__qualname__} {value!r}".encode())


def _after_their_needs(
    contents: Mapping[str, Content], depends: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    # Nearly every plan is written in an order that works: sorting 100,000 tasks for
    # nothing would take longer than all the rest.
    done: set[str] = set()
    late = False
    for task_id in contents:
        if done.issuperset(depends[task_id]):
            done.add(task_id)
            yield task_id
        else:
            late = True
    if late:
        yield from (each for each in graph.topological(depends) if each not in done)


def _digest(surroundings: bytes, prompt: str, dependencies: Sequence[str]) -> str:
    needs = _sequence(dependencies) if dependencies else _NONE
    return sha256(surroundings + _text(prompt) + needs).hexdigest()


def _surroundings(setting: Setting) -> bytes:
    return _VERSION + _sequence(
        [
            _tool(setting.tool),
            setting.model,
            setting.agent,
            _chosen(setting.profile, _OF_A_PROFILE),
            _chosen(setting.expect, _OF_AN_EXPECTATION),
            setting.cwd,
            setting.env,
        ]
    )


def _tool(tool: ToolSpec | str | None) -> Any:
    if tool is None or isinstance(tool, str):
        return tool
    some = (name for name in _OF_SOME_TOOLS if getattr(tool, name))
    return _chosen(tool, (*_OF_A_TOOL, *some))


def _chosen(part: Any, names: Sequence[str]) -> Any:
    if part is None or isinstance(part, str):
        return part
    return {name: getattr(part, name) for name in names}


def _tagged(kind: bytes, data: bytes) -> bytes:
    return b"%b%d:%b" % (kind, len(data), data)


def _text(value: str) -> bytes:
    return _tagged(b"s", value.encode("utf-8", "surrogatepass"))


def _sequence(value: Sequence[Any]) -> bytes:
    return _tagged(b"l", b"".join(map(canonical, value)))


def _mapping(value: Mapping[Any, Any]) -> bytes:
    return _tagged(b"m", b"".join(sorted(_pairs(value))))


def _pairs(value: Mapping[Any, Any]) -> Iterator[bytes]:
    for key, each in value.items():
        yield _tagged(b"p", canonical(key) + canonical(each))


def _set(value: frozenset[Any]) -> bytes:
    return _tagged(b"e", b"".join(sorted(map(canonical, value))))


_ENCODERS: Final[tuple[tuple[Any, Callable[[Any], bytes]], ...]] = (
    (str, _text),
    (type(None), lambda _: b"n"),
    (bool, lambda value: b"t" if value else b"f"),
    (int, lambda value: _tagged(b"i", b"%d" % value)),
    (float, lambda value: _tagged(b"d", float(value).hex().encode())),
    (bytes, lambda value: _tagged(b"b", value)),
    (Mapping, _mapping),
    (list | tuple, _sequence),
    (set | frozenset, _set),
)
_NONE: Final = _sequence(())
