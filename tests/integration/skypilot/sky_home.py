"""The home folder of SkyPilot's API server: clusters, prices, catalogs, plugin."""

from typing import Any

import yaml
from slurm_machines import CLUSTERS, NODE_USER, Layout

PROVISION_TIMEOUT_S = 20
USD_PER_HOUR = {"aws": {"ondemand": 3.06, "spot": 0.92}, "gcp": {"ondemand": 2.48, "spot": 0.74}}  # of one V100

SSH_HOST = """\
Host {cluster}
    HostName 127.0.0.1
    Port {port}
    User {user}
    IdentityFile {root}/keys/client
    IdentitiesOnly yes
"""
PLUGINS = """\
plugins:
  - class: offline_plugin.OfflinePlugin
    parameters: {{health: "http://127.0.0.1:{port}/api/health"}}
"""
# Tables without a checksum beside them count as edited by the user and are never fetched.
CATALOGS = {
    "accelerators.csv": "AcceleratorName,Clouds\nV100,\"['slurm']\"\n",
    "metadata.csv": "GPU,MemoryGB,Manufacturer\nV100,16,NVIDIA\n",
}


def build(layout: Layout) -> None:
    home = layout.path("sky-home")
    for folder in (".slurm", ".ssh", ".sky/catalogs/v8/common"):
        (home / folder).mkdir(parents=True)
    hosts = [
        SSH_HOST.format(cluster=c, port=layout.ports[f"{c}-ssh"], user=NODE_USER, root=layout.root) for c in CLUSTERS
    ]
    (home / ".slurm/config").write_text("\n".join(hosts))
    (home / ".sky/config.yaml").write_text(yaml.safe_dump(config()))
    (home / ".sky/plugins.yaml").write_text(PLUGINS.format(port=layout.ports["api"]))
    for name, text in CATALOGS.items():
        (home / ".sky/catalogs/v8/common" / name).write_text(text)


def config() -> dict[str, Any]:
    slurm = {"provision_timeout": PROVISION_TIMEOUT_S, "cluster_configs": {c: prices(c) for c in CLUSTERS}}
    return {"allowed_clouds": ["slurm"], "slurm": slurm}


def prices(cluster: str) -> dict[str, Any]:
    """A partition without a price of its own, as `ondemand`, has that of its cluster."""
    usd = USD_PER_HOUR[cluster.rstrip("0123456789")]
    of_partitions = {"spot": usd["spot"], "reclaim": 99.0}
    return {
        "pricing": {"accelerators": {"V100": usd["ondemand"]}, "cpu": 0.0, "memory": 0.0},
        "partition_configs": {
            name: {"pricing": {"accelerators": {"V100": price}}} for name, price in of_partitions.items()
        },
    }
