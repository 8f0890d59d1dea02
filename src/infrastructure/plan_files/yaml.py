"""Plans in YAML, with the keys of the TOML form; tags are refused."""

from muster.domain.errors import PlanError
from muster.infrastructure import bounded_yaml
from muster.infrastructure.plan_files.document import PlanDocument


def parse(text: str) -> PlanDocument:
    """The plain values. Raises `PlanError` for a text that is no plain YAML."""
    try:
        document = bounded_yaml.load(text)
    except bounded_yaml.YamlRefusedError as exc:
        # The most common of these mistakes, and the parser does not name it. What it
        # stumbles over may also lie behind the last line.
        at = (exc.line or 1) - 1
        is_tab = any(line.startswith("\t") for line in text.split("\n")[at : at + 1])
        hint = "; indent with blanks, not with a tab" if is_tab else ""
        raise PlanError(f"the file {exc.problem}{hint}", None, exc.line) from exc
    values = {} if document.value is None else document.value
    return PlanDocument(
        values, document.line_of, document.unquoted, list(document.problems)
    )
