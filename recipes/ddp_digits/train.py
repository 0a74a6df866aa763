"""The perceptron of digits_mlp on several processes and machines (DDP); any number of them continues the same training.

torchrun --nproc-per-node 2 train.py     two processes, on GPUs (nccl) where there are any, else on the CPU (gloo)
python train.py                          one process, which also continues what two have begun
"""

import argparse
import os
import time

import torch
from sklearn.datasets import load_digits
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from spotwise.checkpoints import Session

HELD_OUT = 360  # images kept for validation, a fifth


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a perceptron on handwritten digits with several processes.")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--width", type=int, default=64, help="units in the hidden layer")
    parser.add_argument("--batch-size", type=int, default=64, help="images a step, of all processes together")
    parser.add_argument("--epoch-seconds", type=float, default=0.0, help="an epoch takes at least this long (sleeps)")
    return parser.parse_args()


def join() -> tuple[int, int, torch.device]:
    """This process' rank, the number of processes, and the device that is its own; alone where no torchrun is."""
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    if "RANK" in os.environ:
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return distributed.get_rank(), distributed.get_world_size(), device
    return 0, 1, device


def load_data() -> tuple[TensorDataset, TensorDataset]:
    images, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(images, dtype=torch.float32) / 16, torch.tensor(labels)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    train, held_out = order[HELD_OUT:], order[:HELD_OUT]
    return TensorDataset(x[train], y[train]), TensorDataset(x[held_out], y[held_out])


@torch.no_grad()
def validate(model: nn.Module, data: TensorDataset, device: torch.device) -> dict[str, float]:
    x, y = (tensor.to(device) for tensor in data.tensors)
    scores = model(x)
    loss = nn.functional.cross_entropy(scores, y).item()
    return {"val_accuracy": (scores.argmax(1) == y).float().mean().item(), "val_loss": loss}


def main() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rank, ranks, device = join()
    train, held_out = load_data()
    # The order depends on the epoch alone, and a step takes the same images however many processes share them.
    sampler: DistributedSampler[torch.Tensor] = DistributedSampler(train, ranks, rank)
    loader = DataLoader(train, batch_size=arguments.batch_size // ranks, sampler=sampler)
    model = nn.Sequential(nn.Linear(64, arguments.width), nn.ReLU(), nn.Linear(arguments.width, 10)).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=arguments.lr)

    # All ranks load, rank 0 saves; told to leave, all leave after the same step, whichever of them was told.
    session = Session.from_env(model=model, optimizer=optimizer)
    parallel = DistributedDataParallel(model) if ranks > 1 else model
    for epoch in session.epochs(arguments.epochs):
        sampler.set_epoch(epoch)
        for x, y in session.batches(loader):
            optimizer.zero_grad()
            nn.functional.cross_entropy(parallel(x.to(device)), y.to(device)).backward()
            optimizer.step()
            time.sleep(arguments.epoch_seconds / len(loader))
            session.step(samples=len(x) * ranks)
        metrics = validate(model, held_out, device)
        if rank == 0:
            print(f"epoch {epoch + 1}, {ranks} ranks: {metrics['val_accuracy']:.4f}", flush=True)
        session.report(**metrics)
    if ranks > 1:
        distributed.destroy_process_group()


if __name__ == "__main__":
    main()
