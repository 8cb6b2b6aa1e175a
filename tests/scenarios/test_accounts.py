"""The first hour with an account of each shape: what check says, what a run does, the results in the end."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from support.local_ec2 import faults, start_local_ec2
from support.project import CommandResult
from support.repository import REPO
from support.tls import encrypted, own_certificate

from ec2tasks.aws.client import Aws
from ec2tasks.base.endpoint import Endpoint
from ec2tasks.cli.program import program
from ec2tasks.local import control

SHAPES: list[dict[str, Any]] = yaml.safe_load(
    (REPO / "tests/cases/accounts.yaml").read_text(encoding="utf-8")
)

# What the program leaves open ends with it; here it is one call of many in one process.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@dataclass(kw_only=True)
class Newcomer:
    """A user with an account of some shape, in a project, with nothing on this machine yet."""

    endpoint: Endpoint
    folder: Path
    project: Path
    shape: Mapping[str, Any]
    patch: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]

    def types(self, *words: str) -> CommandResult:
        """Run `ec2tasks WORDS` with what the shape asks of each call."""
        code = 0
        task, *rest = words
        try:
            program().run(["ec2tasks", task, *self.options, *rest])
        except SystemExit as end:
            code = int(end.code or 0)
        result = self.capture.readouterr()
        return CommandResult(code=code, out=result.out, err=result.err)

    @property
    def options(self) -> list[str]:
        found: list[str] = list(self.shape.get("options", []))
        return found

    @property
    def aws(self) -> Aws:
        region = self.options[-1] if "--region" in self.options else "eu-central-1"
        return Aws(endpoint=self.endpoint, region=region)

    @contextlib.contextmanager
    def in_shape(self) -> Iterator[None]:
        """The account as the shape has it; mended afterwards."""
        missing = {
            "network": self.without_network,
            "way in": self.without_way_in,
            "trust": self.without_trust,
        }
        faults(self.folder, **self.shape.get("faults", {}))
        with missing.get(self.shape.get("missing", ""), contextlib.nullcontext)():
            yield
        faults(self.folder)

    @contextlib.contextmanager
    def without_network(self) -> Iterator[None]:
        subnets = self.aws.ec2.describe_subnets()["Subnets"]
        for subnet in subnets:
            self.aws.ec2.delete_subnet(SubnetId=subnet["SubnetId"])
        yield
        for subnet in subnets:
            self.aws.ec2.create_default_subnet(AvailabilityZone=subnet["AvailabilityZone"])

    @contextlib.contextmanager
    def without_way_in(self) -> Iterator[None]:
        """A subnet whose own route table leads nowhere, asked for by each call."""
        ec2 = self.aws.ec2
        vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="172.31.240.0/24", AvailabilityZone="eu-central-1a")
        table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        ec2.associate_route_table(SubnetId=subnet["Subnet"]["SubnetId"], RouteTableId=table)
        before, self.shape = self.shape, {**self.shape, "options": ["--subnet", subnet["Subnet"]["SubnetId"]]}
        yield
        self.shape = before
        ec2.delete_subnet(SubnetId=subnet["Subnet"]["SubnetId"])

    @contextlib.contextmanager
    def without_trust(self) -> Iterator[None]:
        """AWS behind certificates of the company's own, which this machine is told of only later."""
        certificate = own_certificate(self.folder)
        with encrypted(urlsplit(str(self.endpoint.api_url)).port or 0, certificate) as port:
            behind = replace(self.endpoint, api_url=f"https://127.0.0.1:{port}")
            self.patch.setattr(control, "endpoint", lambda _: behind)
            yield
            self.patch.setenv("AWS_CA_BUNDLE", str(certificate[0]))
            assert self.types("check").code == 0
            self.patch.undo()


@pytest.fixture(params=SHAPES, ids=[shape["name"] for shape in SHAPES])
def newcomer(
    request: pytest.FixtureRequest,
    module_local_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Newcomer]:
    """A user who comes for the first time, with an account of the shape."""
    endpoint = start_local_ec2(module_local_folder)
    project = tmp_path / "shop"
    project.mkdir()
    monkeypatch.chdir(project)
    user = f"user-{SHAPES.index(request.param)}-{request.function.__name__[:10]}"
    for name, value in {"USER": user, "EC2_LOCAL_DIR": str(module_local_folder), "EC2_LOCAL": "1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.MonkeyPatch.context() as patch:
        yield Newcomer(
            endpoint=endpoint,
            folder=module_local_folder,
            project=project,
            shape=request.param,
            patch=patch,
            capture=capfd,
        )
    faults(module_local_folder)


def look(newcomer: Newcomer) -> None:
    """Check says what the shape has that keeps a run from working, and what to type about it."""
    shape = newcomer.shape
    said = newcomer.types("check", "--json")
    told = json.loads(said.out)
    levels = {one["name"]: one["level"] for one in told["findings"]}
    assert [name for name, level in levels.items() if level == "mend"] == shape.get("mend", []), said.out
    assert (said.code, told["ok"]) == ((1, False) if "mend" in shape else (0, True))
    if "warns" in shape:
        assert [name for name, level in levels.items() if level == "warning"] == shape["warns"]
    texts = " ".join(f"{one['text']} {one['hint']}" for one in told["findings"] if one["level"] != "ok")
    assert [words for words in shape.get("says", []) if words not in texts] == []
    assert "Traceback" not in said.err


def test_check_tells_beforehand(newcomer: Newcomer) -> None:
    with newcomer.in_shape():
        look(newcomer)


@pytest.mark.long
def test_the_first_hour_from_check_to_the_results(newcomer: Newcomer) -> None:
    with newcomer.in_shape():
        look(newcomer)
        if "refuses" in newcomer.shape:
            refused = newcomer.types("run", "true")
            assert refused.code in (2, 125)
            assert newcomer.shape["refuses"] in refused.err
            assert "hint: " in refused.err
            assert "Traceback" not in refused.err
        elif "mend" not in newcomer.shape:
            assert newcomer.types("run", "echo under way > first.txt").code == 0
            assert (newcomer.project / "first.txt").read_text(encoding="utf-8") == "under way\n"
    assert newcomer.types("check").code == 0
    said = newcomer.types("run", "echo done > result.txt")
    assert said.code == 0, said.err
    assert (newcomer.project / "result.txt").read_text(encoding="utf-8") == "done\n"
    assert " an hour" in said.err
    assert newcomer.types("status", "--json").out.strip() == "null"
