"""`muster completion SHELL`."""

from typing import Annotated, Literal

from cyclopts import Parameter

from muster.infrastructure.cli.output import Output


def script(
    shell: Annotated[
        Literal["bash", "zsh", "fish"], Parameter(help="The shell to complete in.")
    ],
    /,
) -> None:
    """Print the completion script of a shell.

    Bash: `eval "$(muster completion bash)"` in ~/.bashrc.
    """
    from muster.infrastructure.cli.app import make_app  # noqa: PLC0415

    text = make_app().generate_completion(prog_name="muster", shell=shell)
    Output().answer(text if text.endswith("\n") else text + "\n")
