"""A scripted model server on 127.0.0.1: four protocols, every way to answer and to fail.

In the loop of a test::

    async with ModelServer(Script.of("rate_limit", "ok")) as server:
        ...  # server.url, server.requests, server.peak_open, server.closed_by_client

For tests and benchmarks that need it outside of their process::

    with served({"models": {"slow": [{"do": "ok", "delay": 1.0}]}}) as server:
        ...  # server.url, server.stats(), server.rewrite(script)
"""

from tests.support.model_server.process import Served, served
from tests.support.model_server.script import Script, Turn
from tests.support.model_server.server import ModelServer, Seen

__all__ = ["ModelServer", "Script", "Seen", "Served", "Turn", "served"]
