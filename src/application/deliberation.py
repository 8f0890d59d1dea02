"""A council in session: its rounds, each of them one batch of agents that are asked at once.

Everything that is decided here follows from what members said, so that the same answers
make the same questions: a deliberation that is taken up again asks nobody twice.
"""

from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from typing import Any, Protocol

from attrs import define, field

from muster.domain import council_prompt, deliberation
from muster.domain.ballot import Unreadable, read_vote
from muster.domain.concurrent_result import ConcurrentResult
from muster.domain.council import AGAIN, Council, Phase
from muster.domain.council_events import (
    AskedAgain,
    Concluded,
    CouncilEvent,
    MemberAbsent,
    RoundBegan,
    RoundEnded,
    StatementCommitted,
)
from muster.domain.deliberation import Ballot, Poll, Round, Verdict
from muster.domain.deliberation_events import (
    AgentAnswered,
    AgentFailed,
    DeliberationEvent,
)
from muster.domain.errors import SystemHaltedError
from muster.domain.outcome import Failure, FailureCause
from muster.domain.task import AgentOutput, AgentRequest, ContextBundle
from muster.domain.tool import ToolSpec

Recall = Callable[[AgentRequest], AgentOutput | Failure | None]


class Chamber(Protocol):
    """Where a council's agents are asked; `ConcurrentDeliberationService` is one."""

    async def invoke_concurrent(
        self, requests: Iterable[AgentRequest], /
    ) -> ConcurrentResult:
        """Every request ends as an output or a failure."""
        ...


def _nothing(request: AgentRequest) -> None:
    return


def _unheard(event: CouncilEvent) -> None:
    return


def _goes_on() -> None:
    return


def _as_said(text: str) -> str:
    return text


@define
class _Answers:
    """What came of one batch, by member."""

    said: dict[str, str] = field(factory=dict)
    failed: dict[str, Failure] = field(factory=dict)
    halt_reason: str | None = None


