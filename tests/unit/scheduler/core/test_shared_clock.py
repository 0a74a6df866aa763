"""A process that starts after the wall clock was set goes on where the others are."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from factories import at

from spotwise.scheduler.core.shared_clock import NAME, shared_clock


class Machine:
    """A wall clock and a steady one."""

    def __init__(self, home: Path) -> None:
        self.home, self.wall, self.steady, self.boot = home, at(1), 100.0, "first boot"

    def pass_time(self, seconds: float, *, set_by: timedelta = timedelta(0)) -> None:
        self.wall += timedelta(seconds=seconds) + set_by
        self.steady += seconds

    def shown(self, *, busy: bool) -> object:
        """What the clock of a new process shows."""
        clocks = {"wall": lambda: self.wall, "steady": lambda: self.steady}
        return shared_clock(self.home, lambda: busy, **clocks, boot=self.boot).now()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    assert made.shown(busy=False) == at(1)
    return made


@pytest.mark.parametrize("jump", [timedelta(hours=3), timedelta(hours=-3)])
def test_while_runs_are_active_a_new_process_takes_the_clock_of_the_others_over(
    machine: Machine, jump: timedelta
) -> None:
    machine.pass_time(60, set_by=jump)
    assert machine.shown(busy=True) == at(1) + timedelta(seconds=60)
    machine.pass_time(60)
    assert machine.shown(busy=True) == at(1) + timedelta(seconds=120)


def test_once_nothing_is_active_the_wall_clock_holds_again(machine: Machine) -> None:
    machine.pass_time(60, set_by=timedelta(hours=3))
    assert machine.shown(busy=False) == machine.wall
    machine.pass_time(60)
    assert machine.shown(busy=True) == machine.wall


def test_after_a_boot_the_wall_clock_holds(machine: Machine) -> None:
    machine.wall, machine.steady, machine.boot = at(50), 3.0, "second boot"
    assert machine.shown(busy=True) == at(50)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"boot": "first boot", "shown": "x", "steady_s": "y"}', "\x00"])
def test_what_cannot_be_read_is_as_if_it_was_not_there(machine: Machine, text: str) -> None:
    (machine.home / NAME).write_text(text)
    machine.pass_time(60, set_by=timedelta(hours=3))
    assert machine.shown(busy=True) == machine.wall


def test_where_boots_have_no_name_nothing_is_kept(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.boot = ""
    assert machine.shown(busy=True) == at(1)
    assert not (tmp_path / NAME).exists()
