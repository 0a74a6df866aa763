"""The plain SkyPilot task of a job: golden files show what comes out.

After a wanted change run this file with SPOTWISE_TEST_UPDATE_GOLDEN=1, and read the difference before committing it.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from factories import T0, offer

from spotwise.cost_models.estimate import Overheads
from spotwise.cost_models.hazard import HazardBelief
from spotwise.cost_models.offer import Market, Pool
from spotwise.scheduler.cli import main
from spotwise.scheduler.cli.export_task import considered, exported
from spotwise.scheduler.core.errors import InputError, RefusedError
from spotwise.scheduler.core.run import CostBasis
from spotwise.scheduler.engines.skypilot.offers import pool_offers
from spotwise.scheduler.jobfile import skypilot_keys
from spotwise.scheduler.jobfile.job_spec import JobKeys, parse_job
from spotwise.scheduler.jobfile.settings import SkyPool
from spotwise.scheduler.planning.market_snapshot import MarketSnapshot
from spotwise.scheduler.planning.plan import Plan, make_plan
from spotwise.scheduler.planning.work_estimate import WorkEstimate

GOLDEN = Path(__file__).parents[3] / "golden" / "export"

PLAIN = """\
name: shelf-detector
owner: ana
team: vision
deadline: 30h
budget: 12 USD
checkpoint: {every: 2 epochs, to: s3://bucket/checkpoints}
work: {epochs: 30, hours: 6, reference: T4}
resources:
  accelerators: T4:1
  disk_size: 100
  image_id: docker:ubuntu:22.04
  job_recovery: {max_restarts_on_errors: 2}
envs: {EPOCHS: 30}
secrets: {HF_TOKEN: hf_very_secret, WANDB_API_KEY: }
file_mounts: {/data: "s3://bucket/data"}
config: {aws: {vpc_name: training}}
setup: |
  pip install -r requirements.txt
  pip install spotwise
run: |
  # one node
  python train.py --epochs $EPOCHS
"""
BARE = "name: bare\nrun: python train.py\n"


def cloud(name: str, region: str, machine: str, market: Market, price: str, **changes):
    return offer(pool=Pool(name, region, "", machine), market=market, price=price, **changes)


OFFERS = (
    cloud("aws", "us-east-1", "g4dn.xlarge", Market.SPOT, "0.204"),
    cloud("aws", "us-east-2", "g4dn.xlarge", Market.SPOT, "0.190"),
    cloud("gcp", "us-east4", "n1-standard-4", Market.SPOT, "0.247"),
    cloud("aws", "us-east-1", "g4dn.xlarge", Market.ON_DEMAND, "0.526"),
)


def known(offers=OFFERS, **changes) -> MarketSnapshot:
    values = {
        "offers": tuple(offers),
        "available": {},
        "beliefs": {o.pool: HazardBelief(10, 200, "test") for o in offers if o.is_spot},
        "overheads": Overheads(0.07, 0.03, 0.01),
        "hour_s": Decimal(3600),
        "cost_basis": CostBasis.ESTIMATED,
        "one_machine": False,
    }
    return MarketSnapshot(**{**values, **changes})


def planned(text: str, market: MarketSnapshot | None = None, hours: float | None = 6.0) -> Plan:
    return make_plan(parse_job(text, source="job"), WorkEstimate(hours, "test", "T4"), market or known(), T0)


def export(
    text: str = PLAIN, market: MarketSnapshot | None = None, pools=(), *, pin=False, hours: float | None = 6.0
) -> str:
    plan = planned(text, market, hours)
    return exported(parse_job(text, source="job"), plan, pools, T0, pin=pin, source="job.yaml")


def task(*arguments, **keywords) -> dict:
    return yaml.safe_load(export(*arguments, **keywords))


def slurm(partition: str, market: Market, price: str, **changes) -> SkyPool:
    return SkyPool(
        infra=f"slurm/aws/{partition}", market=market, price_usd_per_hour=price, accelerators="V100:1", **changes
    )


SLURM = [slurm("spot", Market.SPOT, "0.92"), slurm("ondemand", Market.ON_DEMAND, "3.06")]
ON_SLURM = "name: train\nresources: {accelerators: V100:1, cpus: 4+}\ncheckpoint: {}\nrun: python train.py\n"


def exported_on_slurm(*, pin: bool) -> str:
    offers = [replace(o, vcpus=8.0) for o in pool_offers(SLURM)]
    return export(ON_SLURM, known(offers), SLURM, pin=pin, hours=None)


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("in-order", export),
        ("pinned", lambda: export(pin=True)),
        ("slurm", lambda: exported_on_slurm(pin=False)),
        ("bare", lambda: export(BARE, pin=True, hours=None)),
    ],
)
def test_golden_files(name: str, made) -> None:
    path, text = GOLDEN / f"{name}.yaml", made()
    if os.environ.get("SPOTWISE_TEST_UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


def test_no_key_of_spotwise_is_left() -> None:
    own = {field.alias or name for name, field in JobKeys.model_fields.items()}
    allowed = {
        "name",
        "workdir",
        "num_nodes",
        "resources",
        "envs",
        "secrets",
        "setup",
        "run",
        *skypilot_keys.PASSED_THROUGH,
    }
    assert set(task()) <= allowed
    assert not set(task()) & (own - allowed)


def test_secrets_are_named_and_their_values_never_appear() -> None:
    text = export()
    assert "hf_very_secret" not in text
    assert yaml.safe_load(text)["secrets"] == {"HF_TOKEN": None, "WANDB_API_KEY": None}
    assert "--secret HF_TOKEN --secret WANDB_API_KEY" in text


def test_the_offer_that_the_plan_chooses_comes_first_and_spot_and_on_demand_follow_by_cost() -> None:
    plan = planned(PLAIN)
    ordered = task()["resources"]["ordered"]
    assert [o.offer.key for o in considered(plan, [])] == [o.offer.key for o in plan.options]
    assert len(ordered) == len(OFFERS)
    assert ordered[-1] == {"infra": "aws/us-east-1", "instance_type": "g4dn.xlarge", "use_spot": False}


def test_pinned_it_has_one_place() -> None:
    resources = task(pin=True)["resources"]
    assert (resources["infra"], resources["use_spot"]) == ("aws/us-east-2", True)
    assert "ordered" not in resources


def test_at_most_twenty_offers_are_listed() -> None:
    many = [cloud("aws", f"region-{i}", "g4dn.xlarge", Market.SPOT, "0.2") for i in range(30)]
    assert len(task(market=known(many))["resources"]["ordered"]) == 20


def test_an_offer_that_refused_lately_comes_last() -> None:
    dead = OFFERS[1].key
    market = known(available={dead: False}, no_capacity_at={dead: T0 - timedelta(minutes=5)})
    assert task(market=market)["resources"]["ordered"][-1]["infra"] == "aws/us-east-2"


@pytest.mark.parametrize(
    ("policy", "markets"), [("spot_only", {True}), ("on_demand", {False}), ("auto", {True, False})]
)
def test_the_markets_are_those_of_the_policy(policy: str, markets: set[bool]) -> None:
    found = considered(planned(PLAIN + f"policy: {policy}\n"), [])
    assert {option.offer.is_spot for option in found} == markets


def test_offers_that_would_be_late_are_left_out() -> None:
    late = PLAIN.replace("30h", "9h")
    chances = [o.estimate.chance_to_meet_deadline for o in considered(planned(late), []) if not o.chosen]
    assert all(chance >= 0.9 for chance in chances)


def test_a_sweep_is_no_single_task() -> None:
    sweep = BARE + "sweep: {metric: m, goal: maximize, trials: 2, space: {lr: {type: float, low: 0.1, high: 1}}}\n"
    with pytest.raises(InputError, match=r"job.yaml is a sweep: .*`spotwise submit` runs them"):
        export(sweep)


def test_a_job_that_fits_nowhere_is_refused_with_the_reasons() -> None:
    with pytest.raises(RefusedError, match="bare cannot be exported: no offer fits: T4:1, not H100:8"):
        export("name: bare\nrun: x\nresources: {accelerators: H100:8}\n")


def test_the_program_finds_its_checkpoints_wherever_they_outlive_the_node() -> None:
    assert task()["envs"] == {
        "EPOCHS": "30",
        "SPOTWISE_CHECKPOINT_URL": "s3://bucket/checkpoints/shelf-detector",
        "SPOTWISE_CHECKPOINT_EVERY": "2 epochs",
    }
    assert "envs" not in task(BARE)
    assert "they lie on the node and are gone with it" in export(BARE + "checkpoint: {}\n")
    assert "all work of a node that is preempted" in export(BARE)


def test_an_exported_program_is_told_which_checkpoint_stays_besides_the_newest() -> None:
    to = BARE + "checkpoint: {to: s3://bucket/checkpoints, keep_best: val_loss}\n"
    assert task(to)["envs"]["SPOTWISE_CHECKPOINT_KEEP_BEST"] == "minimize val_loss"


def test_a_pool_of_labelled_nodes_brings_its_labels_and_stands_alone() -> None:
    pools = [
        SkyPool(infra="kubernetes/ctx", market="spot", price_usd_per_hour="0.1", accelerators="T4:1", name="cheap",
                node_labels={"pool": "cheap"}),
        SkyPool(infra="kubernetes/ctx", market="on_demand", price_usd_per_hour="0.9", accelerators="T4:1", name="dear",
                node_labels={"pool": "dear"}),
    ]  # fmt: skip
    found = task(market=known(pool_offers(pools)), pools=pools)
    assert found["resources"] == {"infra": "kubernetes/ctx", "accelerators": "T4:1", "disk_size": 100} | {
        key: found["resources"][key] for key in ("image_id", "job_recovery")
    }
    spec = found["config"]["kubernetes"]["pod_config"]["spec"]
    assert spec == {"nodeSelector": {"pool": "cheap"}}
    assert found["config"]["aws"] == {"vpc_name": "training"}


def test_beside_a_pool_of_labelled_nodes_stand_no_other_nodes_of_kubernetes() -> None:
    """Labels of nodes stand once, for all of Kubernetes: other nodes do not have them."""
    pools = [
        SkyPool(infra="kubernetes/one", market="spot", price_usd_per_hour="0.01", accelerators="T4:1", name="cheap",
                node_labels={"pool": "cheap"}),
        SkyPool(infra="kubernetes/two", market="spot", price_usd_per_hour="0.02", accelerators="T4:1"),
    ]  # fmt: skip
    found = task(market=known([*pool_offers(pools), *OFFERS]), pools=pools)
    infras = [place["infra"] for place in found["resources"]["ordered"]]
    assert infras[0] == "kubernetes/one"
    assert "kubernetes/two" not in infras
    assert len(infras) == 1 + len(OFFERS)


@pytest.mark.parametrize(
    ("volume", "regions"),
    [
        ("shared", {"aws/us-east-2"}),
        ("{name: shared}", {"aws/us-east-2"}),
        ("{size: 100Gi}", {"aws/us-east-1", "aws/us-east-2", "gcp/us-east4"}),
    ],
)
def test_a_volume_lies_in_one_place_and_so_does_its_task(volume: str, regions: set[str]) -> None:
    resources = task(PLAIN + f"volumes: {{/mnt: {volume}}}\n")["resources"]
    assert {place["infra"] for place in resources.get("ordered", [resources])} == regions


def test_what_spotwise_does_itself_is_left_to_skypilot_as_each_choice_says() -> None:
    text = PLAIN.replace(
        "  job_recovery: {max_restarts_on_errors: 2}\n",
        "  labels: {team: vision}\n  any_of:\n"
        "  - {infra: aws, autostop: 10m, labels: {cost: a}}\n  - {infra: gcp, job_recovery: FAILOVER}\n",
    )
    resources = task(text)["resources"]
    assert "labels" not in resources
    for place in resources["ordered"]:
        on_aws = place["infra"].startswith("aws")
        assert place["labels"] == ({"team": "vision", "cost": "a"} if on_aws else {"team": "vision"})
        assert (place.get("autostop"), place.get("job_recovery")) == (("10m", None) if on_aws else (None, "FAILOVER"))


def test_hooks_stand_where_skypilot_takes_them() -> None:
    text = PLAIN.replace("  job_recovery: {max_restarts_on_errors: 2}\n", "  hooks: [{run: echo bye}]\n")
    found = task(text)
    assert found["config"] == {"aws": {"vpc_name": "training"}, "hooks": [{"run": "echo bye"}]}
    assert "hooks" not in found["resources"]


# the command


@pytest.fixture
def home(tmp_path, monkeypatch):
    settings = tmp_path / "settings.yaml"
    lines = ["skypilot:", "  storage: /srv/x", "  pools:"]
    lines += [f"  - {{infra: {p.infra}, market: {p.market.value}, price_usd_per_hour: {p.price_usd_per_hour}, "
              f"accelerators: V100:1, cpus: 8}}" for p in SLURM]  # fmt: skip
    settings.write_text("\n".join(lines) + "\n")
    monkeypatch.setenv("SPOTWISE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SPOTWISE_SETTINGS", str(settings))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "job.yaml").write_text(ON_SLURM)
    return tmp_path


def test_the_command_prints_or_writes_it(home: Path) -> None:
    printed = CliRunner().invoke(main.cli, ["export", "job.yaml"], standalone_mode=False)
    assert (printed.exception, printed.return_value) == (None, 0)
    written = CliRunner().invoke(main.cli, ["export", "job.yaml", "--out", "task.yaml"], standalone_mode=False)
    assert written.stdout == "wrote task.yaml; next: sky jobs launch task.yaml\n"
    body = [line for line in (home / "task.yaml").read_text().splitlines() if not line.startswith("#")]
    assert body == [line for line in printed.stdout.splitlines() if not line.startswith("#")]
    assert [place["infra"] for place in yaml.safe_load(printed.stdout)["resources"]["ordered"]] == [
        "slurm/aws/spot",
        "slurm/aws/ondemand",
    ]


def test_export_plans_on_skypilot_whatever_the_settings_say(home: Path) -> None:
    (home / "settings.yaml").write_text("engine: local\n" + (home / "settings.yaml").read_text())
    assert CliRunner().invoke(main.cli, ["export", "job.yaml", "--pin"], standalone_mode=False).exception is None
