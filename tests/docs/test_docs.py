"""What the documentation names exists: links, images, commands, options, make targets, tests, words."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from spotwise.scheduler.cli.main import cli

REPOSITORY = Path(__file__).parents[2]
PAGES = [
    *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((REPOSITORY / "docs").rglob("*.md")),
]
WORDS = [
    *("job", "run", "trial", "study", "attempt", "offer", "market", "pool", "hazard", "estimate", "plan", "policy"),
    *("engine", "charge", "lost work", "overhead"),
]
LARGEST_IMAGE_BYTES = 300_000

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^ *```[a-z]*\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
COMMAND = re.compile(r"(?:\S*/)?(?:spotwise|python -m spotwise\.scheduler\.cli) +([a-z-].*)")
OPTION = re.compile(r"(?<!\S)(--?[a-z][a-z-]*)")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose_of(page: Path) -> str:
    return FENCE.sub("", text_of(page))


def code_of(page: Path) -> Iterator[str]:
    """Every line of a fenced block, and every span of code."""
    for block in FENCE.findall(text_of(page)):
        yield from block.splitlines()
    yield from SPAN.findall(prose_of(page))


def anchors_of(page: Path) -> set[str]:
    """The headings as a link names them."""
    headings = re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands_below(group: click.Group, above: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command by its whole name, such as `studies list`; those of a group after the group itself."""
    for name, command in group.commands.items():
        yield f"{above}{name}", command
        if isinstance(command, click.Group):
            yield from commands_below(command, f"{above}{name} ")


COMMANDS = dict(commands_below(cli))


def options_of(command: click.Command) -> set[str]:
    named = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    return {*named, "--help", "-h"}


def makefile_targets() -> set[str]:
    """As make itself understands the file; it runs nothing."""
    shown = subprocess.run(["make", "-qp"], cwd=REPOSITORY, capture_output=True, text=True, check=False).stdout
    return set(re.findall(r"^\.PHONY: (.+)$", shown, re.MULTILINE)[0].split())


def commands_in(page: Path) -> Iterator[tuple[str, list[str]]]:
    """The command lines of a page, by name and options: what stands before the first comment, pipe or redirection."""
    for line in code_of(page):
        for part in re.split(r"[|;]| >>? | # ", line):
            found = COMMAND.search(part)
            starts = re.match(r"\s*(\$ |[A-Z_]+=|\*|\d+ \*|\(|/\S+/|spotwise |python )", part)
            if found and starts:
                yield name_in(found[1].split()), OPTION.findall(found[1])


def name_in(words: list[str]) -> str:
    """The command that a line starts with: as many words as belong to its name."""
    is_group = isinstance(COMMANDS.get(words[0]), click.Group)
    return " ".join(words[:2]) if is_group and words[1:] and not words[1].startswith("-") else words[0]


@every_page
def test_links_and_images_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(prose_of(page)):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{target} does not exist"
        assert not anchor or anchor in anchors_of(found), f"{target}: no such heading"


def test_images_are_light() -> None:
    images = list((REPOSITORY / "docs" / "images").iterdir())
    assert images
    assert {image.name: image.stat().st_size for image in images if image.stat().st_size > LARGEST_IMAGE_BYTES} == {}


@every_page
def test_commands_and_their_options_exist(page: Path) -> None:
    for name, options in commands_in(page):
        if name.startswith("-"):
            command: click.Command = cli
        else:
            assert name in COMMANDS, f"there is no command `spotwise {name}`"
            command = COMMANDS[name]
        unknown = set(options) - options_of(command) - options_of(cli)
        assert not unknown, f"`spotwise {name}` has no {', '.join(sorted(unknown))}"


@every_page
def test_options_that_are_named_alone_are_some_commands(page: Path) -> None:
    known = set().union(*(options_of(command) for command in COMMANDS.values()), options_of(cli))
    named = {span.split()[0] for span in SPAN.findall(prose_of(page)) if re.fullmatch(r"--[a-z-]+( \S+)?", span)}
    assert named <= known | {"--lr"}  # an example's own


def test_the_readme_shows_every_command() -> None:
    shown = {name for page in PAGES for name, _ in commands_in(page)}
    assert {name for name, command in COMMANDS.items() if not isinstance(command, click.Group)} <= shown


def test_commands_that_do_not_exist_would_be_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "Try `spotwise fly --high` or\n\n```\n$ spotwise plan job.yaml --jsno   # text\n```\n`spotwise studies sell`\n"
    )
    assert list(commands_in(page)) == [("plan", ["--jsno"]), ("fly", ["--high"]), ("studies sell", [])]


def test_make_targets_are_those_of_the_makefile() -> None:
    """Each is named somewhere, and none that does not exist."""
    lines = [line for page in PAGES for line in code_of(page)]
    named = {word for line in lines if (found := re.match(r"make ([a-z0-9 -]+)", line)) for word in found[1].split()}
    assert named == makefile_targets()
    assert {"make demo", "make test"} <= {line.split(" #")[0].strip() for line in code_of(REPOSITORY / "README.md")}


def words_of(text: str) -> dict[str, str]:
    """A table of words, with what each means."""
    return dict(re.findall(r"^\| \*\*(.+?)\*\* \| (.+?) \|$", text, re.MULTILINE))


def test_the_glossary_has_every_word_in_the_order_of_the_alphabet() -> None:
    words = list(words_of(text_of(REPOSITORY / "docs" / "glossary.md")))
    assert set(WORDS) <= set(words)
    assert words == sorted(words, key=lambda word: word.lower().replace("-", " "))


def test_the_readme_gives_words_the_meaning_that_the_glossary_does() -> None:
    section = text_of(REPOSITORY / "README.md").split("\n## Words\n")[1].split("\n## ")[0]
    shown = words_of(section)
    assert len(shown) >= 10
    assert shown.items() <= words_of(text_of(REPOSITORY / "docs" / "glossary.md")).items()


def test_the_tests_that_guarantees_name_exist() -> None:
    named = set(re.findall(r"`(test_\w+\.py)::(test_\w+)`", text_of(REPOSITORY / "docs" / "guarantees.md")))
    assert len(named) > 40
    written = {
        (path.name, name)
        for path in (REPOSITORY / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", text_of(path), re.MULTILINE)
    }
    assert named - written == set()


def test_every_guarantee_is_shown_by_a_test_or_says_that_it_is_not() -> None:
    rows = [line for line in text_of(REPOSITORY / "docs" / "guarantees.md").splitlines() if line.startswith("| ")]
    facts = [row for row in rows if not re.match(r"\| (fault|---)", row)]
    assert [row for row in facts if "::test_" not in row and "reasoned, not tested" not in row] == []


def test_decisions_are_numbered_without_gaps_and_have_three_parts() -> None:
    pages = sorted((REPOSITORY / "docs" / "decisions").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for number, page in enumerate(pages, start=1):
        assert text_of(page).startswith(f"# {number}. ")
        assert re.findall(r"^\*\*(\w+)\.\*\*", text_of(page), re.MULTILINE) == ["Context", "Decision", "Consequence"]


def test_the_license_is_the_one_that_the_package_names() -> None:
    text = text_of(REPOSITORY / "LICENSE")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert 'license = "Apache-2.0"' in text_of(REPOSITORY / "pyproject.toml")
