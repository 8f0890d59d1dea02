"""What a dependent task is told of the tasks before it, within bounds."""

import re
from collections.abc import Mapping, Sequence

from muster.domain import presets
from muster.domain.outcome import SpawnResult

_PLACE = re.compile(r"\{\{\s*task\.([^{}\n]+?)\.output\s*\}\}")


def placed(prompt: str) -> frozenset[str]:
    """The ids whose output a prompt places by hand."""
    return frozenset(_PLACE.findall(prompt))


def without_places(text: str) -> str:
    """Words of others for a prompt: what looks like a place in them is none any more."""
    return _PLACE.sub(lambda place: place[0].replace("{{", "{ {"), text)


def prompt_with_context(
    prompt: str, depends: Sequence[str], results: Mapping[str, SpawnResult]
) -> str:
    """The prompt, with ``{{task.ID.output}}`` filled and the other dependencies before it."""
    return "".join(context_and_prompt(prompt, depends, results))


def context_and_prompt(
    prompt: str, depends: Sequence[str], results: Mapping[str, SpawnResult]
) -> tuple[str, str]:
    """What stands before the prompt, and the prompt with ``{{task.ID.output}}`` filled.

    A success that is placed by hand is not told twice. Outputs are delimited as
    data and bounded. A dependency without a result (it is ticked off, or was not
    asked for) has not failed: it is left out, and its place becomes an empty text.
    """
    by_hand = placed(prompt)
    filled = _PLACE.sub(lambda place: _output(results.get(place[1])), prompt)
    told = {
        task_id: result
        for task_id in depends
        if (result := results.get(task_id)) is not None
        and not (result.success and task_id in by_hand)
    }
    return (f"{_context(told)}\n\n" if told else "", filled)


def bounded(text: str, path: str | None = None) -> str:
    """Head and tail of a text that is too long, with where the whole stands."""
    limit = presets.CONTEXT_BYTES
    data = text.encode("utf-8", "surrogatepass")
    if len(data) <= limit:
        return text
    half = limit // 2
    where = f", the whole is in {path}" if path else ""
    head = data[:half].decode("utf-8", "ignore")
    tail = data[-half:].decode("utf-8", "ignore")
    return f"{head}\n[... {len(data) - limit} bytes left out{where} ...]\n{tail}"


def _context(told: Mapping[str, SpawnResult]) -> str:
    failed = sum(not result.success for result in told.values())
    lines = [f"Previous context ({len(told) - failed}/{len(told)} dependencies):"]
    for task_id, result in told.items():
        if result.success:
            lines.append(f"✓ [{task_id}]: {_output(result)}")
        else:
            lines.append(f"✗ [{task_id}]: FAILED - {bounded(result.error or '')}")
    if failed:
        lines.append(
            f"WARNING: {failed}/{len(told)} dependencies failed. "
            "Proceed with available context."
        )
    return "\n".join(lines)


def _output(result: SpawnResult | None) -> str:
    return bounded(result.output, result.output_path) if result else ""
