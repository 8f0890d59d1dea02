"""What must not stand in the source: it runs data as code, or opens a door."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import muster
from muster.infrastructure.adapters.local_process.tool_specs import BUILT_IN, built_in

SOURCE = Path(muster.__file__).resolve().parent
FILES = sorted(SOURCE.rglob("*.py"))
BANNED_MODULES = {
    "pickle", "cPickle", "shelve", "dill", "cloudpickle", "pty", "code",
    "codeop", "imp", "http.server", "socketserver", "xmlrpc", "telnetlib", "ftplib",
}  # fmt: skip
BANNED_CALLS = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.spawnl",
    "yaml.load", "yaml.unsafe_load", "yaml.full_load", "tempfile.mktemp",
    "asyncio.create_subprocess_shell", "subprocess.getoutput", "subprocess.getstatusoutput",
    "asyncio.start_server", "asyncio.start_unix_server",
}  # fmt: skip
# These have a keyword of that name and start nothing.
NO_SHELLS = {"ToolSpec", "make_app().generate_completion"}
# The kit for adapters checks that errors survive pickling; it loads only its own.
EXCEPTIONS = {"infrastructure/testing/witness.py": ["imports pickle"]}
PROCESSES = {"infrastructure/adapters/local_process", "infrastructure/doctor"}


def tree(file: Path) -> Iterator[ast.AST]:
    """Every node of a file."""
    return ast.walk(ast.parse(file.read_text(encoding="utf-8")))


def imports(node: ast.AST) -> list[str]:
    """The modules that a statement imports."""
    if isinstance(node, ast.Import):
        return [each.name for each in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return []


def problem_of(node: ast.AST) -> str | None:
    """What is wrong with a node, if anything is."""
    for name in imports(node):
        if name in BANNED_MODULES or name.partition(".")[0] in BANNED_MODULES - {
            "code"
        }:
            return f"imports {name}"
    if not isinstance(node, ast.Call):
        return None
    called = ast.unparse(node.func)
    if called in BANNED_CALLS:
        return f"calls {called}"
    for keyword in node.keywords:
        if (
            keyword.arg in {"shell", "preexec_fn"}
            and ast.unparse(keyword.value) != "False"
        ):
            return None if called in NO_SHELLS else f"{called}({keyword.arg}=...)"
    return None


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_nothing_dangerous_is_called(file: Path) -> None:
    """No data becomes code, no shell comes in, no port is opened."""
    found = [problem for node in tree(file) if (problem := problem_of(node))]

    assert found == EXCEPTIONS.get(str(file.relative_to(SOURCE)), [])


@pytest.mark.parametrize(
    "bad",
    [
        "import pickle",
        "from http.server import HTTPServer",
        "eval(x)",
        "yaml.load(x)",
        "subprocess.run(x, shell=True)",
        "subprocess.Popen(x, preexec_fn=f)",
        "os.system('x')",
        "asyncio.start_server(f)",
    ],
)
def test_this_finds_what_is_dangerous(bad: str) -> None:
    """The rule above can fail."""
    assert any(problem_of(node) for node in ast.walk(ast.parse(bad)))


def test_processes_are_started_in_one_place() -> None:
    """Whoever looks for what muster may run need not look far."""
    found = {
        str(file.relative_to(SOURCE).parent)
        for file in FILES
        for node in tree(file)
        if {"subprocess", "multiprocessing"} & set(imports(node))
    }

    # `git` tells which files of a project are its own.
    others = {"infrastructure/cli", "infrastructure/knowledge"}
    assert {each for each in found if each not in PROCESSES} <= others


@pytest.mark.parametrize("name", BUILT_IN)
def test_no_tool_is_dangerous_by_default(name: str) -> None:
    """Flags that switch approvals or sandboxes off are the user's choice."""
    spec = built_in(name)
    words = " ".join(
        spec.argv(agent="a", model="m", prompt="p", prompt_file="f")
    ).lower()
    flags = (
        "dangerous yolo bypass full-auto allow-all skip-permission auto-approve danger-full "
        "--yes-always trust-all no-sandbox"
    )

    assert [flag for flag in flags.split() if flag in words] == []
    assert "--auto" not in words.split()
    assert spec.permissions == "tool default"
    assert spec.shell is False
