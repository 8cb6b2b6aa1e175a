"""The AWS API of the local EC2: moto's, with faults put in, its gaps mended and real hosts behind it."""

from __future__ import annotations

import base64
import io
import json
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from ec2tasks.local import cloud, images, keys, launch, prices, quotas, signature, vpc
from ec2tasks.local.answers import Call, Refusal, error_body, read_call, throttle_refusal
from ec2tasks.local.faults import ErrorFault, FaultFile
from ec2tasks.local.fleet import Fleet
from ec2tasks.local.lag import Lag

READS = ("Describe", "Get", "List")
STATE_CHANGES = ("StartInstances", "StopInstances", "RebootInstances")
OK = "200 OK"

StartResponse = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One HTTP answer, whole."""

    status: str = OK
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    @property
    def ok(self) -> bool:
        """Whether the call was carried out."""
        return self.status.startswith("2")

    def with_body(self, body: bytes) -> Reply:
        """The same answer with another body."""
        kept = [(name, value) for name, value in self.headers if name.lower() != "content-length"]
        return Reply(status=self.status, headers=[*kept, ("Content-Length", str(len(body)))], body=body)


def refusal_reply(service: str, refusal: Refusal) -> Reply:
    """The HTTP answer of an error."""
    kind, body = error_body(service, refusal)
    headers = [("Content-Type", kind), ("Content-Length", str(len(body)))]
    return Reply(status=f"{refusal.status} {refusal.code}", headers=headers, body=body)


def json_reply(content: Mapping[str, Any]) -> Reply:
    """The HTTP answer of a service that speaks JSON."""
    body = json.dumps(content).encode()
    headers = [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(body)))]
    return Reply(headers=headers, body=body)


def fault_refusal(fault: ErrorFault) -> Refusal:
    """The error that a fault asks for."""
    message = fault.message or f"{fault.code}: asked for with `local.faults`"
    return Refusal(code=fault.code, message=message, status=fault.status)


def replace_all(body: bytes, pairs: Iterable[tuple[str | None, str | None]]) -> bytes:
    """The body with the first text of each pair replaced by the second."""
    text = body.decode()
    for old, new in pairs:
        if old and old != new:
            text = text.replace(old, new or "")
    return text.encode()


def _instance_ids(reply: Reply) -> list[str]:
    """The ids of the instances that a launch made, from its answer."""
    ids = re.findall(rb"<instanceId>(i-[0-9a-f]+)</instanceId>", reply.body)
    return [instance_id.decode() for instance_id in dict.fromkeys(ids)]


class Api:
    """The WSGI application: one call at a time where instances are concerned, as moto keeps no order."""

    def __init__(self, fleet: Fleet, faults: FaultFile, own_keys: Mapping[str, str]) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._fleet = fleet
        self._faults = faults
        self._own_keys = own_keys
        self._lag = Lag(faults)
        self._launches: dict[tuple[str, str], tuple[dict[str, str], Reply]] = {}
        self._seeding = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, once it is known to be signed with a key of the account or of its user."""
        call = self._read(environ)
        if refusal := signature.refusal(environ, call.service, self._secret_of):
            return self._send(refusal_reply(call.service, refusal), start_response)
        if self._faults.throttles(call.action):
            return self._send(refusal_reply(call.service, throttle_refusal(call.service)), start_response)
        fault = self._faults.error_for(call.action)
        if fault is not None and not fault.after:
            return self._fail(fault, call, environ, start_response)
        self._seed(call)
        if call.service == "ec2":
            reply = self._ec2(call, environ)
        elif call.service == "pricing":
            reply = json_reply(prices.products(call.content))
        elif call.service == "servicequotas":
            reply = self._quota(call)
        elif fault is None and not (call.service == "iam" and self._lag.is_asked_for):
            answered: Iterable[bytes] = self._moto(environ, start_response)
            return answered
        else:
            with self._fleet.lock, self._lag.around(call):
                reply = self._moto_reply(environ)
        if fault is None:
            return self._send(reply, start_response)
        return self._fail(fault, call, environ, start_response)

    def control_moto(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer what moto is asked beside AWS's services (`/moto-api/…`), which nobody signs."""
        answered: Iterable[bytes] = self._moto(environ, start_response)
        return answered

    def _secret_of(self, access_key: str) -> str | None:
        return self._own_keys.get(access_key) or keys.secret_of(access_key)

    def warm(self) -> None:
        """Make one call, so that the first caller need not wait while moto reads EC2's service model."""
        body = b"Action=DescribeImages&Version=2016-11-15"
        environ: dict[str, Any] = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "HTTP_HOST": "localhost",
            "HTTP_AUTHORIZATION": "AWS4-HMAC-SHA256 Credential=ec2-local/20260101/us-east-1/ec2/aws4_request",
            "CONTENT_TYPE": "application/x-www-form-urlencoded; charset=utf-8",
            "CONTENT_LENGTH": str(len(body)),
        }
        self._ec2(self._read(environ), environ)

    def _read(self, environ: dict[str, Any]) -> Call:
        kind, body = environ.get("CONTENT_TYPE", ""), b""
        if kind.startswith(("application/x-www-form-urlencoded", "application/x-amz-json")):
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = io.BytesIO(body)
        target, query = environ.get("HTTP_X_AMZ_TARGET", ""), environ.get("QUERY_STRING", "")
        return read_call(environ.get("HTTP_AUTHORIZATION", ""), target, kind, query, body)

    def _seed(self, call: Call) -> None:
        with self._seeding:
            if call.service == "ec2":
                cloud.seed_images(call.region)
                cloud.seed_route(call.region)
            elif call.service == "ssm":
                cloud.seed_parameters(call.region)

    def _fail(
        self, fault: ErrorFault, call: Call, environ: dict[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        if fault.code == "drop":
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return self._send(refusal_reply(call.service, fault_refusal(fault)), start_response)

    def _send(self, reply: Reply, start_response: StartResponse) -> Iterable[bytes]:
        start_response(reply.status, reply.headers)
        return [reply.body]

    def _moto_reply(self, environ: dict[str, Any]) -> Reply:
        """Moto's own answer."""
        head: dict[str, Any] = {}

        def take(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
            head.update(status=status, headers=headers)

        body = b"".join(self._moto(environ, take))
        return Reply(body=body, **head)

    def _quota(self, call: Call) -> Reply:
        answer = quotas.answer(call.content, self._faults.current().quotas)
        return refusal_reply(call.service, answer) if isinstance(answer, Refusal) else json_reply(answer)

    # EC2.

    def _ec2(self, call: Call, environ: dict[str, Any]) -> Reply:
        with self._fleet.lock:
            with self._lag.around(call):
                reply = self._answer(call, environ)
            if not call.action.startswith(READS):
                self._fleet.converge()
            return reply

    def _answer(self, call: Call, environ: dict[str, Any]) -> Reply:
        if call.action == "RunInstances":
            return self._run_once(call, environ)
        if call.action in STATE_CHANGES:
            return self._change_state(call, environ)
        if call.action == "GetConsoleOutput":
            return self._console(call, self._moto_reply(environ))
        if call.action == "DescribeSpotPriceHistory":
            reply = self._moto_reply(environ)
            return reply.with_body(prices.with_spot_prices(reply.body, call.region)) if reply.ok else reply
        if call.action == "ModifyInstanceAttribute":
            return self._modify(call, environ)
        return self._moto_reply(environ)

    def _run_once(self, call: Call, environ: dict[str, Any]) -> Reply:
        """A launch; with a client token that was used before, the answer of then, as AWS is idempotent."""
        token = call.parameters.get("ClientToken")
        if token is None or "DryRun" in call.parameters:
            return self._run(call, environ)
        parameters = dict(call.parameters)
        earlier = self._launches.get((call.region, token))
        if earlier is not None and earlier[0] != parameters:
            message = (
                "Arguments on this idempotent request are inconsistent with arguments used in previous "
                f"request(s) for client token '{token}'."
            )
            return refusal_reply("ec2", Refusal(code="IdempotentParameterMismatch", message=message))
        if earlier is not None and cloud.have_ended(_instance_ids(earlier[1])):
            message = (
                "The request to launch an instance uses the same client token as a previous request for which"
                " the instance has been terminated."
            )
            return refusal_reply("ec2", Refusal(code="IdempotentInstanceTerminated", message=message))
        reply = earlier[1] if earlier is not None else self._run(call, environ)
        if reply.ok:
            self._launches[call.region, token] = (parameters, reply)
        return reply

    def _account(self, call: Call) -> launch.Account:
        image_id, region = call.parameters.get("ImageId", ""), call.region
        instance_type = call.parameters.get("InstanceType", "")
        subnet = call.parameters.get("SubnetId") or call.parameters.get("NetworkInterface.1.SubnetId")
        profile = call.parameters.get("IamInstanceProfile.Name") or call.parameters.get(
            "IamInstanceProfile.Arn"
        )
        return launch.Account(
            unknown_profile=profile if profile and not cloud.has_profile(profile) else None,
            image=images.find(image_id, region),
            has_image=cloud.has_image(region, image_id),
            has_key_pair=cloud.has_key_pair(region, call.parameters.get("KeyName", "")),
            architectures=cloud.architectures(instance_type),
            offered_zones=cloud.offered_zones(instance_type, region),
            subnet_zone=vpc.subnet_zone(region, subnet) if subnet else None,
        )

    def _run(self, call: Call, environ: dict[str, Any]) -> Reply:
        """A launch: refused as AWS would, else placed where there is capacity."""
        if any(name.startswith("LaunchTemplate.") for name in call.parameters):
            return self._moto_reply(environ)  # what it launches stands in the template, which moto reads
        account = self._account(call)
        if refusal := launch.launch_refusal(call, account):
            return refusal_reply("ec2", refusal)
        if "DryRun" in call.parameters:
            return self._moto_reply(environ)  # which looks for rights, not for room
        if refusal := self._beyond_quota(call):
            return refusal_reply("ec2", refusal)
        placement = launch.choose_zone(call, account, self._faults.current())
        if isinstance(placement, Refusal):
            return refusal_reply("ec2", placement)
        reply = self._moto_reply(environ)
        if not reply.ok:
            return reply
        return self._launched(account, placement, reply)

    def _beyond_quota(self, call: Call) -> Refusal | None:
        name = call.parameters.get("InstanceType", "")
        running = [
            (one.instance_type, one.spot, cloud.vcpus(one.instance_type))
            for one in cloud.records()
            if one.state in ("pending", "running") and one.region == call.region
        ]
        return quotas.refusal(
            name,
            spot=call.parameters.get("InstanceMarketOptions.MarketType") == "spot",
            vcpus=cloud.vcpus(name),
            running=running,
            limits=self._faults.current().quotas,
        )

    def _launched(self, account: launch.Account, placement: launch.Placement, reply: Reply) -> Reply:
        ids = _instance_ids(reply)
        before = [cloud.launch_details(instance_id) for instance_id in ids]
        image = account.image
        for instance_id in ids:
            size, device = (image.size_gib, image.root_device) if image else (8, images.ROOT_DEVICE)
            cloud.place(instance_id, placement.zone, size, device, by_us=placement.by_us)
            vpc.give_private_address(instance_id)
        self._fleet.converge()
        after = [cloud.launch_details(instance_id) for instance_id in ids]
        pairs = [pair for old, new in zip(before, after, strict=True) for pair in zip(old, new, strict=True)]
        states = [("<code>16</code><name>running</name>", "<code>0</code><name>pending</name>")]
        return reply.with_body(replace_all(reply.body, [*pairs, *states]))

    def _change_state(self, call: Call, environ: dict[str, Any]) -> Reply:
        records = {record.id: record for record in cloud.records()}
        ids = call.list_parameter("InstanceId")
        states = {instance_id: record.state for instance_id, record in records.items()}
        refusal = launch.state_refusal(
            call.action, ids, states, lambda instance_id: records[instance_id].spot
        )
        if refusal is not None:
            return refusal_reply("ec2", refusal)
        reply = self._moto_reply(environ)
        if reply.ok and call.action == "RebootInstances":
            self._fleet.reboot(ids)
        return reply

    def _console(self, call: Call, reply: Reply) -> Reply:
        if not reply.ok:
            return reply
        text = base64.b64encode(self._fleet.console(call.parameters.get("InstanceId", "")))
        return reply.with_body(
            re.sub(rb"<output>[^<]*</output>", b"<output>" + text + b"</output>", reply.body)
        )

    def _modify(self, call: Call, environ: dict[str, Any]) -> Reply:
        """Moto knows the shutdown behaviour only in the older form of this call."""
        behavior = call.parameters.get("InstanceInitiatedShutdownBehavior.Value")
        if behavior is None:
            return self._moto_reply(environ)
        instance_id = call.parameters.get("InstanceId", "")
        if instance_id not in {record.id for record in cloud.records()}:
            message = f"The instance ID '{instance_id}' does not exist"
            return refusal_reply("ec2", Refusal(code="InvalidInstanceID.NotFound", message=message))
        cloud.set_behavior(instance_id, behavior)
        body = b"<ModifyInstanceAttributeResponse><return>true</return></ModifyInstanceAttributeResponse>"
        return Reply(headers=[("Content-Type", "text/xml")], body=body)
