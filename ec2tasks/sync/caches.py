"""Which folders of a project look like caches or data that need not travel, with the reason; pure."""

from __future__ import annotations

from collections.abc import Mapping

from ec2tasks.base.dataclass import dataclass
from ec2tasks.sync.entries import Entry, parents
from ec2tasks.sync.withheld import path_pattern

WORTH_NAMING = 10_000_000  # bytes
# By the end of the folder's path: why it may stay here.
CACHES = {
    ".dvc/cache": "what DVC has fetched: `dvc pull` there brings what a run reads",
    "mlruns": "MLflow's records of earlier runs",
    "mlartifacts": "MLflow's records of earlier runs",
    "wandb": "Weights & Biases' records of earlier runs",
    "lightning_logs": "Lightning's records of earlier runs",
    "tb_logs": "TensorBoard's records of earlier runs",
    "multirun": "Hydra's records of earlier runs",
    "checkpoints": "models of earlier runs, unless this one begins with them",
    ".ipynb_checkpoints": "Jupyter's copies of notebooks",
    "datasets": "data that may come from its source, or from S3 by the instance's role",
    "dataset": "data that may come from its source, or from S3 by the instance's role",
    ".cache": "a cache by its name",
    "__pycache__": "Python makes it anew",
    ".mypy_cache": "a cache by its name",
    ".pytest_cache": "a cache by its name",
    ".ruff_cache": "a cache by its name",
    ".tox": "environments, which fit this machine alone",
    ".nox": "environments, which fit this machine alone",
    "node_modules": "packages, which fit this machine alone",
}


@dataclass(frozen=True, kw_only=True)
class Cache:
    """A folder that looks like a cache: its path, the bytes of its files, why it may stay here."""

    path: str
    size: int
    reason: str

    @property
    def pattern(self) -> str:
        """The line of .rsyncignore that keeps it here."""
        return f"{path_pattern(self.path)}/"


def caches(entries: Mapping[str, Entry]) -> list[Cache]:
    """The folders among these files' that look like caches and are worth a word, the biggest first."""
    known: dict[str, str | None] = {}
    sizes: dict[str, int] = {}
    for path, entry in entries.items():
        folder = path.rpartition("/")[0]
        if folder not in known:
            known[folder] = next((one for one in [*parents(folder), folder] if _reason(one)), None)
        if cache := known[folder]:
            sizes[cache] = sizes.get(cache, 0) + entry.size
    found = [Cache(path=path, size=size, reason=_reason(path) or "") for path, size in sizes.items()]
    return sorted((one for one in found if one.size >= WORTH_NAMING), key=lambda one: (-one.size, one.path))


def _reason(folder: str) -> str | None:
    """Why a folder of that path looks like a cache; None where it does not."""
    name, above = folder.rpartition("/")[2], folder.rpartition("/")[0].rpartition("/")[2]
    return CACHES.get(name) or CACHES.get(f"{above}/{name}")
