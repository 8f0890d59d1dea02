"""What a dependent task is told of the tasks before it, within bounds."""

import re
from collections.abc import Mapping, Sequence

from muster.domain import presets
from muster.domain.outcome import SpawnResult

_PLACE = re.compile(r"\{\{\s*task\.([^{}\s]+?)\.output\s*\}\}")


def prompt_with_context(
    prompt: str, depends: Sequence[str], results: Mapping[str, SpawnResult]
) -> str:
    """The prompt, with ``{{task.ID.output}}`` filled and the other dependencies before it.

    A dependency that is placed by hand is not told twice. Outputs are delimited
    as data and bounded; a placed task without a result becomes an empty text.
    """
    placed = set(_PLACE.findall(prompt))
    filled = _PLACE.sub(lambda place: _output(results.get(place[1])), prompt)
    told = [task_id for task_id in depends if task_id not in placed]
    known = [task_id for task_id in told if task_id in results]
    return f"{_context(told, results)}\n\n{filled}" if known else filled


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


def _context(depends: Sequence[str], results: Mapping[str, SpawnResult]) -> str:
    good = [each for each in depends if each in results and results[each].success]
    lines = [f"Previous context ({len(good)}/{len(depends)} dependencies):"]
    for task_id in depends:
        result = results.get(task_id)
        if result is None:
            continue
        if result.success:
            lines.append(f"✓ [{task_id}]: {_output(result)}")
        else:
            lines.append(f"✗ [{task_id}]: FAILED - {bounded(result.error or '')}")
    failed = len(depends) - len(good)
    if failed:
        lines.append(
            f"WARNING: {failed}/{len(depends)} dependencies failed. "
            "Proceed with available context."
        )
    return "\n".join(lines)


def _output(result: SpawnResult | None) -> str:
    return bounded(result.output, result.output_path) if result else ""
