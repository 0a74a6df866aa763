"""Build the tables that spotwise ships under cost_models/data/ from recorded facts.

    python benchmarks/build_cost_tables.py ../shared/data

Prices, interruption bands and throughputs are facts that others published; cost_models/data/README.md says whose. What
is judged here, and why, is written beside each rule. The runtime reads the tables only, never the recordings.
"""

from __future__ import annotations

import csv
import json
import math
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

READ_ON = "2026-11-23"  # the day the recordings were read; the catalogs carry no date of their own
TABLES = Path(__file__).resolve().parents[1] / "cost_models" / "data"
CATALOGS = {
    "aws": "aws@00148f2",
    "gcp": "gcp@8427bbf",
    "lambda": "lambda@0f40703",
    "runpod": "runpod@46062ac",
    "nebius": "nebius@0082b04",
    "azure": "azure@80b37e8",
}

Row = dict[str, str]
Speeds = dict[tuple[str, str], float]  # (board, workload) -> samples or tokens per second


# Prices ---------------------------------------------------------------------------------------------------------------


def prices(data: Path) -> Iterator[Row]:
    """Every recorded row, with the reason where it is not to be chosen."""
    suspects = {_price_key(row): row["why"] for row in _read(data / "gpu-prices.suspect.csv")}
    for row in _read(data / "gpu-prices.csv"):
        yield {**row, "catalog": CATALOGS[row["cloud"]], "left_out": suspects.get(_price_key(row), "")}


def _price_key(row: Row) -> tuple[str, ...]:
    return tuple(row[part] for part in ("cloud", "region", "zone", "instance_type", "accelerator", "accelerator_count"))


# Interruption bands ---------------------------------------------------------------------------------------------------


def bands(data: Path) -> Iterator[Row]:
    """AWS' bands for Linux, by region and instance type, with the limits that their labels name."""
    advisor = json.loads((data / "aws-spot-advisor.json").read_text())
    labels = [entry["label"] for entry in sorted(advisor["ranges"], key=lambda entry: entry["index"])]
    for region, systems in sorted(advisor["spot_advisor"].items()):
        for instance_type, facts in sorted(systems["Linux"].items()):
            low, high = _band_limits(labels[facts["r"]])
            yield {"region": region, "instance_type": instance_type, "low_percent": low, "high_percent": high}


def _band_limits(label: str) -> tuple[str, str]:
    if label.startswith("<"):
        return "0", label.strip("<%")
    if label.startswith(">"):
        return label.strip(">%"), "100"
    low, high = label.strip("%").split("-")
    return low, high


# Throughput -----------------------------------------------------------------------------------------------------------

KINDS = {
    "ssd": "vision",
    "resnet50": "vision",
    "bert_base_squad": "language",
    "bert_large_squad": "language",
    "gnmt": "language",
    "transformerxlbase": "language",
    "transformerxllarge": "language",
    "tacotron2": "speech",
    "waveglow": "speech",
    "bert": "language",
    "cifar10": "vision",
    "imagenet": "vision",
    "yolov3": "vision",
    "deepspeech2": "speech",
    "ResNet-18": "vision",
    "ResNet-50": "vision",
    "Transformer": "language",
    "LM": "language",
    "CycleGAN": "vision",
    "A3C": "reinforcement",
    # left out: ncf and Recommendation. lambda's ncf reports 1.3e10 samples/s on four H100; sia's shows a V100 nine
    # times slower than a T4; gavel's Recommendation shows a V100 slower than a K80. They measured the host.
}
# How the boards of the tables (cost_models/data/gpu-boards-*.csv) are called in lambda's rows.
BOARDS = {
    "V100 16GB": "V100",
    "Quadro RTX 8000": "RTX8000",
    "RTX 3090": "RTX3090",
    "RTX A6000": "A6000",
    "A10": "A10",
    "A100 40GB PCIe": "A100",
    "A100 80GB PCIe": "A100-80GB-PCIe",
    "A100 80GB SXM4": "A100-80GB-SXM",
    "RTX 4090": "RTX4090",
    "RTX 6000 Ada": "RTX6000-Ada",
    "H100 80GB PCIe": "H100-PCIe",
    "H100 80GB SXM5": "H100-SXM",
    "H200 140GB SXM": "H200",
    "GH200 96GB": "GH200",
    "B200 192GB": "B200",
}
# sia's clusters. Only bert and cifar10 read so little that the hosts of dgx, quad and rtx did not hold the GPUs back.
CLUSTERS = {"aws": "T4", "azure": "V100"}
CLUSTERS_THAT_READ_SLOWLY = {"dgx": "A100", "quad": "RTX6000", "rtx": "RTX2080Ti"}
READS_LITTLE = ("bert", "cifar10")


