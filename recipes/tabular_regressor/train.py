"""Diabetes progression after a year from ten measurements (442 patients), by a small network; seconds on one CPU core.

python train.py                      trains, and saves every epoch under ./checkpoints
python train.py                      again: nothing left to do; after Ctrl-C or kill it continues where it was
"""

import argparse
import time

import torch
from sklearn.datasets import load_diabetes
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from spotwise.checkpoints import Session

HELD_OUT = 88  # patients kept for validation, a fifth


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a regressor on the diabetes table.")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--width", type=int, default=32, help="units in the hidden layer")
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--weight-decay", type=float, default=1e-3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--optimizer", choices=["adam", "sgd"], default="adam")
    parser.add_argument("--seed", type=int, default=0, help="of weights, dropout and order, not of the split")
    parser.add_argument(
        "--epoch-seconds", type=float, default=0.0, help="an epoch takes at least this long (sleeps): plays bigger work"
    )
    return parser.parse_args()


def load_data() -> tuple[TensorDataset, TensorDataset, float]:
    """Training and validation data, standardized by the training part; and the target's standard deviation there."""
    measurements, progression = load_diabetes(return_X_y=True)
    x = torch.tensor(measurements, dtype=torch.float32)
    y = torch.tensor(progression, dtype=torch.float32).unsqueeze(1)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    train, held_out = order[HELD_OUT:], order[:HELD_OUT]
    x = (x - x[train].mean(0)) / x[train].std(0)
    spread = y[train].std().item()
    y = (y - y[train].mean()) / spread
    return TensorDataset(x[train], y[train]), TensorDataset(x[held_out], y[held_out]), spread


def build_model(width: int, dropout: float) -> nn.Module:
    return nn.Sequential(nn.Linear(10, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, 1))


def build_optimizer(name: str, model: nn.Module, lr: float, weight_decay: float) -> torch.optim.Optimizer:
    if name == "adam":
        return torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=weight_decay)


@torch.no_grad()
def validate(model: nn.Module, data: TensorDataset, spread: float) -> dict[str, float]:
    model.eval()
    x, y = data.tensors
    mse = nn.functional.mse_loss(model(x), y).item()
    return {"val_rmse": spread * mse**0.5}  # in the target's own unit


def main() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    train, held_out, spread = load_data()
    loader = DataLoader(train, batch_size=arguments.batch_size, shuffle=True)
    pause_s = arguments.epoch_seconds / len(loader)
    model = build_model(arguments.width, arguments.dropout)
    optimizer = build_optimizer(arguments.optimizer, model, arguments.lr, arguments.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=arguments.epochs)

    session = Session.from_env(model=model, optimizer=optimizer, lr_schedule=schedule)
    if session.restored:
        print(f"continuing after {session.restored.checkpoint}, {session.restored.epoch} epochs done", flush=True)
    for epoch in session.epochs(arguments.epochs):
        model.train()
        for x, y in session.batches(loader):
            began = time.monotonic()
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
            time.sleep(max(0.0, began + pause_s - time.monotonic()))
            session.step(samples=len(x))
        schedule.step()
        metrics = validate(model, held_out, spread)
        print(f"epoch {epoch + 1}: " + ", ".join(f"{name} {value:.4f}" for name, value in metrics.items()), flush=True)
        session.report(**metrics)


if __name__ == "__main__":
    main()
