"""Whose account a tool uses, told apart without telling the credential."""

import hashlib
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Final

from muster.domain.tool import ToolSpec

_DIGITS: Final = 6
_ENDPOINT: Final = "BASE_URL"


def account_of(environ: Mapping[str, str]) -> Callable[[ToolSpec], str]:
    """Names the account of a tool: "" for the login of this user, else some digits.

    Two keys, two endpoints or two homes are two accounts, whose limits are not each
    other's. The digits are of a hash, too few to find the key by.
    """

    def account(spec: ToolSpec) -> str:
        own = {name: text for name, text in spec.env.items() if text is not None}
        env = {**environ, **own}
        names = {spec.api_key_env, *spec.login_env, *_endpoints(spec, env)}
        signs = [
            f"{name}={env[name]}" for name in sorted(filter(None, names & set(env)))
        ]
        if env.get("HOME") != environ.get("HOME"):
            signs.append(f"HOME={env['HOME']}")
        if spec.base_url:
            signs.append(spec.base_url)
        if not any(signs):
            return ""
        text = "\0".join(signs).encode("utf-8", "surrogateescape")
        return hashlib.sha256(text).hexdigest()[:_DIGITS]

    return account


def _endpoints(spec: ToolSpec, env: Mapping[str, str]) -> set[str]:
    return {
        name
        for name in env
        if name.endswith(_ENDPOINT)
        and any(fnmatchcase(name, each) for each in spec.env)
    }
