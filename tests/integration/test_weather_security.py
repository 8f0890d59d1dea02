"""What agents, plans and other users of the machine must not get to see or do."""

import asyncio
import logging
import os
import subprocess
import sys
import textwrap
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from stat import S_IMODE, S_ISREG
from typing import Any

import pytest

from muster import AgentInvocationError, Fleet, Plan, PlanTask, SpawnTask, ToolSpec
from muster.infrastructure.clock import SystemClock
from muster.infrastructure.event_log import EventLog
from muster.infrastructure.randomness import SystemRandomness
from muster.infrastructure.run_store import RunStore
from muster.infrastructure.secrets import Redactor
from tests.support.weather import causes, children, descent, fleet, python, run_host, sh


@asynccontextmanager
async def stored(home: Path, **options: Any) -> AsyncIterator[RunStore]:
    """A run on disk; closed before its fleet is."""
    clock, randomness = SystemClock(), SystemRandomness()
    store = RunStore.create(home, clock=clock, randomness=randomness, **options)
    try:
        yield store
    finally:
        await store.aclose()


def below(folder: Path, *, beside: Path | None = None) -> dict[Path, int]:
    """Everything in a folder with its mode; what is in ``beside`` or caches left out."""
    return {
        path: path.lstat().st_mode
        for path in folder.rglob("*")
        if not (beside and beside in [path, *path.parents])
        and ".cache" not in path.parts
    }


CANARY = "canary-4a1f-prompt"
KEY = "sk-canary-9b2e-key-000000"
OF_LIBC = 0b11 << 31  # signals 32 and 33, which nobody can set through libc
HOOKS = {
    "LD_PRELOAD": "/no/such.so",
    "LD_LIBRARY_PATH": "/no/such",
    "PYTHONPATH": "/no/such",
    "PYTHONSTARTUP": "/no/such",
    "PYTHONHOME": "/no/such",
    "NODE_OPTIONS": "--require /no/such",
    "NODE_PATH": "/no/such",
    "BASH_ENV": "/no/such",
    "ENV": "/no/such",
    "PERL5OPT": "-Mnothing",
    "RUBYOPT": "-rnothing",
    "GIT_SSH_COMMAND": "false",
    "SSH_AUTH_SOCK": "/no/such",
    "AWS_SECRET_ACCESS_KEY": KEY,
    "ANTHROPIC_API_KEY": KEY,
    "DATABASE_URL": "postgres://u:p@h/d",
    "FOO_SECRET": "1",
    "BASH_FUNC_ls%%": "() { echo pwned; }",
    "MUSTER_AGENT": "somebody else",
    "MUSTER_RUN_ID": "stale",
}


@pytest.mark.parametrize("containment", ["keeper", "group"])
@pytest.mark.parametrize("prompt", ["stdin", "file"])
async def test_nobody_reads_a_secret_off_the_process_list(
    tmp_path: Path, prompt: Any, containment: str
) -> None:
    """Every command line below us is read while agents run, with a key and a prompt."""
    tool = sh(
        "sleep 0.3; setsid sleep 0.3; cat $0 </dev/null", prompt=prompt, env=["MY_KEY"]
    )
    seen: set[str] = set()

    async def watch() -> None:
        while True:
            for pid in [os.getpid(), *descent(os.getpid())]:
                seen.add(command_line(pid))
            await asyncio.sleep(0.01)

    async with (
        fleet(tmp_path, {"MY_KEY": KEY}, containment=containment) as opened,
        asyncio.TaskGroup() as group,
    ):
        watching = group.create_task(watch())
        tasks = [SpawnTask(CANARY, "bob", env={"OTHER_TOKEN": KEY})] * 4
        results = await opened.spawn_parallel(tasks, tool=tool)
        watching.cancel()

    assert all(each.success for each in results)
    assert any("sleep" in line for line in seen)
    assert not any(CANARY in line or KEY in line for line in seen)


