"""One example for the help of each command."""

from __future__ import annotations

from collections.abc import Iterator

import click

EXAMPLES = {
    "backtest": "spotwise backtest trace.json --work 48h --deadline 52h --restart 12m",
    "cancel": "spotwise cancel digits-mlp-7k2f9q",
    "demo": "spotwise demo --out report",
    "doctor": "spotwise doctor --engine skypilot",
    "export": "spotwise export job.yaml --out task.yaml",
    "gc": "spotwise gc --checkpoints --older-than 30d",
    "history": "spotwise history digits-mlp-7k2f9q --limit 50",
    "logs": "spotwise logs -f",
    "migrate": "spotwise migrate",
    "nightly": "spotwise nightly digits.yaml",
    "notify": "spotwise notify --test job.yaml",
    "plan": "spotwise plan job.yaml",
    "prices": "spotwise prices --sheet --accelerators H100:8",
    "recipe": "spotwise recipe digits_mlp --to my-digits",
    "report": "spotwise report --out report",
    "schema": "spotwise schema > job.schema.json",
    "status": "spotwise status digits-mlp-7k2f9q --watch",
    "studies export": "spotwise studies export digits-sweep-7k2f9q --to studies.json",
    "studies forget": "spotwise studies forget digits-sweep-7k2f9q",
    "studies import": "spotwise studies import studies.json",
    "studies list": "spotwise studies list",
    "studies show": "spotwise studies show digits-sweep-7k2f9q",
    "submit": "spotwise submit job.yaml --watch",
    "supervise": "spotwise supervise --forever",
    "validate": "spotwise validate job.yaml sweep.yaml",
    "web": "spotwise web --port 8470",
}


def commands_of(group: click.Group, above: str = "") -> Iterator[tuple[str, click.Command]]:
    """Each command that does something, by its whole name."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands_of(command, f"{above}{name} ")
        else:
            yield f"{above}{name}", command


def add_examples(group: click.Group) -> None:
    """Put each command's example at the end of its help."""
    for name, command in commands_of(group):
        if name in EXAMPLES:
            command.epilog = f"Example: {EXAMPLES[name]}"
