"""Handwritten digits (8 x 8 pixels, 1,797 images) with a small convolutional network; seconds on one CPU core.

python train.py                      trains, and saves every epoch under ./checkpoints
python train.py                      again: nothing left to do; after Ctrl-C or kill it continues where it was
"""

import argparse
import time

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from spotwise.checkpoints import Session

HELD_OUT = 360  # images kept for validation, a fifth


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a convolutional network on handwritten digits.")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--channels", type=int, default=16, help="of the first convolution; the second has twice")
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--optimizer", choices=["adam", "sgd"], default="adam")
    parser.add_argument("--seed", type=int, default=0, help="of weights, dropout and order, not of the split")
    parser.add_argument(
        "--epoch-seconds", type=float, default=0.0, help="an epoch takes at least this long (sleeps): plays bigger work"
    )
    return parser.parse_args()


def load_data() -> tuple[TensorDataset, TensorDataset]:
    images, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(images, dtype=torch.float32) / 16, torch.tensor(labels)
    x = x.reshape(-1, 1, 8, 8)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    train, held_out = order[HELD_OUT:], order[:HELD_OUT]
    return TensorDataset(x[train], y[train]), TensorDataset(x[held_out], y[held_out])


def build_model(channels: int, dropout: float) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(channels, 2 * channels, 3, padding=1), nn.BatchNorm2d(2 * channels), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(dropout), nn.Linear(2 * channels * 4, 10),
    )  # fmt: skip


def build_optimizer(name: str, model: nn.Module, lr: float) -> torch.optim.Optimizer:
    if name == "adam":
        return torch.optim.Adam(model.parameters(), lr=lr)
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)


@torch.no_grad()
def validate(model: nn.Module, data: TensorDataset) -> dict[str, float]:
    model.eval()
    x, y = data.tensors
    scores = model(x)
    loss = nn.functional.cross_entropy(scores, y).item()
    return {"val_accuracy": (scores.argmax(1) == y).float().mean().item(), "val_loss": loss}


def main() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    train, held_out = load_data()
    loader = DataLoader(train, batch_size=arguments.batch_size, shuffle=True)
    pause_s = arguments.epoch_seconds / len(loader)
    model = build_model(arguments.channels, arguments.dropout)
    optimizer = build_optimizer(arguments.optimizer, model, arguments.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=arguments.epochs)

    session = Session.from_env(model=model, optimizer=optimizer, lr_schedule=schedule)
    if session.restored:
        print(f"continuing after {session.restored.checkpoint}, {session.restored.epoch} epochs done", flush=True)
    for epoch in session.epochs(arguments.epochs):
        model.train()
        for x, y in session.batches(loader):
            began = time.monotonic()
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            time.sleep(max(0.0, began + pause_s - time.monotonic()))
            session.step(samples=len(x))
        schedule.step()
        metrics = validate(model, held_out)
        print(f"epoch {epoch + 1}: " + ", ".join(f"{name} {value:.4f}" for name, value in metrics.items()), flush=True)
        session.report(**metrics)


if __name__ == "__main__":
    main()
