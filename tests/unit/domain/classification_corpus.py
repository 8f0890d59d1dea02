"""The recorded runs and texts that the classification is held against."""

import json
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).parents[2] / "data" / "corpus"


def texts(name: str) -> list[dict[str, Any]]:
    """The records of a JSON-lines file."""
    return [json.loads(line) for line in (CORPUS / name).read_text().splitlines()]


def own_texts() -> list[dict[str, Any]]:
    """Short error texts from public issues and of common programs, labelled by hand."""
    file = CORPUS.parent / "wild_own.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()]


def runs(*, healthy: bool) -> list[tuple[str, dict[str, Any], str, str]]:
    """(name, meta, stdout, stderr) of the runs that ended by themselves."""
    found = []
    for path in sorted(CORPUS.glob("*/*.meta.json")):
        meta = json.loads(path.read_text())
        if meta["is_success"] is healthy and not meta["timed_out"]:
            base = str(path).removesuffix(".meta.json")
            out, err = (
                Path(base + end).read_bytes().decode(errors="replace")
                for end in (".stdout", ".stderr")
            )
            found.append((str(Path(base).relative_to(CORPUS)), meta, out, err))
    return found
