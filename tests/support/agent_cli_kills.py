"""Real agent CLIs that are ended in the middle of a shell tool call that tries to stay."""

import asyncio
import itertools
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from attrs import define, frozen

from muster import Fleet, SpawnPolicy, SpawnTask
from tests.support.agent_clis import MODELS, Place
from tests.support.cli import Cli, wait_until
from tests.support.model_server import Served, served

WAYS: Final = ("timeout", "cancel", "stop", "host killed")
# In the background, in a session of its own, deaf to a hang-up, and in front. claude
# refuses a command that begins with a sleep.
ESCAPES: Final = (
    "echo begun; sleep {n} & (setsid sleep {n} &) ; nohup sleep {n} >/dev/null 2>&1 & "
    "(setsid sh -c 'trap \"\" TERM HUP INT; sleep {n}; sleep {n}' &) ; "
    "echo on > {mark}; sleep {n}"
)
STARTED: Final = 120.0  # for a tool call to begin on a busy machine
LIMIT: Final = 20.0  # of the attempt that a deadline ends
_NUMBERS: Final = itertools.count(1)


@frozen
class Outcome:
    """Who is left of one trial, and whether its tool call had begun."""

    survivors: tuple[str, ...]
    had_begun: bool


@define
class Killing:
    """Trials with one kind of agent, all with the same home."""

    name: str
    place: Place
    server: Served

    async def trial(self, way: str, patience: float) -> Outcome:
        """One agent, ended in that way; who is left after ``patience`` seconds."""
        number = f"{3000 + next(_NUMBERS)}.{os.getpid()}"
        mark = self.place.work / f"on-{number}"
        command = ESCAPES.format(n=number, mark=mark)
        call = {"do": "tool_call", "command": command}
        self.server.rewrite({"turns": [call], "tools_only": True})
        if way == "host killed":
            await asyncio.to_thread(self._kill_host, mark)
        else:
            await self._end(way, mark)
        left = await asyncio.to_thread(self.place.alive_after, patience, number)
        return Outcome(tuple(left), mark.exists())

    async def _end(self, way: str, mark: Path) -> None:
        settings = self.place.settings(self.name, self.server.url)
        timeout = LIMIT if way == "timeout" else None
        task = self._task(timeout=timeout)
        async with Fleet.open(settings) as fleet:
            policy = SpawnPolicy.preset("development")
            async with asyncio.TaskGroup() as group:
                running = group.create_task(
                    fleet.spawn(task, tool=self.name, policy=policy)
                )
                await asyncio.to_thread(_until, mark, running.done)
                if way == "cancel":
                    running.cancel()
                elif way == "stop":
                    fleet.stop()
                with suppress(asyncio.CancelledError):
                    await running

    def _task(self, **options: Any) -> SpawnTask:
        model = MODELS[self.name]
        return SpawnTask("Do it.", cwd=str(self.place.work), model=model, **options)

    def _kill_host(self, mark: Path) -> None:
        user = self.place.folder / "user"
        user.mkdir(exist_ok=True)
        cli = Cli(user)
        self.place.write_settings(user / "home", self.name, self.server.url)
        task = {"id": "t", "prompt": "Do it.", "model": MODELS[self.name]}
        plan = {"tasks": [task | {"cwd": str(self.place.work)}]}
        cli.file("plan.json", json.dumps(plan))
        words = ("run", "plan.json", "--tool", self.name, "--policy", "development")
        running = cli.args(*words, "--quiet").start()
        try:
            _until(mark, lambda: running.process.poll() is not None)
        finally:
            running.process.kill()
            running.process.wait()
        assert mark.exists(), running.heard()


def _until(mark: Path, is_over: Callable[[], bool]) -> None:
    begun = "the beginning of a tool call"
    wait_until(lambda: mark.exists() or is_over(), begun, STARTED)


@contextmanager
def killing(name: str, folder: Path) -> Iterator[Killing]:
    """With a server of its own."""
    with served() as server:
        yield Killing(name, Place(folder), server)
