"""A training in miniature: gradient descent on a parabola, in the standard library and spotwise's session."""

import argparse
import time

from spotwise.checkpoints import Session

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=24)
parser.add_argument("--epoch-seconds", type=float, default=0.5)
args = parser.parse_args()


class Model:
    """One weight; its best value is 3."""

    weight = 0.0

    def state_dict(self) -> dict[str, float]:
        return {"weight": self.weight}

    def load_state_dict(self, state: dict[str, float]) -> None:
        self.weight = state["weight"]


model = Model()
session = Session.from_env(model=model)
for epoch in session.epochs(args.epochs):
    time.sleep(args.epoch_seconds)
    model.weight -= 0.1 * 2 * (model.weight - 3)
    session.report(loss=(model.weight - 3) ** 2)
    print(f"epoch {epoch}: weight {model.weight:.4f}")
session.finish()
