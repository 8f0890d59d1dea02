"""How often a real agent run is judged right: success or failure, and which category.

Reads every run as its tool's spec does, stream or text, and tells success from
failure. Judges every failed run of `tests/data/corpus` by (exit code, stdout, stderr),
the texts from public issues, and the healthy answers (no false alarm allowed).
Runs that were stopped by the recorder's own time limit are left out: that they
timed out is known to whoever stopped them and stands in no output.

    python -m benchmarks.classification [--misses]
"""

import argparse
import json
import sys
import zlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from attrs import evolve, frozen

from benchmarks.figures import Report
from muster import classify_error
from muster.domain.classification import LineWatch, judge_exit
from muster.domain.events import AgentEnded
from muster.domain.outcome import Failure
from muster.domain.program_end import judge_program
from muster.domain.stream_outcome import judge_stream
from muster.infrastructure.adapters.local_process.stream_formats import parser_for
from muster.infrastructure.adapters.local_process.tool_specs import built_in

RIGHT: Final = 99.0
STREAMS: Final = {
    "claude": "claude_stream_json",
    "codex": "codex_json",
    "gemini": "gemini_stream_json",
    "opencode": "opencode_json",
    "copilot": "copilot_json",
    "qwen": "qwen_stream_json",
}
CORPUS = Path(__file__).parent.parent / "tests" / "data" / "corpus"


@frozen
class Case:
    """One recorded run."""

    name: str
    tool: str
    exit_code: int
    stdout: str
    stderr: str
    meta: dict[str, Any]

    @property
    def is_development(self) -> bool:
        """Half of the cases, by name: rows were written for these and tried on the rest."""
        return zlib.crc32(self.name.removesuffix(".text").encode()) % 2 == 0


def cases() -> Iterator[Case]:
    """All recorded runs."""
    for path in sorted(CORPUS.glob("*/*.meta.json")):
        base = str(path).removesuffix(".meta.json")
        texts = [Path(base + end).read_bytes() for end in (".stdout", ".stderr")]
        stdout, stderr = (text.decode(errors="replace") for text in texts)
        meta = json.loads(path.read_text())
        name = str(Path(base).relative_to(CORPUS))
        yield Case(name, path.parent.name, meta["exit"], stdout, stderr, meta)


def records(name: str) -> list[dict[str, Any]]:
    """The lines of a JSON-lines file of the corpus."""
    return [json.loads(line) for line in (CORPUS / name).read_text().splitlines()]


def is_judged(case: Case) -> bool:
    """Whether the run failed by itself."""
    return not case.meta["is_success"] and not case.meta["timed_out"]


def is_right(case: Case) -> bool:
    """Whether the category is acceptable."""
    failure = judge_exit(case.exit_code, case.stderr, case.stdout, tool=case.tool)
    return failure.category.value in case.meta["acceptable_categories"]


def read_raw(case: Case, way: str) -> Failure | None:
    """As a host judges a transcript that names no tool: what it has of it as one text."""
    code = case.exit_code
    if way == "stdout":
        return classify_error(case.stdout, exit_code=code, stream="stdout")
    if way == "both":
        text = f"{case.stdout}\n{case.stderr}"
        return classify_error(text, exit_code=code, stream="stdout")
    text, stream = (
        (case.stdout, "stdout") if case.stdout.strip() else (case.stderr, "stderr")
    )
    return classify_error(text, exit_code=code, stream=stream)


def raw_streams(report: Report, everything: list[Case]) -> None:
    """Structured transcripts by `muster.classify_error`, without their tool's name."""
    read = [
        case
        for case in everything
        if case.tool in STREAMS and is_read_by_muster(case) and case.stdout.strip()
    ]
    print(f"{'raw streams':18}{'told apart':>18}{'category':>18}")
    for way in ("stdout", "both", "stderr if no stdout"):
        group = read if way == "stdout" else [*filter(is_read_by_muster, everything)]
        group = [case for case in group if case.tool in STREAMS]
        found = [(case, read_raw(case, way)) for case in group]
        apart = [(each is None) == case.meta["is_success"] for case, each in found]
        named = [
            each is not None
            and each.category.value in case.meta["acceptable_categories"]
            for case, each in found
            if not case.meta["is_success"]
        ]
        print(f"  {way:20}{share(apart):>18}{share(named):>18}")
        if way == "stdout":
            told = 100 * sum(apart) / len(apart)
            report.figure("raw streams", told, 100, "%", at_least=True)


def judged(case: Case) -> Failure | None:
    """As the adapter judges it: a stream by its records, other output as text."""
    spec = built_in(case.tool)
    if case.meta["format"] != "json":
        ended = AgentEnded(case.exit_code, case.stdout, case.stderr)
        return judge_program(ended, evolve(spec, output="text"))
    parser = parser_for(STREAMS[case.tool], lambda _: None)
    assert parser is not None
    parser.feed(case.stdout.encode())
    outcome = parser.finish()
    return judge_stream(outcome, exit_code=case.exit_code, stderr=case.stderr)


