"""Plans in TOML: ``[defaults]``, ``[tools.NAME]``, ``[agents.NAME]``, ``[[task]]``."""

from muster.domain.errors import PlanError
from muster.infrastructure import toml_text
from muster.infrastructure.plan_files.document import PlanDocument


def parse(text: str) -> PlanDocument:
    """The plain values. Raises `PlanError` for a text that is no TOML."""
    try:
        values, lines = toml_text.load(text)
    except toml_text.TomlRefusedError as exc:
        raise PlanError(f"the file {exc.problem}", None, exc.line) from exc
    return PlanDocument(values, lines.line_of)
