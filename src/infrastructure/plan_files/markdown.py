"""Plans as Markdown task lists, the way people and agents write them.

    - [ ] 1. Describe the change
      - Agent: @planner
    - [ ] 1.1 Write the tests
      more text of the same task
      - Depends: 1
    - [x] T002 [P] Already done (depends on T001)

What is indented under a task belongs to it; the first bullets there may be fields.
Everything else in the file is prose and means nothing.
"""

import re
from typing import Any, Final

from attrs import define, field

from muster.infrastructure.plan_files.document import PlanDocument
from muster.infrastructure.plan_files.markdown_fields import FIELDS, field_value
from muster.infrastructure.strict_tables import Path, Problem


def parse(text: str) -> PlanDocument:
    """The plain values of all tasks in the text; it never raises."""
    reader = _Reader()
    for number, line in enumerate(text.split("\n"), start=1):
        reader.take(line.expandtabs(TAB), number)
    return reader.finish()


@define
class _Task:
    line: int
    indent: int
    table: dict[str, Any]
    text: list[str] = field(factory=list)
    lines: dict[str, int] = field(factory=dict)
    bullet_indent: int | None = None


@define
class _Reader:
    tasks: list[_Task] = field(factory=list)
    problems: list[Problem] = field(factory=list)
    current: _Task | None = None
    fence: str = ""
    fence_line: int = 0
    in_comment: bool = False
    after_blank: bool = False

    def take(self, line: str, number: int) -> None:
        if self._in_block(line, number):
            return
        task = _TASK.match(line)
        if task:
            self._start(task, number)
        elif _NEARLY.match(line):
            predicate = (
                "is followed by what looks like a task: write '- [ ] 7. Do this'"
            )
            self._problem(number, predicate)
        elif not line.strip():
            self._add("")
        elif self.current is not None:
            self._inside(self.current, line, number)
        self.after_blank = not line.strip()

    def _in_block(self, line: str, number: int) -> bool:
        """Code and comments hold no tasks; a task's own code is a part of its text."""
        stripped = line.strip()
        if self.in_comment:
            self.in_comment = "-->" not in stripped
            return True
        if self.fence:
            self._add(line)
            mark = self.fence
            if stripped.startswith(mark) and not stripped.strip(mark[0]):
                self.fence = ""
            return True
        fence = _FENCE.match(stripped)
        if fence:
            self._leave_for(line)
            self._add(line)
            self.fence, self.fence_line = fence[1], number
            return True
        if stripped.startswith("<!--"):
            self.in_comment = "-->" not in stripped
            return True
        return False

    def _start(self, match: re.Match[str], number: int) -> None:
        title, table = _title(match["text"])
        if match["ordinal"]:
            table.setdefault("id", match["ordinal"])
        state = match["state"].strip()
        table["done"] = state in _DONE
        task = _Task(number, len(match["indent"]), table, [title])
        if "id" not in table and self.current and task.indent > self.current.indent:
            # A check list inside a task is how to do it, not something else to do.
            self._add(match[0])
            return
        self.tasks.append(task)
        self.current = task
        if state not in _STATES:
            self._problem(number, f"has the unknown state '[{state}]'; use [ ] or [x]")

    def _inside(self, task: _Task, line: str, number: int) -> None:
        indent = len(line) - len(line.lstrip())
        bullet = _FIELD.match(line)
        if indent <= task.indent:
            if bullet and _key(bullet) in FIELDS and not _HEADING.match(line):
                name = bullet["key"]
                predicate = f"is followed by '{name}:'; indent that line below it"
                self._problem(number, predicate)
            elif not self._is_lazy(line):
                self.current = None
            else:
                self._add(line)
            return
        if task.bullet_indent is None and _BULLET.match(line):
            task.bullet_indent = indent
        is_child = task.bullet_indent is not None and indent <= task.bullet_indent
        if bullet and is_child and _key(bullet) in FIELDS:
            self._set(task, _key(bullet), bullet["value"], number)
        else:
            self._add(line)

    def _is_lazy(self, line: str) -> bool:
        """A paragraph that goes on without its indentation, as Markdown allows."""
        return not self.after_blank and not _INTERRUPTS.match(line)

    def _leave_for(self, line: str) -> None:
        task = self.current
        if task is not None and len(line) - len(line.lstrip()) <= task.indent:
            self.current = None

    def _set(self, task: _Task, key: str, text: str, number: int) -> None:
        name = FIELDS[key]
        if name == "depends":
            task.table.setdefault(name, []).extend(field_value(name, text))
        elif name == "expect":
            value = field_value(name, text)
            if isinstance(value, dict) and isinstance(task.table.get(name), dict):
                value = task.table[name] | value
            task.table[name] = value
        elif name in task.table:
            first = task.lines[name]
            self._problem(number, f"says {name} twice (first on line {first})")
        else:
            task.table[name] = field_value(name, text)
        task.lines.setdefault(name, number)

    def _add(self, line: str) -> None:
        if self.current is not None:
            self.current.text.append(line)

    def _problem(self, number: int, predicate: str) -> None:
        place = len(self.tasks) - 1
        path: Path = ("task", place) if self.tasks else ()
        self.problems.append(Problem(path, predicate, line=number))

    def finish(self) -> PlanDocument:
        if self.fence:
            predicate = f"stands before {self.fence}, which is never closed"
            self._problem(self.fence_line, predicate)
        self._number()
        lines: dict[Path, int] = {}
        for place, task in enumerate(self.tasks):
            path: Path = ("task", place)
            lines[path] = task.line
            lines.update({(*path, key): line for key, line in task.lines.items()})
            task.table["prompt"] = _prompt(task)
        values = {"task": [task.table for task in self.tasks]}

        def line_of(path: Path) -> int | None:
            return lines.get(path) or lines.get(path[:3]) or lines.get(path[:2])

        return PlanDocument(values, line_of, {}, self.problems)

    def _number(self) -> None:
        """A plain to-do list has no ids: its tasks are counted. Half of them is a slip."""
        nameless = [task for task in self.tasks if "id" not in task.table]
        if len(nameless) == len(self.tasks):
            for place, task in enumerate(nameless, start=1):
                task.table["id"] = str(place)
            return
        for place, task in enumerate(self.tasks):
            if "id" not in task.table:
                predicate = "has no id, though others have; write '- [ ] 7. Do this'"
                path: Path = ("task", place)
                self.problems.append(Problem(path, predicate, line=task.line))
                task.table["id"] = f"of line {task.line}"


