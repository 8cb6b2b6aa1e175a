"""What never leaves this machine, asked or not: stores of keys and tokens, variables with AWS credentials.

A store is known by its own name wherever it stands, say in the home of another user or in a backup, and by
where a variable or a link of the user's own has moved it to.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePath

from ec2tasks.base.dataclass import dataclass

Parts = tuple[str, ...]
# Below a home, folders and files of which no part is for another machine.
STORES = (
    *(".ssh", ".putty", ".gnupg", ".age", ".config/age", ".config/sops", ".config/op", ".password-store"),
    *(".aws", ".azure", ".config/gcloud", ".boto", ".s3cfg", ".oci", ".aliyun", ".bluemix", ".config/rclone"),
    *(".config/doctl", ".config/hcloud", ".config/scw", ".config/linode-cli", ".fly", ".vault-token"),
    *(".kube", ".docker", ".config/containers", ".config/helm", ".terraform.d", ".terraformrc", ".pulumi"),
    *(".netrc", "_netrc", ".authinfo", ".git-credentials", ".config/git/credentials", ".config/gh"),
    *(".config/hub", ".config/glab-cli", ".config/github-copilot", ".config/configstore", ".config/netlify"),
    *(".huggingface", ".cache/huggingface/token", ".cache/huggingface/stored_tokens", ".kaggle"),
    *(
        ".config/kaggle",
        ".config/wandb",
        ".config/openai",
        ".claude/.credentials.json",
        ".codex/auth.json",
        ".databrickscfg",
    ),
    *(".snowflake", ".snowsql", ".modal.toml", ".lightning", ".config/openstack"),
    *(".npmrc", ".yarnrc", ".yarnrc.yml", ".pypirc", ".config/pip", ".pip", ".config/pypoetry"),
    *(".config/uv", ".local/share/uv/credentials", ".cargo/credentials", ".cargo/credentials.toml"),
    *(".gem/credentials", ".bundle/config", ".composer/auth.json", ".config/composer/auth.json", ".condarc"),
    *(".m2/settings.xml", ".m2/settings-security.xml", ".gradle/gradle.properties", ".nuget"),
    *(".pgpass", ".my.cnf", ".mylogin.cnf", ".dbt", ".s3ql", ".smbcredentials", ".cifs", ".msmtprc"),
    *(".local/share/keyrings", ".gnome2/keyrings", ".local/share/kwalletd", ".pki", "Library/Keychains"),
    *(".mozilla", ".config/google-chrome", ".config/chromium", ".thunderbird", ".config/bitwarden"),
    *("Library/Application Support/Google/Chrome", "Library/Application Support/Firefox"),
    *("Library/Cookies", ".local/state/ec2tasks"),
)
# Of the machine's, not of a user's home.
SYSTEM_STORES = (
    *("/etc/ssh", "/etc/shadow", "/etc/gshadow", "/etc/ssl/private", "/etc/sudoers", "/etc/sudoers.d"),
    *("/etc/kubernetes", "/etc/krb5.keytab", "/proc", "/run/secrets", "/var/run/secrets"),
    *("/var/lib/cloud", "/private/etc/master.passwd", "/Library/Keychains"),
)
# Where a user may have moved a store to: each the path of a file or folder, or several.
MOVED_BY = (
    *("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "GNUPGHOME"),
    *("CLOUDSDK_CONFIG", "GOOGLE_APPLICATION_CREDENTIALS", "AZURE_CONFIG_DIR", "KUBECONFIG", "DOCKER_CONFIG"),
    *("NETRC", "HF_TOKEN_PATH", "GH_CONFIG_DIR", "NPM_CONFIG_USERCONFIG", "PASSWORD_STORE_DIR", "PGPASSFILE"),
    *("BOTO_CONFIG", "S3CMD_CONFIG", "VAULT_TOKEN_PATH", "TF_CLI_CONFIG_FILE", "CARGO_CREDENTIALS_PATH"),
    *("KAGGLE_CONFIG_DIR", "DATABRICKS_CONFIG_FILE", "REGISTRY_AUTH_FILE", "SOPS_AGE_KEY_FILE"),
)
# Folders that variables move with all in them: of each, the part of the stores' paths that it stands for.
MOVED_FOLDERS = {
    "XDG_CONFIG_HOME": ".config",
    "XDG_DATA_HOME": ".local/share",
    "XDG_STATE_HOME": ".local/state",
    "XDG_CACHE_HOME": ".cache",
    "HF_HOME": ".cache/huggingface",
    "CARGO_HOME": ".cargo",
}
# As ECMAScript reads it too, for the schema of ec2.yaml.
CREDENTIAL_NAME = r"(?:AWS|AMAZON)_(?:[A-Z0-9]+_)*(?:ACCESS_KEY|SECRET|TOKEN|CREDENTIALS?)(?:_[A-Z0-9]+)*"
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
ACCESS_KEY = re.compile(r"(?<![A-Z0-9])A[KS]IA[A-Z0-9]{16}(?![A-Z0-9])")
SHORTEST_SECRET = 16  # characters; what is shorter may stand in another value by chance


@dataclass(frozen=True, kw_only=True)
class SecretStores:
    """The stores of keys and tokens, by their folded parts; of a `place`, the folders above it too."""

    places: Mapping[Parts, Path]
    above: Mapping[Parts, Sequence[Path]]

    def holding(self, path: Path) -> Path | None:
        """The store that an absolute path is in, or is itself; None for any other path.

        By its name alone, whatever it leads to: who asks looks at a path both as it is written and resolved.
        """
        parts = folded(path)
        for end, part in enumerate(parts, start=1):
            if part not in self.last_names:
                continue
            if parts[:end] in self.places:
                return self.places[parts[:end]]
            if any(parts[end - size : end] in NAMES for size in range(1, LONGEST_NAME + 1)):
                return Path(*path.parts[:end])
        return None

    def below(self, folder: Path) -> Sequence[Path]:
        """The stores that stand below a folder, or are it, whether they are there or not."""
        return self.above.get(folded(folder), ())

    @cached_property
    def last_names(self) -> frozenset[str]:
        """The last part of each store's path, folded."""
        return frozenset(parts[-1] for parts in (*NAMES, *self.places))


