"""Plans in YAML, with the keys of the TOML form; tags are refused."""

from muster.domain.errors import PlanError
from muster.infrastructure import bounded_yaml
from muster.infrastructure.plan_files.document import PlanDocument


def parse(text: str) -> PlanDocument:
    """The plain values. Raises `PlanError` for a text that is no plain YAML."""
    try:
        document = bounded_yaml.load(text)
    except bounded_yaml.YamlRefusedError as exc:
        raise PlanError(f"the file {exc.problem}", None, exc.line) from exc
    values = {} if document.value is None else document.value
    return PlanDocument(
        values, document.line_of, document.unquoted, list(document.problems)
    )
