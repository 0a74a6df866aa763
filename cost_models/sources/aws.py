"""AWS' own word, through boto3: spot and on-demand prices, whether spot capacity can be had, own interruptions.

Needs the extra `aws` and credentials as boto3 finds them, with the actions `ec2:DescribeSpotPriceHistory`,
`pricing:GetProducts`, `ec2:GetSpotPlacementScores` and `ec2:GetCapacityManagerMetricData`. What one of them lacks, the
others still say. How often AWS interrupts others' instances it publishes as bands: those ship with spotwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from .aws_capacity import MOST_REGIONS, has_supportability, read_placement_scores, read_supportability
from .aws_clients import Client, Clients, boto3_clients, default_region
from .aws_on_demand import price_list_region, read_on_demand_prices
from .aws_own_interruptions import read_own_interruptions
from .aws_question import AwsQuestion, in_utc
from .aws_reasons import why
from .aws_spot_prices import read_spot_prices
from .base import Machine, Reading, SourceQuery
from .concurrent_calls import Call, CallAnswer, TimeLimit, ask_all
from .sheet import load_sheet

_FALLBACK_REGION = "us-east-1"
_MOST_SCORE_REQUESTS = 5  # of one reading: an account has a quota of different requests a day


class AwsSource:
    """Prices, capacity and own interruptions of AWS. Implements `Source`."""

    name = "aws"

    def __init__(
        self, regions: Sequence[str] = (), endpoint: str | None = None, *, clients: Clients | None = None
    ) -> None:
        """Asks nothing yet.

        Args:
            regions: where to ask when a query does not say; default: the region of the user's AWS profile.
            endpoint: URL for all requests, such as a proxy's; default: AWS' own.
            clients: makes clients by service and region, instead of boto3.
        """
        self._regions = tuple(regions)
        self._clients = clients or boto3_clients(endpoint)

    def read(self, query: SourceQuery, now: datetime) -> Reading:
        """What AWS says of the query's machines on AWS; on-demand quotes hold in all zones and have none."""
        deadline = TimeLimit(query.limit_s)
        machines = tuple(dict.fromkeys(machine for machine in query.machines if machine.cloud == "aws"))
        if not machines:
            return Reading("AWS", in_utc(now))
        regions = query.regions.get("aws") or self._regions or (default_region() or _FALLBACK_REGION,)
        question = AwsQuestion(machines, tuple(dict.fromkeys(regions)), max(1, query.size), in_utc(now))
        rows, skipped = ask_all(list(self._calls(question)), deadline.left_s, lambda error: why(error, question.now))
        return Reading("AWS", question.now, rows, skipped)

    def _calls(self, question: AwsQuestion) -> Iterator[Call]:
        """Prices first, should time run out."""
        for region in question.regions:
            yield Call(f"spot prices in {region}", partial(self._spot_prices, question, region))
        for instance_type in question.instance_types:
            yield Call(f"on-demand prices of {instance_type}", partial(self._on_demand_prices, question, instance_type))
        for number, (gpu, part) in enumerate(_by_gpu(question)):
            ask = partial(self._placement_scores, part) if number < _MOST_SCORE_REQUESTS else _leave_quota
            yield Call(f"placement scores of {gpu}", ask)
        yield Call("own interruptions", partial(self._own_interruptions, question))
        yield Call("supportability", partial(self._supportability, question))

    def _spot_prices(self, question: AwsQuestion, region: str, answer: CallAnswer) -> None:
        read_spot_prices(self._clients("ec2", region), region, question, answer)

    def _on_demand_prices(self, question: AwsQuestion, instance_type: str, answer: CallAnswer) -> None:
        client = self._clients("pricing", price_list_region(question.regions[0]))
        read_on_demand_prices(client, instance_type, question, answer)

    def _placement_scores(self, question: AwsQuestion, answer: CallAnswer) -> None:
        read_placement_scores(self._clients("ec2", question.regions[0]), question, answer)

    def _own_interruptions(self, question: AwsQuestion, answer: CallAnswer) -> None:
        self._where_capacity_manager_is_on(
            question, answer, lambda client: read_own_interruptions(client, question, answer)
        )

    def _supportability(self, question: AwsQuestion, answer: CallAnswer) -> None:
        zones = {
            offer.pool.zone: offer.pool.region
            for offer in load_sheet()
            if offer.pool.region in question.regions and offer.pool.instance_type in question.instance_types
        }
        if zones and has_supportability(self._clients("ec2", question.regions[0])):
            self._where_capacity_manager_is_on(
                question, answer, lambda client: read_supportability(client, zones, question, answer)
            )

    def _where_capacity_manager_is_on(
        self, question: AwsQuestion, answer: CallAnswer, ask: Callable[[Client], None]
    ) -> None:
        """An account turns it on in one region, which knows of all: asks one after the other until one says something.

        Raises:
            ClientError: every region refused; the first one's.
        """
        from botocore.exceptions import ClientError

        refusals: list[ClientError] = []
        for region in question.regions:
            try:
                ask(self._clients("ec2", region))
            except ClientError as error:
                refusals.append(error)
            if answer.rows or not answer.deadline.left_s:
                return
        if len(refusals) == len(question.regions):
            raise refusals[0]


def _by_gpu(question: AwsQuestion) -> Iterator[tuple[str, AwsQuestion]]:
    """The parts of a question that are one request for placement scores each."""
    machines: dict[str, list[Machine]] = {}
    for machine in question.machines:
        machines.setdefault(machine.accelerator or "machines without GPUs", []).append(machine)
    for gpu, alike in machines.items():
        for start in range(0, len(question.regions), MOST_REGIONS):
            regions = question.regions[start : start + MOST_REGIONS]
            yield gpu, replace(question, machines=tuple(alike), regions=regions)


def _leave_quota(answer: CallAnswer) -> None:
    answer.skipped.append(f"not asked: {_MOST_SCORE_REQUESTS} requests a reading, of the account's daily quota")