def command_line(pid: int) -> str:
    """Arguments as any user of the machine can read them."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""


@pytest.mark.parametrize("containment", ["keeper", "group"])
async def test_what_of_the_hosts_environment_arrives(
    tmp_path: Path, containment: str
) -> None:
    """The allow-list, and what a tool or a task names; nothing that loads code."""
    show = sh("env -0 | sort -z | tr '\\0' '\\n'", env=["FOO_SECRET"])
    host_has = {**HOOKS, "LANG": "C", "https_proxy": "http://p", "LC_TIME": "C"}

    async with fleet(tmp_path, host_has, containment=containment) as opened:
        task = SpawnTask("", "bob", env={"NODE_OPTIONS": "--mine"})
        result = await opened.spawn(task, tool=show)

    found = dict(line.split("=", 1) for line in result.output.splitlines())
    ours = {name for name in found if name.startswith("MUSTER_")}
    assert set(found) - ours - {"PWD", "SHLVL", "_", "OLDPWD"} == {
        "PATH", "HOME", "LANG", "LC_TIME", "https_proxy", "FOO_SECRET", "NODE_OPTIONS",
    }  # fmt: skip
    assert found["NODE_OPTIONS"] == "--mine"
    assert found["MUSTER_AGENT"] == "bob"
    assert "MUSTER_RUN_ID" not in found


@pytest.mark.parametrize("padding", [0, 3_000_000])
async def test_a_thousand_canaries(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, padding: int
) -> None:
    """Values of secret variables are in no file, log, event or traceback of a run."""
    secrets = {f"CANARY_{n}_TOKEN": f"cnry-{n:04}-{n * 7919:08}" for n in range(1000)}
    caplog.set_level(logging.DEBUG)
    redactor = Redactor(secrets)
    tell = python("""
        import os, sys
        secrets = [v for k, v in os.environ.items() if k.startswith("CANARY")]
        for n, each in enumerate(secrets):
            (sys.stdout, sys.stderr)[n % 2].write(f"before {each} after\\n")
        print("." * int(sys.argv[1]), flush=True)
        sys.exit(f"Error: 401 unauthorized: {secrets[0]}")
    """, str(padding), env=["CANARY_*"])  # fmt: skip
    plan = Plan(
        [PlanTask("a", "x", tool=tell, agent="bob"), PlanTask("b", "x", tool=tell)]
    )

    async with (
        fleet(tmp_path, secrets) as opened,
        stored(tmp_path / ".muster", redactor=redactor) as store,
    ):
        log = EventLog.to_file(
            tmp_path / "log", "r", SystemClock(), level="debug", redactor=redactor
        )
        report = await opened.run_plan(plan, journal=store, sink=log)
        log.close()

    assert report.results["a"].failure is not None
    texts = [
        path.read_text() for path, mode in below(tmp_path).items() if S_ISREG(mode)
    ]
    texts.append(caplog.text)
    assert any("before *** after" in text for text in texts)
    found = [n for n in secrets.values() if any(n in text for text in texts)]
    assert found == []


async def test_files_of_a_run_are_private(tmp_path: Path) -> None:
    """0700 and 0600 under the loosest umask; big outputs and prompt files too."""
    old = os.umask(0)
    try:
        home = tmp_path / ".muster"
        show = sh("stat -c %a:%F $0; head -c 3000000 /dev/zero", prompt="file")
        plan = Plan([PlanTask(n, "p", tool=show) for n in ("a", "../../b")])
        async with fleet(tmp_path) as opened, stored(home) as store:
            report = await opened.run_plan(plan, journal=store)
    finally:
        os.umask(old)

    assert {r.output[:16] for r in report.results.values()} == {"600:regular file"}
    modes = {
        path: mode
        for path, mode in below(tmp_path).items()
        if path.name != ".gitignore"
    }
    assert {(S_ISREG(mode), S_IMODE(mode)) for mode in modes.values()} == {
        (False, 0o700),
        (True, 0o600),
    }
    assert below(tmp_path, beside=home) == {}


@pytest.mark.parametrize(
    "name",
    ["../../x", "/etc/passwd", "..", ".", "a/b", "CON", "con.txt", "a\nb", "x" * 400,
     "-rf", "~root", "a b;c", "\u202egpj", "é", "%2e%2e", "a\\b", ""],
)  # fmt: skip
async def test_ids_are_no_paths(tmp_path: Path, name: str) -> None:
    """Nothing is written outside of the run's folder, whatever a task is called."""
    home = tmp_path / "deep" / "er" / ".muster"
    home.parent.mkdir(parents=True)
    before = below(tmp_path)
    flood = sh("head -c 3000000 /dev/zero")

    async with fleet(tmp_path) as opened, stored(home) as store:
        opened.context.journal = store
        result = await opened.spawn(SpawnTask("x", task_id=name), tool=flood)

    assert result.success
    assert below(tmp_path, beside=home) == before


