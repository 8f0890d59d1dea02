"""`muster`: which commands there are, and what becomes of their errors.

A command's module is imported when that command is called, and the list of them is
printed without cyclopts: `muster --help` costs what Python costs.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from muster.infrastructure.cli import streams
from muster.infrastructure.cli.exit_codes import MEANING, ExitCode, code_of
from muster.infrastructure.cli.streams import OutputLostError, finish, prepare, talk

if TYPE_CHECKING:
    from cyclopts import App

# What it says, and "module:function" in this package; or its sub-commands.
Entry = tuple[str, "str | dict[str, tuple[str, str]]"]
GROUPS: Final[dict[str, dict[str, Entry]]] = {
    "Run": {
        "run": ("Run a plan file: a fleet of agents and programs", "run:run"),
        "resume": ("Go on with a run that was interrupted", "resume:resume"),
        "spawn": ("Run one or many prompts without a plan file", "spawn:spawn"),
        "deliberate": ("Let a council of agents vote", "deliberate:deliberate"),
        "soar": ("Answer a question with a fleet of agents", "soar:soar"),
        "demo": ("Ten seconds that show a fleet survive", "demo:demo"),
    },
    "Look": {
        "runs": ("List the runs of this project", "runs:runs"),
        "show": ("Show a run, or one task of it", "show:show"),
        "logs": ("Print what the agents of a run wrote", "logs:logs"),
        "report": ("Write a run as one HTML page", "report:report"),
    },
    "Oversee": {
        "halt": ("Stop everything that runs here, with a reason", "halt:halt"),
        "resume-operations": ("Lift the halt", "halt:resume_operations"),
        "verify": ("Check what the agents of a run said", "verify:verify"),
    },
    "What is here": {
        "tools": ("List the tools that can run agents", "tools:tools"),
        "agents": ("List the agent profiles found", "agents:agents"),
        "policies": ("List the policies with their numbers", "policies:policies"),
        "doctor": ("Check this machine and say what to do", "doctor:doctor"),
        "config": (
            "Look at the settings",
            {"show": ("Print the effective settings and their origin", "config:show")},
        ),
        "plan": (
            "About plan files",
            {
                "draft": ("Draft a plan from a goal, to be read first", "plan:draft"),
                "schema": ("Print the JSON Schema of plan files", "plan:schema"),
            },
        ),
        "completion": ("Print the completion script of a shell", "completion:script"),
    },
}
PACKAGE: Final = "muster.infrastructure.cli"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line and returns its exit code; nothing is raised."""
    words = sys.argv[1:] if argv is None else list(argv)
    prepare()
    try:
        code = _dispatch(words)
    except BaseException as error:  # noqa: BLE001 - the last door: each has its code
        code = _report(error, words)
    try:
        finish()
    except OutputLostError as error:
        code = _report(error, words)
    return int(code)


def make_app() -> "App":
    """The commands as cyclopts sees them."""
    from cyclopts import App, Parameter  # noqa: PLC0415

    def app(name: str, help_text: str) -> App:
        return App(
            name=name,
            help=help_text,
            help_formatter="plain",
            version_flags=[],
            default_parameter=Parameter(negative=(), show_default=False),
            exit_on_error=False,
            print_error=False,
            suppress_keyboard_interrupt=False,
            result_action="return_value",
        )

    root = app("muster", _SENTENCE)
    for name, (text, target) in _entries():
        if isinstance(target, str):
            root.command(f"{PACKAGE}.{target}", name=name)
            continue
        group = app(name, text)
        for sub, (sub_text, sub_target) in target.items():
            group.command(f"{PACKAGE}.{sub_target}", name=sub, help=sub_text)
        root.command(group)
    return root


def _dispatch(words: Sequence[str]) -> int:
    first = words[0] if words else "--help"
    if first in ("--help", "-h", "help"):
        streams.write(help_text())
        return ExitCode.SUCCEEDED
    if first in ("--version", "-V"):
        from importlib.metadata import version  # noqa: PLC0415

        streams.write(f"muster {version('muster')}\n")
        return ExitCode.SUCCEEDED
    problem = _unknown(words)
    if problem:
        talk(f"muster: {problem}")
        return ExitCode.USAGE
    # To cyclopts a lone "-" is an unknown option.
    known = [streams.STDIN if each == "-" else each for each in words]
    code = make_app()(known if first in ("run", "soar", "plan") else words)
    return code if isinstance(code, int) else ExitCode.SUCCEEDED


