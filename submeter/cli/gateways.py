"""Gateways: their credentials at the broker and over HTTP, and how they do."""

from typing import Annotated

import typer

from submeter.cli.operate import ConfigFile, run
from submeter.config import load

__all__ = ["gateway", "gateways"]

gateway = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Credentials of gateways: create, rotate, revoke, list, and the broker's password file."
)
Name = Annotated[str, typer.Argument(help="as the gateway names itself: its topic level and its MQTT user")]


def gateways(*, config: ConfigFile = None) -> None:
    """How each gateway does: last message, what it delivered today, its clock, what is missing by its numbers, restarts."""
    run(load(config), "gateways")


@gateway.command("create")
def create(name: Name, *, config: ConfigFile = None) -> None:
    """Let a gateway in: print its secret, this once; it is its MQTT password and its HTTP token."""
    run(load(config), "gateway.create", name=name)


@gateway.command("rotate")
def rotate(name: Name, *, config: ConfigFile = None) -> None:
    """Replace the secret of a gateway, and print the new one, this once."""
    run(load(config), "gateway.rotate", name=name)


@gateway.command("revoke")
def revoke(name: Name, *, config: ConfigFile = None) -> None:
    """Shut a gateway out."""
    run(load(config), "gateway.revoke", name=name)


@gateway.command("list")
def listed(*, config: ConfigFile = None) -> None:
    """Which gateways were let in and shut out, without their secrets."""
    run(load(config), "gateway.list")


@gateway.command("passwords")
def passwords(*, config: ConfigFile = None) -> None:
    """Print mosquitto's password file: hashes only, of all that are in."""
    run(load(config), "gateway.passwords")
