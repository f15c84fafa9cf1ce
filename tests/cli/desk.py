"""Command lines of an operator on a data folder that no process holds."""

from house import House
from typer.testing import CliRunner

from submeter.cli import app
from submeter.errors import SubmeterError

WHY = ("--by", "Eva", "--reason", "seen on site")


def said(*words, code=0, stdin=None, **environment):
    """Lines that a command prints; raises its SubmeterError."""
    done = CliRunner().invoke(app, [*map(str, words)], input=stdin, env=environment)
    if isinstance(done.exception, SubmeterError):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.output.splitlines()


class Desk:
    """The data folder of a configuration, and who types commands for it."""

    def __init__(self, file):
        self.file = file

    def __call__(self, *words, **options):
        return said(*words, "--config", self.file, **options)

    def text(self, *words, **options):
        """All of it as one text."""
        return "\n".join(self(*words, **options))


def of_house(folder, *readings, parameters="", **told):
    """The desk of a flat with one water meter that was heard; its core is closed."""
    house = House(folder, parameters, **told)
    house.hear(*readings)
    house.core.close()
    return Desk(folder / "pipeline.toml")
