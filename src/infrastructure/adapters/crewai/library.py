"""The one door to crewai: loaded when the first crew needs it, and kept quiet.

To import it takes seconds and changes the process: it reads a ``.env`` into the
environment, replaces `warnings.warn`, and with telemetry it takes signal handlers.
What can be put back is put back, unless the host uses crewai, too. What remains is a
key that it makes in the user's data folder, for logins that nobody asked for.
"""

import os
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from attrs import define, field

from muster.domain.agent_profile import AgentProfile
from muster.domain.errors import ConfigError
from muster.infrastructure.adapters.crewai.conversation import Conversation

# Read at import and again by every crew, so they stay.
QUIET: Final[Mapping[str, str]] = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_TRACKING": "true",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "CREWAI_TESTING": "true",  # asks nothing on the terminal, leaves no record of runs
    "OTEL_SDK_DISABLED": "true",
}
NO_GOAL: Final = "Do what you are asked, as well as you can."
NO_NAME: Final = "assistant"
EXPECTED: Final = "The answer to the task, and nothing else."
_SENT: Final = ("role", "content", "name", "tool_calls", "tool_call_id")


@define(eq=False)
class Library:
    """crewai, once it is needed. May be used by many threads."""

    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    _parts: "_Parts | None" = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        if find_spec("crewai") is None:
            problem = "the adapter 'crewai' needs crewai: pip install 'muster[crewai]'"
            raise ConfigError(problem)

    def crew(
        self,
        prompt: str,
        profile: AgentProfile,
        model: str,
        tools: Sequence[Any],
        conversation: Conversation,
    ) -> Any:
        """A crew of one agent with one task, whose `kickoff` gives its answer."""
        parts = self.parts()
        llm = parts.llm(model=model)
        llm.talk_through(conversation)
        agent = parts.crewai.Agent(
            role=profile.name or NO_NAME,
            goal=profile.description or NO_GOAL,
            backstory=profile.prompt,
            llm=llm,
            tools=[parts.told(each, conversation) for each in tools],
            executor_class=parts.executor,
            # What is tried again, and how often, is decided above us.
            max_retry_limit=0,
            allow_delegation=False,
            verbose=False,
        )
        task = parts.crewai.Task(
            description=prompt, expected_output=EXPECTED, agent=agent
        )
        return parts.crew(
            agents=[agent], tasks=[task], tracing=False, memory=False, verbose=False
        )

    def tool(self, place: str) -> Any:
        """The tool at ``package.module:name``. Raises what loading it raises."""
        parts = self.parts()  # before a tool's module imports crewai in its own way
        module, _, name = place.partition(":")
        found = getattr(import_module(module), name)
        found = found() if isinstance(found, type) else found
        if not isinstance(found, parts.base_tool):
            problem = f"{place} is no crewai tool"
            raise TypeError(problem)
        return found

    def parts(self) -> "_Parts":
        """The classes that crews are made of."""
        with self._lock:
            if self._parts is None:
                with _unchanged():
                    self._parts = _Parts()
            return self._parts


@contextmanager
def _unchanged() -> Iterator[None]:
    if "crewai" in sys.modules:
        # The host uses it, too: how it is set up is the host's affair.
        yield
        return
    before, warn = dict(os.environ), warnings.warn
    os.environ |= {**QUIET, "PYTHON_DOTENV_DISABLED": "1"}
    try:
        # Importing it warns of many things, and where warnings are errors it fails.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
        _silence()
    finally:
        warnings.warn = warn
        for name in set(os.environ) - set(before) - set(QUIET):
            del os.environ[name]
        os.environ |= {name: old for name, old in before.items() if name not in QUIET}


def _silence() -> None:
    # crewai's listeners write to the terminal and to its makers. Both is off, and
    # what is left of it costs threads and a fifth of a crew's time.
    from crewai.events.event_bus import crewai_event_bus as bus  # noqa: PLC0415

    for kind, handlers in dict(bus._sync_handlers).items():  # noqa: SLF001
        for each in handlers:
            bus.off(kind, each)


class _Parts:
    """Classes that need crewai to be defined."""

    def __init__(self) -> None:
        import crewai  # noqa: PLC0415 - seconds
        from crewai.tools import BaseTool  # noqa: PLC0415

        self.crewai = crewai
        self.base_tool = BaseTool
        self.llm = _llm(crewai)
        self.crew = _crew(crewai)
        self.executor = _executor()
        self.told = _told(BaseTool)


def _llm(crewai: Any) -> Any:
    from pydantic import PrivateAttr  # noqa: PLC0415 - comes with crewai

    class ConversationLLM(crewai.BaseLLM):  # type: ignore[misc]
        """A model that is asked in the loop, with the means of this project."""

        _conversation: Any = PrivateAttr(default=None)

        def talk_through(self, conversation: Conversation) -> None:
            self._conversation = conversation

        def call(self, messages: Any, *_: Any, **__: Any) -> str:
            if isinstance(messages, str):
                messages = [{"role": "user", "content": messages}]
            stop = list(self.stop_sequences)
            asked = [{k: each[k] for k in _SENT if k in each} for each in messages]
            text: str = self._conversation.ask(asked, stop)
            return str(self._apply_stop_words(text)) if stop else text

        def supports_function_calling(self) -> bool:
            return False  # every model can be asked in words

        def supports_stop_words(self) -> bool:
            return True

        def get_input_tokens_count(self, messages: Any, *_: Any, **__: Any) -> int:
            return len(str(messages)) // 4

    return ConversationLLM


def _crew(crewai: Any) -> Any:
    from pydantic import PrivateAttr  # noqa: PLC0415

    class NoStorage:
        """crewai's own keeps every answer in a database in the user's home."""

        def update(self, *_: Any, **__: Any) -> None: ...
        def reset(self) -> None: ...
        def load(self) -> list[Any]:
            return []

    class ForgetfulCrew(crewai.Crew):  # type: ignore[misc]
        """A crew that leaves nothing behind."""

        _task_output_handler: Any = PrivateAttr(default_factory=NoStorage)

    return ForgetfulCrew


def _executor() -> Any:
    from crewai.agents.agent_executor import (  # noqa: PLC0415
        AgentExecutor,
        AgentExecutorState,
    )
    from crewai.flow.flow import FlowState  # noqa: PLC0415

    class State(FlowState, AgentExecutorState):  # type: ignore[misc]
        """What crewai builds anew for each agent: a third of its whole time."""

    class Executor(AgentExecutor):  # type: ignore[misc]
        """crewai's, with a state that has its class already."""

    Executor._initial_state_t = State  # noqa: SLF001
    # A subclass is looked through for steps of its own, and has none.
    Executor._flow_definition = AgentExecutor.flow_definition()  # noqa: SLF001
    return Executor


def _told(base_tool: Any) -> Any:
    from pydantic import PrivateAttr  # noqa: PLC0415

    class ToldTool(base_tool):  # type: ignore[misc]
        """A tool whose calls are told."""

        _inner: Any = PrivateAttr(default=None)
        _conversation: Any = PrivateAttr(default=None)

        def _run(self, *args: Any, **kwargs: Any) -> Any:
            with self._conversation.tool_call(self.name):
                return self._inner.run(*args, **kwargs)

    def told(tool: Any, conversation: Conversation) -> Any:
        made = ToldTool(
            name=tool.name,
            description=tool.description,
            args_schema=tool.args_schema,
            result_as_answer=tool.result_as_answer,
        )
        made._inner, made._conversation = tool, conversation  # noqa: SLF001
        return made

    return told
