"""A HOME for each agent: apart while they run, furnished, used again, and gone at the end."""

import asyncio
from pathlib import Path
from typing import Any

from muster.domain.outcome import FailureCause
from tests.integration.agents import containment, invoke, orchestrator, shell

__all__ = ["containment"]  # a fixture: used by being here

AT_HOME = """
echo "$HOME"; mkdir "$HOME/busy" || echo crowded
cat "$HOME/.tool/login" 2>&1; echo new >>"$HOME/.tool/login"; sleep 0.2
echo "${XDG_DATA_HOME:-none}"; rmdir "$HOME/busy"
"""


def own(script: str = AT_HOME, **spec: Any) -> Any:
    """A tool whose agents have a home each."""
    return shell(script, home="own", login_files=["~/.tool/login"], **spec)


async def test_agents_live_apart_and_share_their_login(tmp_path: Path) -> None:
    """What one renews of the login, all have; the user's other files are not there."""
    (tmp_path / ".tool").mkdir()
    login = tmp_path / ".tool" / "login"
    login.write_text("token\n")
    (tmp_path / "diary").write_text("private")

    async with orchestrator(HOME=str(tmp_path), XDG_DATA_HOME="/x") as opened:
        tool = own(env=["XDG_DATA_HOME"])
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(invoke(opened, tool)) for _ in range(4)]
        said = [each.result().stdout.decode().splitlines() for each in running]
        homes = {lines[0] for lines in said}
        again = await invoke(opened, own('echo "$HOME"; ls -A "$HOME"'))

    assert len(homes) == 4
    assert str(tmp_path) not in homes
    assert all("token" in lines and lines[-1] == "none" for lines in said)
    assert not any("crowded" in lines for lines in said)
    assert login.read_text().split() == ["token", *["new"] * 4]
    home, *files = again.stdout.decode().split()
    assert home in homes
    assert files == [".tool"]
    assert not _left(homes)


async def test_a_home_is_given_back_whatever_happens(tmp_path: Path) -> None:
    """By an agent that can't be started, one that is cancelled, and one that fails."""
    async with orchestrator(HOME=str(tmp_path)) as opened:
        missing = await invoke(opened, own("exit 3"), cwd="/no/such/folder")
        failed = await invoke(opened, own("exit 3"))
        sleeping = asyncio.ensure_future(  # noqa: TID251 - it is cancelled
            invoke(opened, own("sleep 60"))
        )
        await asyncio.sleep(0.3)
        sleeping.cancel()
        await asyncio.wait([sleeping])
        homes = [(await invoke(opened, own('echo "$HOME"'))).stdout for _ in range(2)]

    assert missing.failure is not None
    assert failed.failure is not None
    assert failed.failure.cause is FailureCause.CRASH
    assert homes[0] == homes[1]
    assert homes[0].strip().endswith(b"-1")


async def test_a_user_without_a_home_gives_none_to_link(tmp_path: Path) -> None:
    """The agent has one all the same, and not the one of the password file."""
    async with orchestrator(HOME="") as opened:
        story = await invoke(opened, own('echo "$HOME"; ls -A "$HOME"'))

    assert len(story.stdout.split()) == 1


def _left(homes: set[str]) -> list[str]:
    return [each for each in homes if Path(each).exists()]
