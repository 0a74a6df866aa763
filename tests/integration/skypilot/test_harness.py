"""The world itself: what the other tests rely on and none of them shows."""

from __future__ import annotations

import pytest
from slurm_world import SlurmWorld


@pytest.mark.core
def test_root_and_the_nodes_can_replace_each_others_files(world: SlurmWorld) -> None:
    ours, theirs = world.shared_folder / "ours", world.shared_folder / "theirs"
    ours.write_text("root\n")
    world.on_node(f"{world.cluster('aws')}-s1", "bash", "-c", f"echo node >>{ours}; echo node >{theirs}")
    theirs.write_text("root\n")
    assert (ours.read_text(), theirs.read_text()) == ("root\nnode\n", "root\n")
