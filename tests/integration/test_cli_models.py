"""Models of this machine from the command line, without any agent CLI."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli import Cli
from tests.support.model_server import Served, served

SETTINGS = '[tools.ollama]\nbase_url = "{url}/v1"\n'
PROFILE = "---\nname: ann\n---\nYou are Ann.\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    """One for all tests of this module."""
    with served() as server:
        yield server


@pytest.fixture
def cli(tmp_path: Path, server: Served) -> Cli:
    """A folder whose ollama is the server."""
    server.rewrite({"turns": [{"do": "ok", "text": "you said: {prompt}"}]})
    return Cli(tmp_path).file("muster.toml", SETTINGS.format(url=server.url))


def test_a_model_answers(cli: Cli, server: Served) -> None:
    """The answer on stdout, the cost in the result, the model as asked."""
    cli.args("spawn", "--tool", "ollama", "--model", "m", "hi there", "--json")

    [result] = cli.run().status(0).document["results"]

    assert result["output"] == "you said: hi there"
    assert result["usage"]["input_tokens"] == 11
    assert server.requests()[0]["model"] == "m"


def test_it_is_the_first_choice_where_nothing_is_configured(
    cli: Cli, server: Served
) -> None:
    """A server that answers on this machine, and only one of models."""
    cli.args("spawn", "hello").run().status(0).stdout("you said: hello")
    cli.args("tools").run().status(0).prints("* ollama", "* runs what names no tool")

    assert server.requests()[0]["model"] == "test-model"


def test_a_server_of_something_else_is_no_choice(cli: Cli, server: Served) -> None:
    """Port 8080 is popular."""
    text = SETTINGS.format(url=f"{server.url}/other").replace("/v1", "/nothing")
    cli.file("muster.toml", text)

    cli.args("spawn", "hello").run().status(5).says("none of")


def test_an_agent_is_who_its_profile_says(cli: Cli, server: Served) -> None:
    """As the system's message, not in the prompt."""
    (cli.folder / ".muster" / "agents").mkdir(parents=True)
    cli.file(".muster/agents/ann.md", PROFILE)

    cli.args("spawn", "--tool", "ollama", "--agent", "ann", "who?").run().status(0)

    assert server.requests()[0]["body"]["messages"] == [
        {"role": "system", "content": "You are Ann."},
        {"role": "user", "content": "who?"},
    ]


def test_it_helps_out_a_program_that_fails(cli: Cli, server: Served) -> None:
    """As fallback, with its own model and not that of the program."""
    settings = SETTINGS.format(url=server.url) + 'model = "small"\n'
    cli.file("muster.toml", settings + '[recovery]\nfallback_tool = "ollama"\n')
    cli.args("spawn", "exit 3", "--tool", "sh", "--model", "big", "--retries", "0")

    ended = cli.args(*cli.words, "--json").run().status(0)

    [result] = ended.document["results"]
    assert (result["fallback"], result["output"]) == (True, "you said: exit 3")
    assert server.requests()[0]["model"] == "small"


@pytest.mark.parametrize(
    ("turn", "says"),
    [
        ("unauthorized", "auth: HTTP 401: Incorrect API key"),
        ("not_found", "invalid_model: HTTP 404: The model `m` does not exist"),
        ("server_error", "server_error: HTTP 500"),
    ],
)
def test_a_failure_says_why(cli: Cli, server: Served, turn: str, says: str) -> None:
    """In the server's own words."""
    server.rewrite({"turns": [turn]})
    cli.args("spawn", "x", "--tool", "ollama", "--model", "m", "--retries", "0")

    ended = cli.run()

    assert ended.code != 0
    ended.stdout("").says(says).is_civil()


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ('adapter = "openai_compatible"', "base_url is missing"),
        ('base_url = "localhost:1"', "base_url must be a URL"),
        ('base_url = "http://me:secret@x/v1"', "holds no password"),
        (
            'adapter = "openai_compatible"\nbase_url = "http://x"\ncommand = "x"',
            "is for",
        ),
        ('base_url = "http://x"', "command is missing"),
        ('adapter = "none_such"\nbase_url = "http://x"', "no adapter 'none_such'"),
    ],
)
def test_wrong_settings(cli: Cli, lines: str, says: str) -> None:
    """They name the key."""
    cli.file("muster.toml", f"[tools.mine]\n{lines}\n")

    cli.args("spawn", "x", "--tool", "mine").run().says(says).is_civil()


def test_a_plan_may_not_send_prompts_anywhere(cli: Cli, server: Served) -> None:
    """Unless somebody has looked at where to."""
    cli.file(
        "plan.toml",
        f'[tools.t]\nadapter = "openai_compatible"\nbase_url = "{server.url}/v1"\n'
        'api_key_env = "SECRET_KEY"\n[[task]]\nid = "a"\nprompt = "hi"\ntool = "t"\n',
    )

    refused = cli.args("run", "plan.toml").run()
    assert refused.code != 0
    refused.says(f"sends prompts to {server.url}/v1, with the key in SECRET_KEY")
    assert not server.requests()

    cli.args("run", "plan.toml", "--yes").run().status(0)