def secret_stores(home: Path, environ: Mapping[str, str] = os.environ) -> SecretStores:
    """The user's stores of keys and tokens: where they stand by their own names, and where those lead."""
    places = [home / store for store in STORES] + [Path(store) for store in SYSTEM_STORES]
    for name in MOVED_BY:
        places += [Path(word).expanduser() for word in environ.get(name, "").split(os.pathsep) if word]
    for name, folder in MOVED_FOLDERS.items():
        if moved := environ.get(name):
            inner = [PurePath(store) for store in STORES if PurePath(store).is_relative_to(folder)]
            places += [Path(moved) / store.relative_to(folder) for store in inner]
    absolute = [Path(os.path.normpath(place)) for place in places if place.is_absolute()]
    known = {folded(place): place for place in (*absolute, *map(_resolved, absolute))}
    above: dict[Parts, list[Path]] = {}
    for parts, place in known.items():
        for end in range(1, len(parts) + 1):
            above.setdefault(parts[:end], []).append(place)
    return SecretStores(places=known, above=above)


def _resolved(path: Path) -> Path:
    return Path(os.path.realpath(path))


def folded(path: PurePath) -> Parts:
    """The path's parts as a file system takes them that does not tell small from capital letters."""
    return tuple(part.casefold() for part in path.parts)


NAMES = frozenset(folded(PurePath(store)) for store in STORES)
LONGEST_NAME = max(map(len, NAMES))


def holds_credentials(name: str, environ: Mapping[str, str]) -> bool:
    """Whether a variable holds AWS credentials: by its name, their form, or as a copy of another's value."""
    value = environ.get(name, "")
    secrets = (environ[other] for other in environ if re.fullmatch(CREDENTIAL_NAME, other) and other != name)
    return bool(
        re.fullmatch(CREDENTIAL_NAME, name)
        or ACCESS_KEY.search(value)
        or any(secret in value for secret in secrets if len(secret) >= SHORTEST_SECRET)
    )
