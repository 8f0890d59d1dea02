"""Stands in for an agent CLI: replays a recorded stream, in good weather and in bad.

    fake_cli.py '{"stdout": FILE or TEXT, ...}'

Keys: ``stdout`` (a file, or lines), ``stderr``, ``exit``, ``pause`` (seconds after
each line), ``hang_after`` (lines, then silence), ``linger`` (seconds after the last),
``cut`` (bytes taken off the end), ``blow_up`` (bytes of an answer in one line), ``log``
(a file that the arguments are appended to).
"""

import json
import os
import sys
import time
from pathlib import Path

BIG = "@BIG@"


def main() -> None:
    """Plays."""
    role = json.loads(os.environ["FAKE"])
    sys.stdin.read()
    if "log" in role:
        with Path(role["log"]).open("a") as log:
            log.write(json.dumps(sys.argv[1:]) + "\n")
    for played, line in enumerate(lines_of(role)):
        if played == role.get("hang_after"):
            time.sleep(60)
        os.write(1, line)
        time.sleep(role.get("pause", 0))
    os.write(2, role.get("stderr", "").encode())
    time.sleep(role.get("linger", 0))
    os._exit(role.get("exit", 0))


def lines_of(role: dict) -> list[bytes]:
    """What stdout says, line by line."""
    stdout = role["stdout"]
    data = stdout.encode()
    if stdout.startswith("/"):
        data = Path(stdout).read_bytes()
    if "blow_up" in role:
        data = data.replace(BIG.encode(), b"\xc3\xa9" * (role["blow_up"] // 2))
    if role.get("cut"):
        data = data[: -role["cut"]]
    return data.splitlines(keepends=True)


if __name__ == "__main__":
    main()
