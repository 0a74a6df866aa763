"""A run executes the code of its submission, on real processes."""

from __future__ import annotations

from installation import Installation

STAYS = """cat version
until [ -e "{folder}/edited" ]; do sleep 0.02; done
[ $SPOTWISE_ATTEMPT = 2 ] || exit 1
"""


def test_the_second_attempt_runs_what_the_first_one_ran(here: Installation) -> None:
    (here.work / "version").write_text("one\n")
    run_id = here.submit(here.job(STAYS.format(folder=here.folder)))
    here.wait(lambda: here.machine_says(run_id, "started"), "the first attempt")
    (here.work / "version").write_text("two\n")
    (here.folder / "edited").touch()
    here.wait_for_end(run_id)
    assert [here.log(run_id, number).splitlines()[0] for number in (1, 2)] == ["one", "one"]
    code = here.json("status", run_id)["code"]
    assert (code["mode"], code["source"]) == ("snapshot", str(here.work))
    assert code["fingerprint"][:12] in here.cli("status", run_id).out


def test_live_code_reaches_attempts_that_start_later(here: Installation) -> None:
    (here.work / "version").write_text("one\n")
    run_id = here.submit(here.job(STAYS.format(folder=here.folder), code="live"))
    here.wait(lambda: here.machine_says(run_id, "started"), "the first attempt")
    here.wait(lambda: "one" in here.log(run_id), "the first attempt's line")
    (here.work / "version").write_text("two\n")
    (here.folder / "edited").touch()
    here.wait_for_end(run_id)
    assert [here.log(run_id, number).splitlines()[0] for number in (1, 2)] == ["one", "two"]


def test_a_folder_that_is_too_large_is_refused_before_anything_is_written(here: Installation) -> None:
    with (here.work / "weights.bin").open("wb") as sparse:
        sparse.truncate(3 * 2**30)
    said = here.cli("submit", here.job(), code=2).err
    assert "weights.bin 3 GiB" in said
    assert "code: live" in said
    assert here.runs() == []
    (here.work / ".skyignore").write_text("weights.bin\n")
    run_id = here.submit(here.job("test -e weights.bin && test -e train.py"))
    here.wait_for_end(run_id)
