"""The HTML report."""

from html.parser import HTMLParser
from pathlib import Path

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.outcome import Attempt, Evidence, Failure, FailureCause, SpawnResult
from muster.infrastructure.report.interruptions import (
    CutAttempt,
    Interruption,
    interruptions,
    remember,
)
from muster.infrastructure.report.page import Told, render


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

    cut = CutAttempt(HOSTILE, HOSTILE, 1, 0.0, 1.0)
    told = Told(
        titles={HOSTILE: HOSTILE},
        summary={"status": HOSTILE},
        dependencies={"ok": (HOSTILE,)},
        interruptions=(Interruption(1.0, 2.0, (cut,)),),
    )

    text = render("run", results, told)

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


def test_what_failed_alike_stands_together() -> None:
    """Once for each kind of failure, with the names of all that met it."""
    results = {
        f"t{n}": SpawnResult(
            success=False,
            failure=Failure(FailureCause.CRASH, f"boom after {n} s", Evidence("x1x")),
        )
        for n in range(70)
    }

    text = render("run", results)

    assert text.count("<article") == 1
    assert "70 times" in text
    assert "x1x" in text
    assert "and 30 more" in text


def test_a_big_run_makes_a_page_that_opens() -> None:
    """A few megabytes at most, and what is left out is said."""
    attempt = Attempt(1, "a", "sh", 5.0, 1.0)
    results = {
        f"t{n}": SpawnResult(success=True, output="x" * 5000, attempts=(attempt,))
        for n in range(5000)
    }

    text = render("run", results)

    assert len(text) < 6_000_000
    assert "2,000 short attempts are left out" in text
    assert "and 3,000 more tasks" in text
    assert "more outputs" in text


def test_secrets_are_masked_before_they_are_cut() -> None:
    """Also where a long answer is shortened."""
    secret = "-".join(["hunter2"] * 2)
    output = "x" * 9_990 + secret + "y" * 30_000
    result = SpawnResult(success=True, output=output, stderr=secret)

    told = Told(mask=lambda text: text.replace(secret, "***"))
    text = render("run", {secret: result}, told)

    assert "hunter2" not in text


def test_interruptions_are_remembered(tmp_path: Path) -> None:
    """Each once, though a muster died again before it came to a task; torn lines not."""
    first = CutAttempt("a", "sh", 1, 10.0, 12.0)
    again = evolve(first, last_sign=30.0)
    remember(tmp_path, Interruption(12.0, 20.0, (first,)))
    remember(tmp_path, Interruption(30.0, 40.0, (again,)))
    with (tmp_path / "interruptions.jsonl").open("a") as file:
        file.write('{"last_sign": 1, "resu')

    found = interruptions(tmp_path)

    assert found == (Interruption(12.0, 20.0, (first,)), Interruption(30.0, 40.0))
    assert (tmp_path / "interruptions.jsonl").stat().st_mode & 0o777 == 0o600
    assert "resumed 8.0 s after" in render("run", {}, Told(interruptions=found))
