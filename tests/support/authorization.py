"""AWS's authorization in small: which rights a call needs, and whether a policy gives them.

moto knows actions alone. What AWS asks for besides (the resources of a call, the rights that it implies, the
conditions) is written down here, from
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html and
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

ACCOUNT = "123456789012"
Tags = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, kw_only=True)
class Demand:
    """One right that a call needs: an action on a resource, in the circumstances of the call."""

    action: str
    resource: str = "*"
    context: Mapping[str, Any] = field(default_factory=dict)


def allowing(document: Mapping[str, Any], demand: Demand) -> list[str]:
    """The statements of a policy that allow it, by Sid; the policies here have nothing but Allow."""
    return [one["Sid"] for one in document["Statement"] if _allows(one, demand)]


def _allows(statement: Mapping[str, Any], demand: Demand) -> bool:
    assert statement["Effect"] == "Allow"
    return (
        any(_like(pattern, demand.action) for pattern in statement["Action"])
        and any(_like(pattern, demand.resource) for pattern in statement["Resource"])
        and all(
            _holds(operator, key, wanted, demand.context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _like(pattern: str, text: str) -> bool:
    parts = (".*" if char == "*" else "." if char == "?" else re.escape(char) for char in pattern)
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


def _holds(operator: str, key: str, wanted: str | list[str], context: Mapping[str, Any]) -> bool:
    values = [wanted] if isinstance(wanted, str) else wanted
    values = [one.replace("${aws:username}", context.get("aws:username", "nobody")) for one in values]
    found = context.get(key)
    if operator == "Null":
        return (found is None) == (values == ["true"])
    if operator == "ForAllValues:StringEquals":
        return all(one in values for one in found or [])
    if operator in ("StringEquals", "Bool"):
        return found in values
    assert operator == "StringLike", operator
    return found is not None and any(_like(one, found) for one in values)


def denial(operation: str, demand: Demand) -> ClientError:
    """AWS's refusal in AWS's words.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
    """
    where = "" if demand.resource == "*" else f" on resource: {demand.resource}"
    said = (
        f"User: arn:aws:iam::{ACCOUNT}:user/worker is not authorized to perform: {demand.action}{where}"
        f" because no identity-based policy allows the {demand.action} action"
    )
    if demand.action.startswith("ec2:") or operation == "RunInstances":
        encoded = f"Encoded authorization failure message: {'x' * 400}"
        said = f"You are not authorized to perform this operation. {said}. {encoded}"
        return ClientError({"Error": {"Code": "UnauthorizedOperation", "Message": said}}, operation)
    code = "AccessDenied" if demand.action.startswith("iam:") else "AccessDeniedException"
    return ClientError({"Error": {"Code": code, "Message": said}}, operation)


def demands(service: str, operation: str, request: Mapping[str, Any], tags: Tags) -> list[Demand]:
    """The rights that a call needs; `tags` are those of what exists, by id."""
    if (service, operation) == ("sts", "GetCallerIdentity"):
        return []  # it takes no right
    if operation.startswith("Describe"):
        return [Demand(action=f"{service}:{operation}")]
    return list(_DEMANDS[f"{service}:{operation}"](request, tags))


def _arn(kind: str, name: str = "*") -> str:
    account = "" if kind == "image" else ACCOUNT
    return f"arn:aws:ec2:eu-central-1:{account}:{kind}/{name}"


def _request_tags(pairs: list[dict[str, str]]) -> dict[str, Any]:
    named = {f"aws:RequestTag/{one['Key']}": one["Value"] for one in pairs}
    return {**named, "aws:TagKeys": [one["Key"] for one in pairs]} if pairs else {}


def _resource_tags(tags: Tags, name: str) -> dict[str, str]:
    return {f"aws:ResourceTag/{key}": value for key, value in tags.get(name, {}).items()}


def _tagging(request: Mapping[str, Any], creating: str) -> dict[str, dict[str, Any]]:
    """What tags the request gives to each kind of what it makes."""
    specifications = request.get("TagSpecifications", [])
    return {
        one["ResourceType"]: {**_request_tags(one["Tags"]), "ec2:CreateAction": creating}
        for one in specifications
    }


def _run(request: Mapping[str, Any], tags: Tags) -> Iterator[Demand]:
    action, tagging = "ec2:RunInstances", _tagging(request, "RunInstances")
    spot = "InstanceMarketOptions" in request
    of_instance = {
        "ec2:MetadataHttpTokens": request.get("MetadataOptions", {}).get("HttpTokens", "optional"),
        "ec2:InstanceMarketType": "spot" if spot else "on-demand",
        "ec2:InstanceType": request.get("InstanceType", ""),
        "aws:RequestedRegion": "eu-central-1",
    }
    for kind in ("instance", "volume", "network-interface"):
        given = {key: value for key, value in tagging.get(kind, {}).items() if key.startswith("aws:")}
        context = {**given, **(of_instance if kind == "instance" else {})}
        yield Demand(action=action, resource=_arn(kind), context=context)
    yield Demand(action=action, resource=_arn("image", request["ImageId"]), context={"ec2:Owner": "amazon"})
    yield Demand(action=action, resource=_arn("subnet", request["SubnetId"]))
    if "KeyName" in request:  # a dry run leaves out what is not there yet
        yield Demand(action=action, resource=_arn("key-pair", request["KeyName"]))
    for group in request.get("SecurityGroupIds", []):
        yield Demand(
            action=action, resource=_arn("security-group", group), context=_resource_tags(tags, group)
        )
    if spot:
        yield Demand(action=action, resource=_arn("spot-instances-request"))
    for kind, context in tagging.items():
        yield Demand(action="ec2:CreateTags", resource=_arn(kind), context=context)
    if "IamInstanceProfile" in request:
        role = f"arn:aws:iam::{ACCOUNT}:role/{request['IamInstanceProfile']['Name']}"
        yield Demand(
            action="iam:PassRole", resource=role, context={"iam:PassedToService": "ec2.amazonaws.com"}
        )


def _on_instances(action: str, ids: list[str], tags: Tags) -> Iterator[Demand]:
    for name in ids:
        yield Demand(action=action, resource=_arn("instance", name), context=_resource_tags(tags, name))


def _tag(request: Mapping[str, Any], tags: Tags) -> Iterator[Demand]:
    given = _request_tags(request["Tags"])
    for name in request["Resources"]:
        kind = {"i": "instance", "sg": "security-group", "vol": "volume"}[name.split("-")[0]]
        context = {**given, **_resource_tags(tags, name)}
        yield Demand(action="ec2:CreateTags", resource=_arn(kind, name), context=context)


def _make_group(request: Mapping[str, Any], _tags: Tags) -> Iterator[Demand]:
    action, tagging = "ec2:CreateSecurityGroup", _tagging(request, "CreateSecurityGroup")
    context = tagging.get("security-group", {})
    given = {key: value for key, value in context.items() if key.startswith("aws:")}
    yield Demand(action=action, resource=_arn("security-group"), context=given)
    yield Demand(action=action, resource=_arn("vpc", request["VpcId"]))
    if context:
        yield Demand(action="ec2:CreateTags", resource=_arn("security-group"), context=context)


def _on_group(action: str, name: str, tags: Tags) -> Iterator[Demand]:
    yield Demand(action=action, resource=_arn("security-group", name), context=_resource_tags(tags, name))


def _parameters(request: Mapping[str, Any], _tags: Tags) -> Iterator[Demand]:
    # AWS writes this ARN with and without the account, and the path as it was asked for.
    for account in ("", ACCOUNT):
        resource = f"arn:aws:ssm:eu-central-1:{account}:parameter{request['Path']}"
        yield Demand(action="ssm:GetParametersByPath", resource=resource)


def _profile(request: Mapping[str, Any], _tags: Tags) -> Iterator[Demand]:
    resource = f"arn:aws:iam::{ACCOUNT}:instance-profile/{request['InstanceProfileName']}"
    yield Demand(action="iam:GetInstanceProfile", resource=resource)


def _import_key(request: Mapping[str, Any], _tags: Tags) -> Iterator[Demand]:
    yield Demand(action="ec2:ImportKeyPair", resource=_arn("key-pair", request["KeyName"]))


_DEMANDS: dict[str, Any] = {
    "ec2:RunInstances": _run,
    "ec2:CreateTags": _tag,
    "ec2:CreateSecurityGroup": _make_group,
    "ec2:ImportKeyPair": _import_key,
    "ssm:GetParametersByPath": _parameters,
    "iam:GetInstanceProfile": _profile,
    "sts:GetCallerIdentity": lambda _request, _tags: [],
    "service-quotas:GetServiceQuota": lambda request, _tags: [
        Demand(
            action="servicequotas:GetServiceQuota",
            resource=f"arn:aws:servicequotas:eu-central-1:{ACCOUNT}:ec2/{request['QuotaCode']}",
        )
    ],
    "pricing:GetProducts": lambda _request, _tags: [Demand(action="pricing:GetProducts")],
    "ec2:DeleteVolume": lambda request, tags: [
        Demand(
            action="ec2:DeleteVolume",
            resource=_arn("volume", request["VolumeId"]),
            context=_resource_tags(tags, request["VolumeId"]),
        )
    ],
    "ec2:GetConsoleOutput": lambda request, tags: _on_instances(
        "ec2:GetConsoleOutput", [request["InstanceId"]], tags
    ),
    **{
        action: lambda request, tags, action=action: _on_instances(action, request["InstanceIds"], tags)
        for action in ("ec2:StartInstances", "ec2:StopInstances", "ec2:TerminateInstances")
    },
    **{
        action: lambda request, tags, action=action: _on_group(action, request["GroupId"], tags)
        for action in ("ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress")
    },
}
