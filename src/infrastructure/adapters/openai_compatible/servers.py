"""The tools that are servers: known ones as data in ``tools/``, and whether one answers."""

import json
import socket
import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.util import find_spec
from time import monotonic
from typing import Final
from urllib.parse import urlsplit

from attrs import define, evolve, field

from muster.domain import presets
from muster.domain.errors import ConfigError
from muster.domain.tool import ToolSpec
from muster.infrastructure.model_client import is_local

ADAPTER: Final = "openai_compatible"
# Adapters whose tools are nothing without a base_url.
ASKING: Final = (ADAPTER, "crewai")
# In this order a server of this machine is looked for.
KNOWN: Final = ("ollama", "llamacpp", "vllm", "openai")
INSTALL: Final = "pip install 'muster[http]'"


@define(eq=False)
class ModelServers:
    """See `ServedTools`. What was asked of a server is remembered."""

    environ: Mapping[str, str]
    names: Sequence[str] = KNOWN
    _answers: dict[str, bool] = field(factory=dict, init=False)

    def spec(self, name: str) -> ToolSpec:
        """The known tool of that name."""
        text = (files(__package__) / "tools" / f"{name}.toml").read_text("utf-8")
        return ToolSpec(name=name, adapter=ADAPTER, **tomllib.loads(text))

    def checked(self, spec: ToolSpec) -> ToolSpec:
        """Raises `ConfigError` for what can't be asked over HTTP."""
        if spec.adapter not in ASKING:
            return spec
        where = f"[tools.{spec.name}]"
        if not spec.base_url:
            problem = 'base_url is missing, as "http://127.0.0.1:11434/v1"'
            raise ConfigError(problem, where)
        if spec.command:
            problem = f"command is for programs; '{spec.adapter}' asks base_url"
            raise ConfigError(problem, where)
        if spec.options.get("stream") is False:
            # Its silence says nothing then, and must not be taken for a hang.
            return evolve(spec, silent_until_done=True)
        return spec

    def is_here(self, spec: ToolSpec) -> bool:
        """A server of this machine answers; for any other one there is a key."""
        if find_spec("httpx") is None:
            return False
        if is_local(spec.base_url or ""):
            return self._is_answering(spec.base_url or "", presets.SERVER_PROBE)
        return not spec.api_key_env or bool(self.environ.get(spec.api_key_env))

    def first_of_this_machine(self, specs: Sequence[ToolSpec]) -> ToolSpec | None:
        """The first whose server answers, within `presets.SERVER_PROBE` for all."""
        if find_spec("httpx") is None:
            return None
        until = monotonic() + presets.SERVER_PROBE
        for spec in specs:
            url = spec.base_url or ""
            if spec.adapter != ADAPTER or not is_local(url):
                continue
            left = until - monotonic()
            if left > 0 and self._is_answering(url, left):
                return spec
        return None

    def _is_answering(self, base_url: str, seconds: float) -> bool:
        if base_url not in self._answers:
            self._answers[base_url] = is_model_server(base_url, seconds)
        return self._answers[base_url]


def is_model_server(base_url: str, seconds: float) -> bool:
    """Whether a list of models is served there. Returns within ``seconds``.

    The ports are popular ones: a server that answers is not yet one of models.
    """
    url = urlsplit(base_url)
    until = monotonic() + seconds
    try:
        place = (url.hostname or "", url.port or 80)
        with socket.create_connection(place, timeout=seconds) as connection:
            # HTTP/1.0: the answer comes in one piece and ends with the connection.
            path = f"{url.path}/models"
            head = f"GET {path} HTTP/1.0\r\nHost: {url.netloc}\r\nConnection: close"
            connection.sendall(f"{head}\r\n\r\n".encode())
            return _lists_models(_read(connection, until))
    except (OSError, ValueError):
        return False


def _read(connection: socket.socket, until: float) -> bytes:
    answer = bytearray()
    while len(answer) < presets.SERVER_PROBE_BYTES:
        connection.settimeout(max(until - monotonic(), 0.001))
        data = connection.recv(presets.SERVER_PROBE_BYTES)
        if not data:
            break
        answer += data
    return bytes(answer)


def _lists_models(answer: bytes) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.split(b"\r\n", 1)[0].split()
    if len(status) < 2 or status[1] != b"200":  # noqa: PLR2004 - version and code
        return False
    document = json.loads(body)
    return isinstance(document, dict) and isinstance(document.get("data"), list)
