"""``python -m tests.support.model_server --port 0 --script FILE``: a server of its own.

Prints one line of JSON with its url. The script is a file, or ``-``: one line on
stdin; then the server ends when stdin does. Without a script every answer is "pong".
``GET /_stats`` and ``/_requests`` show its books, ``POST /_script`` replaces the script.
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path

from tests.support.model_server.script import Script
from tests.support.model_server.server import ModelServer


async def serve(port: int, script: Script, *, until_stdin_ends: bool) -> None:
    """Until it is cancelled, or stdin ends."""
    async with ModelServer(script, port) as server:
        print(json.dumps({"url": server.url}), flush=True)  # noqa: T201 - for whoever waits
        if not until_stdin_ends:
            await asyncio.Event().wait()
        await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser(prog="tests.support.model_server")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--script", help="a JSON file, or - for one line on stdin")
    options = parser.parse_args()
    text = "{}"
    if options.script == "-":
        text = sys.stdin.readline()
    elif options.script:
        text = Path(options.script).read_text("utf-8")
    script = Script.from_document(json.loads(text))
    try:
        asyncio.run(serve(options.port, script, until_stdin_ends=options.script == "-"))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