@pytest.mark.parametrize("agent", ["--dangerously-skip-permissions", "-x", "-", ""])
@pytest.mark.parametrize("field", ["agent", "model"])
def test_names_are_no_options(agent: str, field: str) -> None:
    """Refused before anything runs, with the field."""
    with pytest.raises(ValueError, match=field):
        SpawnTask("x", **{field: agent})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "evil",
    ["'; touch pwned; '", "$(touch pwned)", "`touch pwned`", "& touch pwned", "| touch pwned",
     "{prompt}", "{model} {agent}", "%s%n", "*", "~", "a\u2028b", '"; touch pwned #'],
)  # fmt: skip
async def test_metacharacters_are_characters(tmp_path: Path, evil: str) -> None:
    """In every field that a task has; no shell, no template and no glob sees them."""
    folder = tmp_path / evil.replace("/", "_")
    folder.mkdir()
    show = python(
        "import os, sys; print([*sys.argv[1:], os.environ['X'], os.environ['MUSTER_TASK_ID'],"
        " os.path.basename(os.getcwd()), sys.stdin.read()])",
        agent_args=("--agent", "{agent}"),
        model_args=("--model={model}",),
    )

    async with fleet(tmp_path) as opened:
        task = SpawnTask(
            evil, evil, model=evil, cwd=str(folder), env={"X": evil}, task_id=evil
        )
        result = await opened.spawn(task, tool=show)

    words = ["--agent", evil, f"--model={evil}", evil, evil, folder.name, evil]
    assert result.output == f"{words}\n"
    assert not [path for path in below(tmp_path) if path.name == "pwned"]


async def test_a_planted_link_is_not_written_through(tmp_path: Path) -> None:
    """Where an output or a log goes, somebody has put a link to another file."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "log").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic"):
        EventLog.to_file(tmp_path / "log", "r", SystemClock())
    flood = sh("head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2")

    async with fleet(tmp_path) as opened, stored(tmp_path / ".muster") as store:
        for suffix in (".out", ".err"):
            Path(store.output_path("a") + suffix).symlink_to(victim)  # noqa: ASYNC240
        await opened.run_plan(Plan([PlanTask("a", "x", tool=flood)]), journal=store)

    assert victim.read_text() == "precious"


def test_plugins_load_only_when_they_are_named(tmp_path: Path) -> None:
    """An adapter of an installed package runs no code until a tool asks for it."""
    package = tmp_path / "site"
    (package / "evil-1.dist-info").mkdir(parents=True)
    (package / "evil-1.dist-info" / "METADATA").write_text("Name: evil\nVersion: 1\n")
    (package / "evil-1.dist-info" / "entry_points.txt").write_text(
        "[muster.adapters]\nevil = evil_module:make\ncat = evil_module:make\n"
        "local_process = evil_module:make\nstub = evil_module:make\n"
    )
    (package / "evil_module.py").write_text(
        "print('loaded')\nraise SystemError('no')\n"
    )
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(package)}

    done = run_host(
        """
        from muster.infrastructure.adapter_registry import installed
        async def main():
            async with Fleet.open({}) as fleet:
                print((await fleet.spawn(SpawnTask("fine"), tool="cat")).output)
                await fleet.spawn(SpawnTask("x"), tool="sim")
                print(sorted(installed())[:2])
                evil = ToolSpec("e", ("e",), adapter="evil")
                print((await fleet.spawn(SpawnTask("x"), tool=evil)).success)
        asyncio.run(main())
        """,
        env=env,
    )
    told = done.stdout.splitlines()

    assert done.returncode == 0
    assert told[0] == "fine"
    assert told.count("loaded") == 1
    assert told[-1] == "False"


async def test_nothing_of_ours_is_inherited(tmp_path: Path) -> None:
    """Not a descriptor, not a socket, not a signal that the host ignores."""
    listing = "ls /proc/self/fd | wc -l; grep -E 'Sig(Ign|Blk)' /proc/self/status"
    secret = os.open(__file__, os.O_RDONLY)
    os.set_inheritable(secret, True)  # noqa: FBT003
    try:
        async with fleet(tmp_path) as opened:
            results = await opened.spawn_parallel([SpawnTask(listing)] * 6, tool="sh")
    finally:
        os.close(secret)

    # ls has four: its three and the folder that it lists.
    for result in results:
        count, blocked, ignored = result.output.splitlines()
        assert int(count) == 4
        masks = [int(line.split()[1], 16) for line in (blocked, ignored)]
        assert [mask & ~OF_LIBC for mask in masks] == [0, 0]


async def test_errors_carry_no_secret_of_the_environment(tmp_path: Path) -> None:
    """A traceback of ours, its chain and the repr of what it holds."""
    async with fleet(tmp_path, {"MY_KEY": KEY}) as opened:
        adapter = opened.context.orchestrator_of(ToolSpec("t", ("t",)))
        request: Any = __import__("muster").AgentRequest(
            "a", tool=ToolSpec("t", ("/no/such",), env=["MY_KEY"]), prompt=CANARY
        )
        with pytest.raises(AgentInvocationError) as caught:
            await adapter.invoke(request, lambda _: None)

    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert KEY not in told
    assert CANARY not in told


async def test_what_a_callback_raises_is_logged_clean(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It may quote the agent: no secret, no terminal command, no second line."""

    def quote(line: str) -> None:
        raise ValueError(f"{line}\nINFO forged line \ud800 {'x' * 10_000}")

    evil = f"echo '{KEY}\033[2Jred \033]0;title\007'"
    async with fleet(tmp_path, {"MY_KEY": KEY}) as opened:
        result = await opened.spawn(SpawnTask(evil), tool="sh", on_output=quote)

    (record,) = caplog.records
    told = record.getMessage()
    assert result.success
    assert told.startswith("a callback raised ValueError: ***")
    assert "INFO forged" in told
    assert len(told) <= 2_100
    assert not any(ord(char) < 32 or 0x7F <= ord(char) <= 0x9F for char in told)