def is_told_apart(case: Case) -> bool:
    """Whether the adapter's own judgement knows a success from a failure."""
    return (judged(case) is None) == case.meta["is_success"]


def is_named_by_records(case: Case) -> bool:
    """Whether the stream's records name an acceptable category, as in `is_right`."""
    failure = judged(case)
    if failure is None:
        return False
    return failure.category.value in case.meta["acceptable_categories"]


def is_read_by_muster(case: Case) -> bool:
    """Streams of tools that have one, the text of those that have none."""
    has_stream = case.tool in STREAMS
    return has_stream == (case.meta["format"] == "json") and not case.meta["timed_out"]


def show_misses(failed: list[Case]) -> None:
    """Prints what went wrong."""
    for case in failed:
        if not is_right(case):
            failure = judge_exit(
                case.exit_code, case.stderr, case.stdout, tool=case.tool
            )
            print(case.name, case.meta["acceptable_categories"], failure, "\n")
    for text in records("wild.jsonl"):
        found = classify_error(text["text"], stream=text["stream"])
        category = found.category.value if found else "unknown"
        if category != text["expected_category"]:
            print("wild", text["expected_category"], text["text"], found, "\n")


def share(right: list[bool]) -> str:
    """``9/10  90.0 %``."""
    return (
        f"{sum(right):4}/{len(right):<4}{100 * sum(right) / max(1, len(right)):6.1f} %"
    )


def main() -> int:
    """Prints the table and the figures; 1 when one is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--misses", action="store_true")
    parser.add_argument("--quick", action="store_true", help="changes nothing here")
    arguments = parser.parse_args()
    report = Report("classification: the right category for a recorded failure")
    everything = list(cases())
    failed = list(filter(is_judged, everything))
    by_tool = defaultdict(list)
    for case in failed:
        by_tool[case.tool].append(case)
    groups = dict(by_tool)
    groups["all"] = failed
    groups["development half"] = [case for case in failed if case.is_development]
    groups["check half"] = [case for case in failed if not case.is_development]
    for name, group in groups.items():
        print(f"{name:18}{share([is_right(case) for case in group]):>18}")
    told_apart(report, everything)
    raw_streams(report, everything)
    wild = [
        (found.category.value if found else "unknown") == text["expected_category"]
        for text in records("wild.jsonl")
        for found in [classify_error(text["text"], stream=text["stream"])]
    ]
    print(f"{'public issues':18}{share(wild):>18}")
    by_text = sum(map(is_right, failed)) / len(failed)
    report.figure("recorded failures", by_text * 100, RIGHT, "%", at_least=True)
    streams = [is_named_by_records(each) for each in failed if is_read_by_muster(each)]
    share_of = 100 * sum(streams) / len(streams)
    report.figure("the same, by their records", share_of, RIGHT, "%", at_least=True)
    for way, alarms in false_alarms(everything).items():
        report.figure(f"false alarms, {way}", alarms, 0, "")
    if arguments.misses:
        show_misses(failed)
    return int(report.missed > 0)


def told_apart(report: Report, everything: list[Case]) -> None:
    """Success or failure, per tool."""
    print(f"{'':18}{'success or failure':>18}")
    read = list(filter(is_read_by_muster, everything))
    for tool in dict.fromkeys(case.tool for case in read):
        right = [is_told_apart(case) for case in read if case.tool == tool]
        print(f"{tool:18}{share(right):>18}")
    good = sum(map(is_told_apart, read)) / len(read)
    report.figure("success or failure", good * 100, 100, "%", at_least=True)


def false_alarms(everything: list[Case]) -> dict[str, int]:
    """Healthy texts that are taken for failures, by the way of looking at them."""
    watch = LineWatch()
    healthy = [
        (case.stdout, case.stderr) for case in everything if case.meta["is_success"]
    ]
    healthy += [(text["stdout"], text["stderr"]) for text in records("benign.jsonl")]
    return {
        "stdout of exit 0": sum(
            classify_error(out, exit_code=0, stream="stdout") is not None
            for out, _ in healthy
        ),
        "stderr of exit 0": sum(
            classify_error(err, exit_code=0) is not None for _, err in healthy
        ),
        "live stderr": sum(_is_confirmed(watch, err) for _, err in healthy),
        "answers as live stderr": sum(
            _is_confirmed(watch, text["stdout"]) for text in records("benign.jsonl")
        ),
        "answers as text": sum(
            classify_error(text["stdout"]) is not None
            for text in records("benign.jsonl")
        ),
    }


def _is_confirmed(watch: LineWatch, stderr: str) -> bool:
    suspicion = watch.judge(stderr, 1.0)
    return suspicion is not None and suspicion.is_confirmed


if __name__ == "__main__":
    sys.exit(main())
