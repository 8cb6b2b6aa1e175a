"""What this call has just made, and asking again for it: AWS may not know it everywhere yet.

EC2: https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html (from a couple of seconds up to
about five minutes); IAM: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html (changes that I
make are not always immediately visible).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, TypeVar

from ec2tasks.aws.errors import error_code, error_text
from ec2tasks.base import output
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.retry import retry

Result = TypeVar("Result")

LIMIT = 300.0  # seconds in which what was made shows everywhere
PAUSES = (1.0, 2.0, 3.0, 4.0, 5.0, *((10.0,) * 12), *((15.0,) * 11))  # between tries, LIMIT in all
# EC2 says of an instance profile that it does not see yet only that the value is invalid.
MISSING = re.compile(r"Invalid\w*\.NotFound|NoSuchEntity")
PROFILE = re.compile(r"iamInstanceProfile|instance profile", re.IGNORECASE)


@dataclass(kw_only=True)
class JustMade:
    """The names and ids of what was made within the last minutes, instances as AWS's answer told of them."""

    clock: Callable[[], float] = time.monotonic
    _made: dict[str, float] = field(default_factory=dict)
    _instances: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)

    def add(self, *names: str, age: float = 0.0) -> None:
        """Know these as made now, or so many seconds ago."""
        self._made |= dict.fromkeys(names, self.clock() - age)

    def add_instance(self, description: Mapping[str, Any]) -> None:
        """Know an instance as launched now, with all that the answer to the launch tells of it."""
        self.add(description["InstanceId"])
        self._instances[description["InstanceId"]] = description

    def instance(self, instance_id: str) -> Mapping[str, Any] | None:
        """What the launch told of an instance; None where it was not launched a moment ago."""
        return self._instances.get(instance_id) if self._is_new(instance_id) else None

    def explains(self, error: Exception) -> bool:
        """Whether an error is that AWS does not know yet what was just made: it names that, as missing."""
        code, text = error_code(error), error_text(error)
        missing = MISSING.fullmatch(code) or (code == "InvalidParameterValue" and PROFILE.search(text))
        if not missing:
            return False
        named = [name for name in self._made if self._is_new(name) and _names(text, name)]
        for name in set(named) - self._told:
            output.step(f"AWS does not know {name} everywhere yet: asking again")
            self._told.add(name)
        return bool(named)

    def ask(self, action: Callable[[], Result], *, sleep: Callable[[float], None] = time.sleep) -> Result:
        """The result of an action, asked for again while AWS does not know yet what was just made."""
        return retry(action, on=self.explains, pauses=PAUSES, sleep=sleep)

    def _is_new(self, name: str) -> bool:
        return name in self._made and self.clock() - self._made[name] < LIMIT


def _names(text: str, name: str) -> bool:
    return bool(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text))