def help_text() -> str:
    """What `muster --help` prints."""
    lines = [_SENTENCE, "", "Usage: muster COMMAND [ARGUMENTS]"]
    width = max(len(name) for name, _ in _entries())
    for group, entries in GROUPS.items():
        lines += ["", f"{group}:"]
        lines += [f"  {name:<{width}} {text}" for name, (text, _) in entries.items()]
    lines += ["", "Exit codes:"]
    lines += [f"  {code.value:>3}  {text}" for code, text in MEANING.items()]
    lines += ["", "`muster COMMAND --help` says more. Results go to stdout, talk to"]
    lines += ["stderr. Settings: `muster config show --origin`."]
    return "\n".join(lines) + "\n"


def _entries() -> Iterator[tuple[str, Entry]]:
    for entries in GROUPS.values():
        yield from entries.items()


def _unknown(words: Sequence[str]) -> str | None:
    """What is wrong with the name of the command.

    Looked up here: cyclopts would import every command to make its suggestion.
    """
    commands = dict(_entries())
    if words[0].startswith("-"):
        return f"unknown option {words[0]!r}; see `muster --help`"
    if words[0] not in commands:
        return _not_among(words[0], list(commands), "muster")
    target = commands[words[0]][1]
    if isinstance(target, str) or not words[1:] or words[1].startswith("-"):
        return None
    if words[1] in target:
        return None
    return _not_among(words[1], list(target), f"muster {words[0]}")


def _not_among(word: str, known: Sequence[str], parent: str) -> str:
    from muster.domain.suggestion import did_you_mean  # noqa: PLC0415

    hint = did_you_mean(word, known)
    return f"unknown command {word!r}{hint} (see `{parent} --help`)"


def _report(error: BaseException, words: Sequence[str]) -> int:
    """Says what went wrong in one line, and with which code that ends."""
    if isinstance(error, OutputLostError):
        if error.is_closed_pipe:
            return ExitCode.PIPE_CLOSED
        talk(f"muster: {error}")
        return ExitCode.OUTPUT_LOST
    if isinstance(error, KeyboardInterrupt):
        talk("muster: interrupted")
        return ExitCode.INTERRUPTED
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else ExitCode.SUCCEEDED
    return _report_exception(error, words)


def _report_exception(error: BaseException, words: Sequence[str]) -> int:
    from cyclopts.exceptions import CycloptsError  # noqa: PLC0415

    from muster.domain.errors import MusterError  # noqa: PLC0415

    if isinstance(error, CycloptsError):
        said = _said(error)
        command = " ".join(["muster", *_chain(words)])
        talk(f"{command}: {said} (see `{command} --help`)")
        return ExitCode.USAGE
    if isinstance(error, MusterError):
        talk(f"muster: {error}")
        return code_of(error)
    talk(f"muster: internal error: {type(error).__name__}: {error}")
    if os.environ.get("MUSTER_LOG_LEVEL") == "debug":
        import traceback  # noqa: PLC0415

        talk("".join(traceback.format_exception(error)))
    else:
        talk("muster: this is a fault of muster; MUSTER_LOG_LEVEL=debug shows where")
    return ExitCode.INTERNAL


def _said(error: Any) -> str:
    if type(error).__name__ == "UnusedCliTokensError":
        return f"unexpected argument {error.unused_tokens[0]!r}"
    error.verbose = False
    return " ".join(str(error).split())


def _chain(words: Sequence[str]) -> list[str]:
    """The names of command and sub-command in a command line."""
    target = dict(_entries())[words[0]][1]
    if isinstance(target, dict) and words[1:] and words[1] in target:
        return list(words[:2])
    return list(words[:1])


_SENTENCE: Final = (
    "Run fleets of AI agents and programs; see every failure early, recover,\n"
    "leave nothing behind."
)
