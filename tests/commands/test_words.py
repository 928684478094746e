"""The words of `sbt`: each is there, and its line in the help is that of the command."""

import pytest
import typer

from app import cli


@pytest.mark.parametrize("word", cli.COMMANDS)
def test_every_word_is_a_command_with_a_help_of_its_own(word: str) -> None:
    found = cli.command(word)
    assert found.name == word and found.help


def test_the_help_of_sbt_lists_every_word_without_importing_the_service(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        typer.main.get_command(cli.app)(["--help"], prog_name="sbt")
    shown = capsys.readouterr().out
    assert all(f" {word} " in shown for word in cli.COMMANDS)