@define(eq=False)
class Deliberation:
    """One council from its first round to its verdict. ``rounds`` are those held.

    ``recall`` knows what was committed before: an output, a failure that stays, or None
    for a request that has to be asked. ``mask`` takes secrets out of what is said before
    anybody else sees it. ``stopped`` gives a reason when nothing more may be asked.
    """

    council: Council
    chamber: Chamber
    recall: Recall = field(default=_nothing, kw_only=True)
    listener: Callable[[CouncilEvent], object] = field(default=_unheard, kw_only=True)
    mask: Callable[[str], str] = field(default=_as_said, kw_only=True)
    stopped: Callable[[], str | None] = field(default=_goes_on, kw_only=True)
    rounds: list[Round] = field(factory=list, init=False)
    _told: set[str] = field(factory=set, init=False)
    _topic_id: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        topic = self.council.topic.encode("utf-8", "surrogatepass")
        self._topic_id = sha256(topic).hexdigest()[:16]

    async def run(self) -> Verdict:
        """The verdict. A halt is one, too; what was committed before it is kept."""
        verdict: Verdict | None = None
        while verdict is None:
            verdict = await self._round(len(self.rounds) + 1)
        self.listener(Concluded(verdict))
        return verdict

    def hear(self, event: DeliberationEvent) -> None:
        """For a chamber that tells of each agent as it ends: then all are told at once."""
        if isinstance(event, AgentAnswered):
            self._tell_said(event.request, self.mask(event.output.content))
        elif isinstance(event, AgentFailed):
            self._tell_failed(event.request, event.failure.failure)

    # --- a round ----------------------------------------------------------------

    async def _round(self, number: int) -> Verdict | None:
        council, phase = self.council, self.council.phase(number)
        self.listener(RoundBegan(number, phase))
        before = tuple(self.rounds)
        prompts = {
            each.name: council_prompt.prompt_for(council, each.name, before)
            for each in council.members
        }
        answers = await self._ask(number, prompts)
        poll = None
        if phase is Phase.VOTE:
            poll = await self._poll(number, prompts, answers)
        held = Round(number, phase, answers.said, answers.failed, poll)
        self.rounds.append(held)
        self.listener(RoundEnded(held))
        return self._verdict(held, answers.halt_reason)

    def _verdict(self, held: Round, halt_reason: str | None) -> Verdict | None:
        council, poll = self.council, held.poll
        if halt_reason is not None:
            poll = poll or self._no_poll(held)
            return deliberation.halted(council, poll, held.number, halt_reason)
        if poll is not None:
            return deliberation.conclude(council, poll, held.number)
        present = len(held.statements)
        if present >= council.needed:
            return None
        poll = self._no_poll(held)
        return deliberation.no_quorum(council, poll, held.number, present)

    def _no_poll(self, held: Round) -> Poll:
        absent = {each.name: "no vote was held" for each in self.council.members}
        return Poll.of(self.council, {}, {**absent, **_reasons(held.absent)})

    async def _poll(
        self, number: int, prompts: Mapping[str, str], answers: _Answers
    ) -> Poll:
        choices = self.council.choices
        ballots: dict[str, Ballot] = {
            name: read_vote(text, choices) for name, text in answers.said.items()
        }
        unread = {
            name: ballot
            for name, ballot in ballots.items()
            if isinstance(ballot, Unreadable)
        }
        if unread and answers.halt_reason is None:
            await self._second_chance(number, prompts, answers, unread, ballots)
        return Poll.of(self.council, ballots, _reasons(answers.failed))

    async def _second_chance(
        self,
        number: int,
        prompts: Mapping[str, str],
        answers: _Answers,
        unread: Mapping[str, Unreadable],
        ballots: dict[str, Ballot],
    ) -> None:
        self.listener(AskedAgain(number, tuple(unread)))
        again = {
            name: council_prompt.second_ask(
                prompts[name], self.council, answers.said[name], ballot.problem
            )
            for name, ballot in unread.items()
        }
        second = await self._ask(number, again, again=True)
        for name, text in second.said.items():
            answers.said[name] = text
            ballots[name] = read_vote(text, self.council.choices)
        for name, failure in second.failed.items():
            # It was there, and said something.
            problem = f"{unread[name].problem}; asked again: {failure.message}"
            ballots[name] = Unreadable(problem)
        answers.halt_reason = second.halt_reason

    # --- asking -----------------------------------------------------------------

    async def _ask(
        self, number: int, prompts: Mapping[str, str], *, again: bool = False
    ) -> _Answers:
        """What each says, in the order of the members."""
        requests = [
            self._request(number, name, prompt, again=again)
            for name, prompt in prompts.items()
        ]
        found: dict[str, AgentOutput | Failure] = {}
        fresh: list[AgentRequest] = []
        for each in requests:
            known = self.recall(each)
            if known is None:
                fresh.append(each)
            else:
                found[each.agent_id] = known
        answers = _Answers()
        recalled = frozenset(found)
        if fresh:
            answers.halt_reason = await self._invoke(fresh, found)
        for each in requests:
            is_old = each.agent_id in recalled
            self._file(each, found[each.agent_id], answers, is_old=is_old)
        return answers

    async def _invoke(
        self, fresh: list[AgentRequest], found: dict[str, AgentOutput | Failure]
    ) -> str | None:
        """Adds what comes of them; the reason, if that was the end of it all."""
        reason = self.stopped()
        if reason is not None:
            failure = Failure(FailureCause.CANCELLED, f"not asked: {reason}")
            found.update(dict.fromkeys((each.agent_id for each in fresh), failure))
            return reason
        try:
            result = await self.chamber.invoke_concurrent(fresh)
        except SystemHaltedError as halt:
            failure = Failure(FailureCause.HALTED, str(halt))
            found.update(dict.fromkeys((each.agent_id for each in fresh), failure))
            return halt.reason
        found.update({each.agent_id: each for each in result.outputs})
        found.update({each.agent_id: each.failure for each in result.failures})
        return result.halt_reason or self.stopped()

    def _file(
        self,
        request: AgentRequest,
        came: AgentOutput | Failure,
        answers: _Answers,
        *,
        is_old: bool,
    ) -> None:
        name = request.agent_id
        if isinstance(came, Failure):
            answers.failed[name] = came
            self._tell_failed(request, came, is_old=is_old)
        else:
            answers.said[name] = self.mask(came.content)
            self._tell_said(request, answers.said[name], is_old=is_old)

    def _request(
        self, number: int, name: str, prompt: str, *, again: bool
    ) -> AgentRequest:
        member, phase = self.council.member(name), self.council.phase(number)
        request_id = self.council.question_id(number, name, again=again)
        metadata: dict[str, Any] = {"round": number, "phase": phase, AGAIN: again}
        if phase is Phase.VOTE:
            metadata["choices"] = self.council.choices
        return AgentRequest(
            name,
            ContextBundle(
                self._topic_id, self.council.topic, metadata, bundle_id=request_id
            ),
            prompt=prompt,
            request_id=request_id,
            task_id=request_id,
            agent=member.agent,
            tool=member.tool if isinstance(member.tool, ToolSpec) else None,
            model=member.model,
        )

    # --- telling ----------------------------------------------------------------

    def _tell_said(
        self, request: AgentRequest, content: str, *, is_old: bool = False
    ) -> None:
        if not self._is_news(request):
            return
        number, phase, again = _place(request)
        ballot: Ballot | None = None
        if phase is Phase.VOTE:
            ballot = read_vote(content, self.council.choices)
        name = request.agent_id
        self.listener(
            StatementCommitted(number, phase, name, content, ballot, again, is_old)
        )

    def _tell_failed(
        self, request: AgentRequest, failure: Failure, *, is_old: bool = False
    ) -> None:
        if self._is_news(request):
            number, phase, _ = _place(request)
            name = request.agent_id
            self.listener(MemberAbsent(number, phase, name, failure, is_old))

    def _is_news(self, request: AgentRequest) -> bool:
        request_id = str(request.request_id)
        if request_id in self._told:
            return False
        self._told.add(request_id)
        return True


def _place(request: AgentRequest) -> tuple[int, Phase, bool]:
    found = request.context.metadata if request.context else None
    assert found is not None  # noqa: S101 - every request of ours has one
    return found["round"], found["phase"], found[AGAIN]


def _reasons(failed: Mapping[str, Failure]) -> dict[str, str]:
    return {
        name: f"{failure.cause.value}: {failure.message}"
        for name, failure in failed.items()
    }
