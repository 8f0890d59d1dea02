"""Which files agents are not shown."""

import pytest

from muster.infrastructure.knowledge.leaving_out import (
    holds_key,
    holds_secrets,
    text_of,
)


@pytest.mark.parametrize(
    "path",
    """
    .env .env.local deploy/.env.production prod.env .envrc server.pem tls/server.key
    id_rsa id_ed25519 keys/id_ecdsa deploy_id_rsa a.p12 a.pfx a.jks a.kdbx a.ppk
    .netrc _netrc .pgpass .npmrc .pypirc .htpasswd .git-credentials credentials
    credentials.json .aws/config home/.ssh/config .gnupg/x .kube/config
    secrets.yaml app-secrets.json config/secret.toml passwords.txt passwd
    service-account-prod.json client_secret_1.json terraform.tfstate
    terraform.tfstate.backup prod.tfvars SERVER.KEY
    """.split(),  # noqa: SIM905 - a path a line is no table
)
def test_secret(path: str) -> None:
    """Names under which people keep keys and passwords."""
    assert holds_secrets(path)


@pytest.mark.parametrize(
    "path",
    """
    README.md .env.example .env.sample .env.template .env.dist secrets.example.yaml
    src/secrets.py docs/credentials.md key.py keyboard.js monkey.txt environment.yml
    env/setup.cfg tokens.css password.rs src/keys/index.ts example.env public.txt
    secretary.json passwords.html
    """.split(),  # noqa: SIM905
)
def test_no_secret(path: str) -> None:
    """Code about secrets is code, and an example holds none."""
    assert not holds_secrets(path)


@pytest.mark.parametrize(
    ("data", "holds"),
    [
        (b"-----BEGIN RSA PRIVATE KEY-----\nMII", True),
        (b"\n  -----BEGIN PRIVATE KEY-----\n", True),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----", True),
        (b"-----BEGIN CERTIFICATE-----", False),
        (b"text about -----BEGIN PRIVATE KEY-----", False),
        (b"", False),
    ],
)
def test_key(data: bytes, *, holds: bool) -> None:
    """A private key is one under any name."""
    assert holds_key(data) is holds


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        (b"a\r\nb\rc\n", "a\nb\nc\n"),
        (b"\xef\xbb\xbfa", "a"),
        ("größe".encode(), "größe"),
        (b"plain text with one \xff in it", "plain text with one \ufffd in it"),
        (b"\x7fELF\0\0", None),
        (bytes(range(128, 256)), None),
        ("a".encode("utf-16"), None),
        (b"a" * 9000 + b"\0", "a" * 9000 + "\ufffd"),
    ],
)
def test_text(data: bytes, text: str | None) -> None:
    """What is text, however its lines end; and what is none."""
    assert text_of(data) == text
