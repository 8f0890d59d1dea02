"""Which files agents are not shown, by their names and by their first bytes."""

import re
from typing import Final

# A file whose name promises keys or passwords; examples of such files hold none.
_SECRET: Final = re.compile(
    r"(?:.*/)?(?:"
    r"\.env(?:\..*|rc)?|.*\.env|"
    r"(?:.*[._-])?id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?|"
    r".*\.(?:pem|key|p12|pfx|pkcs12|p8|jks|keystore|kdbx|ppk|gpg|pgp|asc|tfstate|"
    r"tfvars|ovpn|mobileprovision|agekey)(?:\.backup|\.bak|\.old)?|"
    r"[._]netrc|\.pgpass|\.npmrc|\.pypirc|\.htpasswd|\.my\.cnf|\.s3cfg|\.dockercfg|"
    r"\.git-credentials|\.boto|\.vault[-_].*|\.?credentials?(?:\.[a-z]{1,10})?|"
    r"(?:.*[._-])?secrets?\.(?:ya?ml|json|toml|ini|cfg|conf|txt|properties|xml)|"
    r"passwords?(?:\.[a-z]{1,10})?|passwd|shadow|"
    r"(?:.*[._-])?service[-_]account.*\.json|"
    r"(?:.*[._-])?client[-_]secret.*\.json|"
    r"terraform\.tfstate.*"
    r")$|(?:.*/)?\.(?:ssh|gnupg|aws|kube|azure)/.*$",
    re.IGNORECASE | re.DOTALL,
)
_EXAMPLE: Final = re.compile(
    r".*[._-](?:example|sample|template|dist|defaults?)s?$|.*(?:example|sample|template)"
    r"[._-][^/]*$",
    re.IGNORECASE | re.DOTALL,
)
_CODE: Final = re.compile(
    r".*\.(?:py|js|ts|go|rs|java|rb|md|rst|html?|css|c|h|cpp)$", re.IGNORECASE
)
_OPENED: Final = re.compile(rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----")
_LOOK: Final = 8192  # bytes; git looks at as many
_FOREIGN: Final = 0.1  # of characters that are none: then it is no text


def holds_secrets(path: str) -> bool:
    """Whether a file of that name is one that people keep secrets in."""
    name = path.rpartition("/")[2]
    if _EXAMPLE.fullmatch(name) or _CODE.fullmatch(name):
        return False
    return _SECRET.fullmatch(path) is not None


def holds_key(data: bytes) -> bool:
    """Whether a private key stands at its beginning, whatever it is called."""
    return _OPENED.match(data.lstrip()[:_LOOK]) is not None


def text_of(data: bytes) -> str | None:
    """The bytes as text with plain line ends, or None when they are none."""
    if b"\0" in data[:_LOOK]:
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("utf-8", "replace")
        if text.count("\ufffd") > _FOREIGN * len(text):
            return None
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")
