"""What runs are made of in a campaign: a training whose state is the list of the epochs done, and that knows of a twin.

It writes ``twins`` into its folder where another program of the same run is alive, and ``result.json`` when it is done.
"""

import fcntl
import json
import os
import sys
import time
from pathlib import Path

from spotwise.checkpoints import Session

EPOCH_S = 0.3


class Epochs:
    """The state of this training."""

    def __init__(self):
        self.done = []

    def state_dict(self):
        return {"done": self.done}

    def load_state_dict(self, state):
        self.done = list(state["done"])


def main(total):
    folder = Path(os.environ["SPOTWISE_CHECKPOINT_URL"]).parent
    with (folder / "alone").open("a") as alone:  # held until this process is gone, however it goes
        try:
            fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with (folder / "twins").open("a") as twins:
                twins.write(f"{os.getpid()} beside another\n")
        epochs = Epochs()
        session = Session.from_env(epochs=epochs)
        for epoch in session.epochs(total):
            time.sleep(EPOCH_S)
            epochs.done.append(epoch)
            session.report(loss=1 / (epoch + 1))
        (folder / "result.json").write_text(json.dumps(epochs.done))


if __name__ == "__main__":
    main(int(sys.argv[1]))
