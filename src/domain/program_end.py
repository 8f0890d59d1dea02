"""Why a program whose stdout is plain text has failed, or that it has not.

An exit code of 0 is a success, unless the tool's own rules say otherwise: some
agents end with 0 on every error and tell of it in their text.
"""

import re
from typing import Final

from attrs import evolve

from muster.domain import presets
from muster.domain.classification_exit import judge_exit, judge_text
from muster.domain.events import AgentEnded
from muster.domain.outcome import Evidence, Failure, FailureCause
from muster.domain.tool import ToolSpec

_BY_RULE: Final = "failure_patterns"


def judge_program(
    ended: AgentEnded,
    spec: ToolSpec | None,
    *,
    oom_killed: bool | None = None,
    now_epoch: float | None = None,
) -> Failure | None:
    """The failure of a run that ended by itself, or None. Never raises.

    Offsets of evidence count from the stream's start; None where its middle was
    not kept.
    """
    if ended.exit_code == 0:
        return None if spec is None else _of_a_good_exit(ended, spec, now_epoch)
    stderr = ended.stderr[-presets.JUDGED_TAIL_BYTES :]
    stdout = ended.output[-presets.JUDGED_TAIL_BYTES :]
    failure = judge_exit(
        ended.exit_code,
        stderr,
        stdout,
        tool=spec.name if spec else None,
        oom_killed=oom_killed,
        now_epoch=now_epoch,
    )
    return placed(failure, ended, {"stderr": stderr, "stdout": stdout})


def placed(failure: Failure, ended: AgentEnded, tails: dict[str, str]) -> Failure:
    """``failure`` with its evidence placed in the whole stream that a tail is of."""
    evidence = failure.evidence
    if evidence is None or evidence.offset is None:
        return failure
    offset = None
    if not ended.truncated:
        whole = ended.stderr if evidence.stream == "stderr" else ended.output
        before = whole[: len(whole) - len(tails[evidence.stream])]
        offset = evidence.offset + len(before.encode(errors="replace"))
    return evolve(failure, evidence=evolve(evidence, offset=offset))


def _of_a_good_exit(
    ended: AgentEnded, spec: ToolSpec, now_epoch: float | None
) -> Failure | None:
    output = ended.output
    if spec.requires_output and not output.strip():
        message = f"'{spec.name}' exited with 0 and gave no answer"
        return Failure(FailureCause.INFERENCE, message)
    if not spec.success_pattern and not spec.failure_patterns:
        return None
    proof = _last(spec.success_pattern, output)
    begin = proof.end() if proof else 0
    complaint = _first(spec.failure_patterns, output, begin)
    if complaint is not None:
        return _complaint(complaint, ended, now_epoch)
    if spec.success_pattern and proof is None:
        message = f"'{spec.name}' exited with 0, and its output shows no answer"
        return _named(message, output, ended, now_epoch)
    return None


def _last(pattern: str, text: str) -> re.Match[str] | None:
    if not pattern:
        return None
    found = None
    for found in re.finditer(pattern, text, re.MULTILINE):  # noqa: B007 -- the last one
        pass
    return found


def _first(patterns: tuple[str, ...], text: str, begin: int) -> re.Match[str] | None:
    matches = (re.compile(each, re.MULTILINE).search(text, begin) for each in patterns)
    return min(filter(None, matches), key=lambda found: found.start(), default=None)


def _complaint(
    complaint: re.Match[str], ended: AgentEnded, now_epoch: float | None
) -> Failure:
    text = ended.output[complaint.start() :]
    line = text.partition("\n")[0].strip()
    return _named(line, text, ended, now_epoch)


def _named(
    message: str, text: str, ended: AgentEnded, now_epoch: float | None
) -> Failure:
    tail = text[-presets.JUDGED_TAIL_BYTES :]
    failure = judge_text(tail, "stdout", now_epoch)
    if failure is None:
        evidence = Evidence(message, "stdout", pattern=_BY_RULE)
        return Failure(FailureCause.INFERENCE, message, evidence)
    return placed(failure, ended, {"stdout": tail})
