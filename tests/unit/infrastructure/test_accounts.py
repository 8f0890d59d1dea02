"""Whose account a tool uses."""

import pytest

from muster.domain.tool import ToolSpec
from muster.infrastructure.accounts import account_of

HOME = {"HOME": "/home/me"}
ENV = {"CLAUDE_*": None}
SPEC = ToolSpec("claude", ("claude",), login_env=("CLAUDE_KEY",), env=ENV)


def account(
    environ: dict[str, str], env: dict[str, str | None], base_url: str = ""
) -> str:
    """Of a tool whose table sets ``env``."""
    changed = {**ENV, **env}
    spec = ToolSpec(
        "claude",
        ("claude",),
        login_env=("CLAUDE_KEY",),
        env=changed,
        base_url=base_url or None,
    )
    return account_of({**HOME, **environ})(spec)


def test_the_login_of_the_user_has_no_name() -> None:
    """Nothing to tell apart."""
    assert account({}, {}) == ""
    assert account({"OTHER_BASE_URL": "x", "KEY": "y"}, {}) == ""


@pytest.mark.parametrize(
    ("environ", "env", "base_url"),
    [
        ({"CLAUDE_KEY": "one"}, {}, ""),
        ({"CLAUDE_KEY": "two"}, {}, ""),
        ({"CLAUDE_KEY": "one", "CLAUDE_BASE_URL": "http://x"}, {}, ""),
        ({}, {"CLAUDE_KEY": "three"}, ""),
        ({}, {"HOME": "/home/you"}, ""),
        ({}, {}, "http://127.0.0.1:1/v1"),
    ],
)
def test_accounts_differ(
    environ: dict[str, str], env: dict[str, str | None], base_url: str
) -> None:
    """By key, by endpoint, by home; and the key is not in the name."""
    found = account(environ, env, base_url)

    assert found
    assert found == account(environ, env, base_url)
    assert found != account({"CLAUDE_KEY": "another"}, {})
    assert not any(each in found for each in ("one", "two", "three"))
