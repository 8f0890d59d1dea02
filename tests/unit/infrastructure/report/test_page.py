"""The HTML report."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from muster.domain.outcome import Evidence, Failure, FailureCause, SpawnResult
from muster.infrastructure.report.page import render


class Page(HTMLParser):
    """What a browser would see: the tags with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


HOSTILE = '<script>alert(1)</script>" onclick="x" \x1b]8;;http://x\x07y\x1b[31m\u202e'


def test_what_agents_wrote_is_text() -> None:
    """No tag, attribute or control character of an agent reaches the page."""
    failure = Failure(FailureCause.AUTH, HOSTILE, evidence=Evidence(HOSTILE))
    results = {
        HOSTILE: SpawnResult(success=False, failure=failure, output=HOSTILE),
        "ok": SpawnResult(success=True, output=HOSTILE, agent=HOSTILE),
    }

    text = render("run", results, titles={HOSTILE: HOSTILE})

    tags = {tag for tag, _ in Page(text).tags}
    assert "script" not in tags
    assert not any("onclick" in attrs for _, attrs in Page(text).tags)
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_the_page_needs_nothing_else() -> None:
    """No link, image, script or style from anywhere."""
    page = Page(render("run", {"a": SpawnResult(success=True)}))

    for tag, attrs in page.tags:
        assert tag not in {"script", "link", "img", "iframe", "object"}
        assert not {"src", "href"} & attrs.keys()


def test_unknown_is_not_zero() -> None:
    """Tokens and cost that nobody told are unknown."""
    assert "$0" not in render("run", {"a": SpawnResult(success=True)})


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=200), max_size=5))
def test_any_text_makes_a_page(texts: dict[str, str]) -> None:
    """No text of an agent breaks the page."""
    results = {
        name: SpawnResult(success=True, output=text) for name, text in texts.items()
    }

    assert render("run", results).endswith("</html>")
