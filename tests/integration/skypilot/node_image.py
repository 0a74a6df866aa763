"""What the nodes have installed: SkyPilot's runtime, a Python with PyTorch, stand-ins for what would be downloaded.

Nothing is downloaded. All Pythons are empty environments that borrow packages from the one that runs the tests.
"""

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from slurm_machines import Layout

from spotwise.scheduler.engines.skypilot.tasks import AGENT, SWEEP

HERE = Path(__file__).resolve().parent
ON_NODES = ("torch", "numpy", "scikit-learn")  # with all that they need; nothing of spotwise's own
FOR_THE_AGENT = (*AGENT, *SWEEP)  # what spotwise installs in a Python of its own


def build(layout: Layout) -> None:
    image = layout.path("image")
    packages = Path(metadata.distribution("torch").locate_file(""))
    environment(layout, image / "sky-runtime", packages)
    shutil.copy(HERE / "node_sitecustomize.py", site_packages(image / "sky-runtime") / "sitecustomize.py")
    borrow(image / "packages", packages, ON_NODES)
    borrow(image / "agent-packages", packages, FOR_THE_AGENT)
    environment(layout, image / "user-env", image / "packages")
    add_pip(image / "user-env", packages)
    (image / "bin").mkdir()
    scripts = {"curl": "curl", "uv": "uv", "sbatch": "sbatch", "epilog": "epilog", "python3.13": "python"}
    for name, script in scripts.items():
        target = image / "bin" / name
        shutil.copy(HERE / f"node_{script}.sh", target)
        target.chmod(0o755)
    (image / "pip.conf").write_text(pip_settings())


def borrow(folder: Path, packages: Path, projects: tuple[str, ...]) -> None:
    folder.mkdir()
    for name in sorted(top_level_names(projects)):
        (folder / name).symlink_to(packages / name)


def environment(layout: Layout, folder: Path, packages: Path) -> None:
    uv = [f"{layout.venv}/bin/uv", "venv", "--quiet", "--offline", "--no-config", "--relocatable"]
    subprocess.run([*uv, "--python", sys.executable, folder], check=True)
    site_packages(folder).joinpath("image.pth").write_text(f"{packages}\n")


def site_packages(environment: Path) -> Path:
    return next(environment.glob("lib/python*/site-packages"))


def add_pip(environment: Path, packages: Path) -> None:
    for folder in (packages / "pip", *packages.glob("pip-*.dist-info")):
        shutil.copytree(folder, site_packages(environment) / folder.name)
    script = environment / "bin" / "pip"
    script.write_text('#!/bin/sh\nexec "$(dirname "$0")/python" -m pip "$@"\n')
    script.chmod(0o755)


def top_level_names(projects: tuple[str, ...]) -> set[str]:
    files = (file for project in needed(projects) for file in metadata.files(project) or ())
    return {file.parts[0] for file in files if file.parts[0] not in ("..", "__pycache__")}


def needed(projects: tuple[str, ...]) -> set[str]:
    """These and, where installed, what they require, without extras but those that are asked for: ``ray[tune]``."""
    found: set[str] = set()
    queue = [Requirement(project) for project in projects]
    while queue:
        project = queue.pop()
        if project.name.lower() in found or not installed(project.name):
            continue
        found.add(project.name.lower())
        queue += requirements(project)
    return found


def installed(project: str) -> bool:
    return next(iter(metadata.distributions(name=project)), None) is not None


def requirements(project: Requirement) -> Iterator[Requirement]:
    for line in metadata.requires(project.name) or ():
        requirement = Requirement(line)
        marker, extras = requirement.marker, project.extras or {""}
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
            yield requirement


def pip_settings() -> str:
    """How this machine reaches packages: the nodes' user cannot read root's settings."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    sections: dict[str, str] = {}
    for name, value in (line.split("=", 1) for line in lines if not line.startswith(":env:")):
        section, key = name.split(".", 1)
        one_line = " ".join(ast.literal_eval(value).split())
        sections[section] = f"{sections.get(section, '')}{key} = {one_line}\n"
    return "".join(f"[{section}]\n{text}" for section, text in sections.items())
