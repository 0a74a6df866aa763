"""Recipes are listed, copied, and never copied over something."""

from __future__ import annotations

import pytest

from spotwise.recipes import recipe_names
from spotwise.scheduler.cli.recipe import copy_recipe, recipe_lines
from spotwise.scheduler.core.errors import InputError, NotFoundError
from spotwise.scheduler.jobfile.job_spec import load_job


def test_every_recipe_is_listed_with_what_it_trains():
    assert [line.split()[0] for line in recipe_lines()] == recipe_names()
    assert all(len(line.split()) > 4 for line in recipe_lines())


@pytest.mark.parametrize("name", recipe_names())
def test_a_copied_recipe_is_a_valid_job_of_its_own(name, tmp_path):
    folder = copy_recipe(name, tmp_path / "mine")
    assert load_job(folder / "job.yaml").workdir == str(folder)


def test_an_unknown_recipe_is_named_with_the_nearest(tmp_path):
    with pytest.raises(NotFoundError, match="did you mean digits_mlp"):
        copy_recipe("digit_mlp", tmp_path / "mine")


def test_nothing_is_overwritten(tmp_path):
    with pytest.raises(InputError, match="exists already"):
        copy_recipe("digits_mlp", tmp_path)