def _title(text: str) -> tuple[str, dict[str, Any]]:
    """The text without its id and marks, and what those say."""
    table: dict[str, Any] = {}
    found = _ID.match(text)
    if found:
        table["id"] = found["id"]
        text = text[found.end() :]
    text = _PARALLEL.sub("", text)
    needs: list[str] = []

    def take(match: re.Match[str]) -> str:
        ids = field_value("depends", match[1])
        if not all(_ONLY_ID.fullmatch(each) for each in ids):
            return match[0]
        needs.extend(ids)
        return ""

    text = _DEPENDS_ON.sub(take, text)
    if needs:
        table["depends"] = needs
    return text.strip(), table


def _key(bullet: re.Match[str]) -> str:
    return " ".join(bullet["key"].lower().split())


def _prompt(task: _Task) -> str:
    title, *rest = task.text
    indents = [len(line) - len(line.lstrip()) for line in rest if line.strip()]
    # A lazy line has no indentation and must not keep the others from losing theirs.
    margin = min((each for each in indents if each > task.indent), default=0)
    lines = [
        line[min(margin, len(line) - len(line.lstrip())) :].rstrip() for line in rest
    ]
    return "\n".join([title, *lines]).strip()


TAB: Final = 4
_STATES: Final = frozenset(("", "x", "X", "~", "-", "/", ">"))
_DONE: Final = frozenset(("x", "X"))
_NUMBER: Final = r"[Tt]?[0-9]+(?:\.[0-9]+)*"
_TASK: Final = re.compile(
    r"(?P<indent> *)(?:[-*+]|(?P<ordinal>[0-9]{1,9})[.)]) +"
    r"\[(?P<state>.?)\](?= |$)(?P<text>.*)"
)
# "-[ ] 1. a", "- [ ]1. a": one that nobody sees would never be done. "- [x](y)" is a link.
_NEARLY: Final = re.compile(
    r" *(?:[-*+]|[0-9]{1,9}[.)])(?:\[[ xX]?\](?![(\[:])| +\[[ xX]?\](?=[^\s(\[:]))"
)
_ID: Final = re.compile(rf" *(?:\*\*)?(?P<id>{_NUMBER})[.):]?(?:\*\*)?[.):]?(?=\s|$)")
_ONLY_ID: Final = re.compile(_NUMBER)
_PARALLEL: Final = re.compile(r"(?:^|(?<=\s))\[P\](?=\s|$) ?")
_DEPENDS_ON: Final = re.compile(r" ?\(\s*depends\s+on:?\s([^()]*)\)", re.IGNORECASE)
_FENCE: Final = re.compile(r"(`{3,}|~{3,})(?!.*`)")
_BULLET: Final = re.compile(r" *[-*+] ")
_FIELD: Final = re.compile(
    r" *[-*+] +(?:\*\*|__)?(?P<key>[A-Za-z]+(?: +on)?)(?:\*\*|__)?"
    r" *:(?:\*\*|__)?(?P<value>.*)",
    re.IGNORECASE,
)
_HEADING: Final = re.compile(r" *#{1,6}(?: |$)")
_INTERRUPTS: Final = re.compile(
    r" *(?:#{1,6}(?: |$)|[-*+] |\d{1,9}[.)] |>|(?:[-*_] *){3,}$|\||<)"
)
