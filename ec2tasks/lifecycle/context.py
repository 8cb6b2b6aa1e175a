"""What one call of ec2tasks knows before it asks AWS anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ec2tasks.aws.client import Aws
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.process import Tools
from ec2tasks.base.project import Project
from ec2tasks.base.state import State, digest
from ec2tasks.base.waits import Usual
from ec2tasks.config.settings import Settings
from ec2tasks.lifecycle import launch_journal


def nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, kw_only=True)
class CallContext:
    """What one call of ec2tasks knows before it asks AWS anything.

    `reuse`: an instance is used also where it is of another type than this call names. `before_launch` is
    called, outside of all locks, where one is about to be launched. `whose` tells one AWS account's
    credentials here from another's, and may ask AWS: once, for whatever first needs to know it.
    """

    settings: Settings
    project: Project
    aws: Aws
    state: State
    tools: Tools
    home: Path
    reuse: bool = False
    before_launch: Callable[[], None] = nothing
    whose: Callable[[], str] = str

    @property
    def account(self) -> str:
        """Whose instances these are. Raises UsageError for another account than the settings say, Failure."""
        return self.whose()

    @property
    def key(self) -> str:
        """The instance's name among all that this machine knows."""
        return self.key_of(self.aws.region, self.settings.name)

    def key_of(self, region: str, name: str) -> str:
        """The same for this user's instance of another name or region."""
        return digest(self.aws.endpoint.name, self.account, region, self.settings.key_name, name)

    @property
    def place(self) -> launch_journal.Place:
        """The same for the journal."""
        return launch_journal.Place(
            key=self.key,
            account=digest(self.aws.endpoint.name, self.account),
            region=self.aws.region,
            owner=self.settings.key_name,
            name=self.settings.name,
        )

    def scope_of(self, region: str) -> str:
        """The user's instances in a region, and the key pair there, among all that this machine knows."""
        return digest(self.aws.endpoint.name, self.account, region, self.settings.key_name)

    def usual(self, what: str, instance_type: str) -> Usual:
        """How long such a wait takes for instances of that type here, as this machine remembers it."""
        words = (what, self.aws.endpoint.name, self.aws.region, instance_type)
        return Usual(state=self.state, kind=" ".join(words))

    @property
    def public_key(self) -> Path:
        """Where the public key of the user's key pair in this region is kept, so that ssh offers no other."""
        return self.state.folder / "keys" / f"{self.scope_of(self.aws.region)}.pub"