async def test_a_task_in_a_nested_muster_counts_its_depth(tmp_path: Path) -> None:
    """An agent that starts itself comes to an end."""
    async with fleet(tmp_path, {"MUSTER_DEPTH": "2"}) as opened:
        result = await opened.spawn(SpawnTask("echo $MUSTER_DEPTH"), tool="sh")

    assert result.output == "3\n"
    with pytest.raises(Exception, match="4 levels deep"):
        Fleet.open({}, environ={"MUSTER_DEPTH": "4"})


async def test_no_stranger_is_signalled(tmp_path: Path) -> None:
    """A process beside ours, in a session of its own, survives every end of agents."""
    bystander = subprocess.Popen(  # noqa: ASYNC220 - returns at once
        ["sleep", "1000"], start_new_session=True
    )
    try:
        async with fleet(tmp_path) as opened:
            for script in (
                "kill -9 $PPID",
                "sleep 100",
                "exit 1",
                "sleep 100 & kill -9 $$",
            ):
                await opened.spawn(SpawnTask(script, timeout=0.5), tool="sh")
        assert bystander.poll() is None
        assert bystander.pid in children(os.getpid())
    finally:
        bystander.kill()
        bystander.wait()


async def test_a_hostile_agent_leaves_the_host_alone(tmp_path: Path) -> None:
    """It may signal whom it likes in its own group and session: nobody else hears it."""
    attack = textwrap.dedent("""
        import os, signal
        for target in (0, -os.getpid()):
            for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN) if number != signal.SIGKILL else 0
                os.kill(target, number)
        print("alive", flush=True)
        os.kill(0, signal.SIGKILL)
    """)
    tool = ToolSpec("attack", (sys.executable, "-I", "-S", "-c", attack))

    async with fleet(tmp_path) as opened:
        attacker, fine = await opened.spawn_parallel(
            [SpawnTask("x", tool=tool), SpawnTask("sleep 0.5; echo ok", tool="sh")]
        )

    assert (attacker.output, attacker.success, fine.output) == (
        "alive\n",
        False,
        "ok\n",
    )
    assert causes([fine]) == [None]