def lambda_speeds(path: Path, gpus: int) -> Speeds:
    """Geometric mean over hosts by (board, workload), samples or tokens per second of ``gpus`` GPUs together."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in _read(path):
        board, count = _board(next(iter(row.values())))
        for workload in row.keys() & KINDS.keys():
            if board and count == gpus and float(row[workload] or 0) > 0:
                found[board, workload].append(float(row[workload]))
    return {key: _geometric_mean(values) for key, values in found.items()}


def _board(host: str) -> tuple[str, int]:
    """``LambdaOD_2x_Texas_1xH100_80GB_SXM5_192-...`` is one H100 80GB SXM5; '' for boards that nobody rents out."""
    text = host.replace("_", " ")
    counts = re.findall(r"(\d+)x\s*(?=[A-Z]+\d|RTX|Quadro)", text)
    board = next((name for name in BOARDS if re.search(rf"(?<![A-Z\d]){name}(?!\d)", text)), "")
    return board, int(counts[-1]) if counts else 1


def single_gpu(data: Path) -> Iterator[Row]:
    """Speed of one GPU, by workload; only within one series and workload are speeds comparable."""
    folder = data / "gpu-throughput"
    for version in ("v1", "v2"):
        speeds = lambda_speeds(folder / f"lambda-fp16-{version}.csv", 1)
        for (board, workload), speed in sorted(speeds.items()):
            yield _speed_row(BOARDS[board], workload, speed, f"lambda {version}")
    yield from _sia(folder / "sia")
    yield from _gavel(folder / "gavel.json")


def _sia(folder: Path) -> Iterator[Row]:
    """One GPU of each cluster, each at its best batch size."""
    for workload in ("bert", "cifar10", "deepspeech2", "imagenet", "yolov3"):
        for cluster, board in (CLUSTERS | (CLUSTERS_THAT_READ_SLOWLY if workload in READS_LITTLE else {})).items():
            yield _speed_row(board, workload, _best_rate(folder / f"{workload}-{cluster}.csv"), "sia")


def _best_rate(path: Path) -> float:
    return max(int(row["local_bsz"]) / float(row["step_time"]) for row in _read(path) if row["placement"] == "1")


def _gavel(path: Path) -> Iterator[Row]:
    """K80, P100 and V100 by batch size, in single precision; zeros and older cards that beat newer ones are faults."""
    rates = json.loads(path.read_text())
    for job, v100 in rates["v100"].items():
        matched = re.match(r"\('([^ ']+)(?: \(batch size (\d+)\))?', 1\)", job)
        workload = matched.group(1) if matched else ""
        found = {card.upper(): rates[card].get(job, 0.0) for card in ("k80", "p100")}
        found = {card: rate for card, rate in found.items() if 0 < rate < v100}
        if found.get("K80", 0.0) >= found.get("P100", v100):
            found = {}
        if matched and workload in KINDS and found:
            series = f"gavel {matched.group(2)}" if matched.group(2) else "gavel"
            for card, rate in (found | {"V100": v100}).items():
                yield _speed_row(card, workload, rate, series)


def _speed_row(board: str, workload: str, speed: float, series: str) -> Row:
    return {"board": board, "workload": workload, "family": KINDS[workload], "series": series, "speed": f"{speed:.5g}"}


def several_gpus(data: Path) -> Iterator[Row]:
    """Speed of 2, 4 and 8 GPUs of one machine against one, by workload; beyond linear, the settings differed."""
    for version in ("v1", "v2"):
        path = data / "gpu-throughput" / f"lambda-fp16-{version}.csv"
        one = lambda_speeds(path, 1)
        for gpus in (2, 4, 8):
            for (board, workload), speed in sorted(lambda_speeds(path, gpus).items()):
                ratio = speed / one.get((board, workload), math.inf)
                if 1.0 < ratio <= 1.05 * gpus:
                    yield {
                        "board": BOARDS[board],
                        "gpus": str(gpus),
                        "workload": workload,
                        "family": KINDS[workload],
                        "speed_vs_one": f"{ratio:.4f}",
                        "source": f"lambda {version}",
                    }


# Files ----------------------------------------------------------------------------------------------------------------


def _geometric_mean(values: Sequence[float]) -> float:
    return math.exp(sum(math.log(value) for value in values) / len(values))


def _read(path: Path) -> list[Row]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _write(name: str, rows: Iterable[Row]) -> None:
    found = list(rows)
    path = TABLES / f"{name}-{READ_ON}.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(found[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)
    print(f"{path}: {len(found)} rows")


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: build_cost_tables.py FOLDER_OF_RECORDINGS")
    data = Path(sys.argv[1])
    _write("prices", prices(data))
    _write("interruption-bands", bands(data))
    _write("measured-speed", single_gpu(data))
    _write("gpu-scaling", several_gpus(data))


if __name__ == "__main__":
    main()
