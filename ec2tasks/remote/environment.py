"""An environment on the instance: which one a job will take, and one that is built by `build_*.py`.

Those modules and the request go there as data, on the input of the instance's own Python.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import field

from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure
from ec2tasks.base.exchange import Limits, Lines, pump
from ec2tasks.base.process import PIPE, Tools
from ec2tasks.base.scripts import remote_script
from ec2tasks.environment.request import EnvironmentRequest
from ec2tasks.remote.folder import BrokenConnectionError
from ec2tasks.remote.job import BROKEN, MISSING
from ec2tasks.remote.protocol import Message, read_message, script_argv
from ec2tasks.ssh.host import Host, ssh_argv

MODULES = ("build_step", "build_packages", "build_conda", "build_environment")
BUILDING = Limits(seconds=4 * 3600.0)  # torch over a slow network, a package that is compiled
ASKING = Limits(seconds=60.0)
# Makes modules of the texts, under the names by which they import each other.
BOOT = """
import json, sys, types
asked = json.load(sys.stdin)
for name, text in asked["modules"]:
    module = sys.modules["ec2tasks.remote." + name] = types.ModuleType(name)
    exec(compile(text, name, "exec"), module.__dict__)
sys.exit(sys.modules["ec2tasks.remote.build_environment"].main(asked["request"]))
"""
PLAIN = re.compile(r"[A-Za-z0-9.+!_-]{1,40}")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a job will take on the instance: `word` as environment.sh says it, `about` what is known of it."""

    word: str = ""
    about: Mapping[str, str] = field(default_factory=dict)

    @property
    def missing(self) -> bool:
        """Whether it has to be built first."""
        return self.word == "missing"


def read_choice(text: str) -> Choice:
    """The choice in an answer of the instance's; of what it says of it, only plain words count."""
    word, *rest = text.split(",") if text.startswith("built") else [text]
    return Choice(word=word, about=read_about(",".join(rest)))


def read_about(text: str) -> dict[str, str]:
    """What stands in `ready`, as NAME=VALUE,…, by name."""
    pairs = (part.partition("=") for part in text.split(","))
    return {name: value for name, _, value in pairs if PLAIN.fullmatch(name) and PLAIN.fullmatch(value)}


class BuildError(Failure):
    """The environment could not be built."""


def build(
    host: Host, tools: Tools, request: Mapping[str, object], label: str, on_note: Callable[[str], object]
) -> Choice:
    """Build an environment there, or wait until another run has; what it came to. Raises BuildError.

    `on_note` is told what the builder has to say meanwhile.
    """
    answers: list[Message] = []

    def take(line: bytes) -> None:
        message = read_message(line.decode(errors="replace").rstrip("\r"), "note", "built", "failed")
        if message and message.verb == "note":
            on_note(message.get("text", str, ""))
        elif message:
            answers.append(message)

    error = bytearray()
    argv = ssh_argv(host, "python3", "-c", BOOT, options=("-T",))
    with tools.start(argv, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True) as ssh:
        pump(ssh, BUILDING, stdin=_input(request), on_out=Lines(on_line=take), on_err=error.extend)
    return _built(answers, ssh.returncode, error.decode(errors="replace"), label)


def _built(answers: list[Message], code: int, error: str, label: str) -> Choice:
    if not answers and code == BROKEN:
        raise BrokenConnectionError("the connection broke while the environment was built")
    if not answers:
        last = (error.strip().splitlines() or ["no answer"])[-1]
        what = "the instance has no `python3`" if code == MISSING else last
        raise BuildError(f"the environment could not be built from {label}: {what}", hint=hint(label))
    answer = answers[-1]
    if answer.verb == "built":
        return Choice(word="built", about=read_about(answer.get("about", str, "")))
    step, said = answer.get("step", str, "a step"), answer.get("text", str, "")
    what = f"the environment could not be built from {label}, at `{step}`:"
    raise BuildError(what, lines=said.splitlines(), hint=hint(label))


def _input(request: Mapping[str, object]) -> bytes:
    modules = [(name, remote_script(f"{name}.py")) for name in MODULES]
    return json.dumps({"modules": modules, "request": request}).encode()


def hint(label: str) -> str:
    """What to type where an environment can't be built."""
    return f"mend {label}; `--env none` runs without, `--env NAME` in another environment there"


def choice_there(
    host: Host, tools: Tools, request: EnvironmentRequest, *, remote_dir: str, below: str
) -> Choice:
    """What a job would take there now. Raises Failure where it can't be asked."""
    argv = script_argv(
        host,
        "environment.sh",
        folder=remote_dir,
        below=below,
        environment=request.wanted,
        built=request.key,
        conda_name=request.conda_name,
    )
    answer = tools.capture(argv, limits=ASKING).within_limits()
    for line in answer.stdout.decode(errors="replace").splitlines():
        if message := read_message(line, "environment"):
            return read_choice(message.get("choice", str, ""))
    last = (answer.stderr.decode(errors="replace").strip().splitlines() or ["no answer"])[-1]
    raise Failure(f"the instance does not tell which environment it has: {last}")


def packages_there(host: Host, tools: Tools, key: str) -> dict[str, str]:
    """The packages of an environment that is built there, by name; none where there is no such."""
    argv = ssh_argv(host, "cat", f".ec2tasks/env/{key}/packages", options=("-T",))
    answer = tools.capture(argv, limits=ASKING).within_limits()
    pairs = (line.partition("==") for line in answer.stdout.decode(errors="replace").splitlines())
    return {name: version for name, _, version in pairs if PLAIN.fullmatch(name) and PLAIN.fullmatch(version)}
