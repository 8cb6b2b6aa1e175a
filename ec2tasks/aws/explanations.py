"""What to type about each of AWS's error codes: one ladder, as data, from the special to the general.

The codes and what they mean: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html,
https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html
"""

from __future__ import annotations

import re

from ec2tasks.base.dataclass import dataclass

# The regions that no account needs to switch on; AWS adds none to them any more.
# https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html
ALWAYS_ON = re.compile(
    r"us-(east|west)-[12]|eu-west-[123]|eu-(central|north)-1|ca-central-1|sa-east-1"
    r"|ap-south-1|ap-southeast-[12]|ap-northeast-[123]|(cn|us-gov|us-iso\w*|eu-isoe|eusc)-.*"
)
CONSOLE = "https://console.aws.amazon.com"
CONSOLES = {
    "cn-": "https://console.amazonaws.cn",
    "us-gov-": "https://console.amazonaws-us-gov.com",
    "eusc-": "https://console.amazonaws-eusc.eu",
}
QUOTAS = f"{CONSOLE}/servicequotas/home/services"
CHECK = "check the credentials: `aws sts get-caller-identity`"
LOGIN = "log in again: `aws sso login`, `aws login`, or new keys where yours came with an end"
AGAIN = "AWS is not available right now; try again in a minute"
THROTTLED = "AWS throttles the account; try again in a minute"
SETTINGS = "`ec2tasks config` shows what was asked for, and where it came from"
ENABLE = "`aws account enable-region --region-name {region}`"
SWITCH_ON = f"switch {{region}} on for the account: {ENABLE}, or another --region"


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What to type about the errors whose code begins so, and whose text matches `words`.

    `opt_in`: only where the region is one that an account must switch on first. A hint's `{region}` becomes
    the region that was asked.
    """

    code: str
    hint: str
    words: str = ""
    opt_in: bool = False

    def applies_to(self, code: str, text: str, region: str) -> bool:
        """Whether it is about this error."""
        asked = not self.opt_in or bool(region and not ALWAYS_ON.fullmatch(region))
        return asked and code.startswith(self.code) and bool(re.search(self.words, text, re.IGNORECASE))


def explanation(code: str, text: str, region: str = "") -> Explanation:
    """The first explanation of the ladder that is about this error; its last is about any."""
    return next(rung for rung in LADDER if rung.applies_to(code, text, region))


def hint_for(code: str, text: str = "", region: str = "") -> str:
    """What to type about this error."""
    hint = explanation(code, text, region).hint.replace("{region}", region or "REGION")
    return hint.replace(CONSOLE, console_of(region))


def console_of(region: str) -> str:
    """The address of AWS's console for a region: the parts of AWS that share no account have their own."""
    return next((site for start, site in CONSOLES.items() if region.startswith(start)), CONSOLE)


def _rung(code: str, hint: str, words: str = "", *, opt_in: bool = False) -> Explanation:
    return Explanation(code=code, hint=hint, words=words, opt_in=opt_in)


ACCOUNT = (
    _rung(
        "AuthFailure.ServiceLinkedRoleCreationNotPermitted",
        "your administrator makes spot's role once for the account: `ec2tasks admin.setup`, or `aws iam"
        " create-service-linked-role --aws-service-name spot.amazonaws.com`; or launch without --spot",
    ),
    _rung("AuthFailure", SWITCH_ON, opt_in=True),
    _rung("AuthFailure", f"{CHECK}; and this machine's clock: `date -u`"),
    _rung("InvalidClientTokenId", f"{SWITCH_ON}; if it is on, {CHECK}", opt_in=True),
    _rung("UnrecognizedClientException", f"{SWITCH_ON}; if it is on, {CHECK}", opt_in=True),
    _rung("InvalidClientTokenId", CHECK),
    _rung("UnrecognizedClientException", CHECK),
    _rung("MissingAuthenticationToken", CHECK),
    _rung("IncompleteSignature", "check the credentials: `aws configure`"),
    _rung("SignatureDoesNotMatch", "set this machine's clock", "signature (expired|not yet current)"),
    _rung("SignatureDoesNotMatch", "check the credentials: `aws configure`"),
    _rung("RequestInTheFuture", "set this machine's clock"),
    _rung("RequestTimeTooSkewed", "set this machine's clock"),
    _rung("ExpiredToken", LOGIN),
    _rung("RequestExpired", f"check this machine's clock: `date -u`; or {LOGIN}"),
    _rung(
        "OptInRequired",
        "accept the image's terms in AWS Marketplace, at the address above, or take another: --image pytorch",
        "marketplace|accept",
    ),
    _rung("OptInRequired", SWITCH_ON, opt_in=True),
    _rung(
        "OptInRequired",
        "finish the account's sign-up, payment method included: https://portal.aws.amazon.com/billing/signup",
    ),
    _rung(
        "PendingVerification",
        "AWS is still verifying the account, in minutes or up to 4 hours, and writes an e-mail when done; a"
        " region used before may work meanwhile: --region; after that, aws-verification@amazon.com",
    ),
    _rung(
        "Blocked",
        "AWS has blocked the account, so no other type or region will do: open a case of the kind `account"
        " verification`: https://console.aws.amazon.com/support/home#/case/create",
    ),
    _rung(
        "InvalidParameterCombination",
        "an account on the free plan launches only small types: upgrade it to the paid plan, which keeps its"
        " credits (https://console.aws.amazon.com/billing/home#/account), then ask for quota, of which a new"
        " account has none for GPUs: `aws service-quotas request-service-quota-increase --service-code ec2"
        " --quota-code L-DB2E81BA --desired-value 4 --region {region}`",
        "free.tier",
    ),
)
LIMITS = (
    _rung(
        "VcpuLimitExceeded",
        f"end an instance (`ec2tasks ls` shows yours), or ask AWS for a higher quota: {QUOTAS}/ec2/quotas",
    ),
    _rung("MaxSpotInstanceCountExceeded", "launch without --spot, or ask AWS for a higher quota"),
    _rung(
        "InstanceLimitExceeded",
        "end an instance (`ec2tasks ls` shows yours), or ask AWS for a higher quota",
    ),
    _rung(
        "VolumeLimitExceeded",
        "the account's disks are full in this region: delete some (`aws ec2 describe-volumes --filters"
        " Name=status,Values=available --region {region}` lists those on no instance), ask for a smaller"
        f" disk_gb, or for a higher quota: {QUOTAS}/ebs/quotas",
    ),
    _rung(
        "MaxIOPSLimitExceeded",
        "the account's disks have all the operations per second that its quota allows: delete some (`aws ec2"
        " describe-volumes --region {region}`), or ask for a higher quota: " + f"{QUOTAS}/ebs/quotas",
    ),
    _rung(
        "RulesPerSecurityGroupLimitExceeded",
        "remove old rules from the security group `ec2tasks-KEY_NAME`",
    ),
    _rung(
        "SecurityGroupLimitExceeded",
        f"delete a security group that is not used, or ask for a higher quota: {QUOTAS}/vpc/quotas",
    ),
    _rung("TagLimitExceeded", "fewer tags: `ec2tasks config` shows those asked for"),
    _rung("RequestLimitExceeded", THROTTLED),
    _rung("Throttl", THROTTLED),
    _rung("RequestThrottled", THROTTLED),
    _rung("EC2Throttled", THROTTLED),
    _rung("TooManyRequests", THROTTLED),
    _rung("SlowDown", THROTTLED),
)
CAPACITY = (
    _rung(
        "InsufficientInstanceCapacity",
        "--wait-capacity 2h asks again until it is granted; or another --type or --region",
    ),
    _rung("InsufficientHostCapacity", "another --type or --region"),
    _rung(
        "InsufficientReservedInstanceCapacity",
        "capacity_reservation: another one, or none; `aws ec2 describe-capacity-reservations` lists them",
    ),
    _rung(
        "ReservationCapacityExceeded",
        "capacity_reservation: another one, or none; `aws ec2 describe-capacity-reservations` lists them",
    ),
    _rung(
        "InvalidCapacityReservation",
        "`aws ec2 describe-capacity-reservations --region {region}` lists those of the region",
    ),
    _rung("InsufficientFreeAddressesInSubnet", "another subnet, or another zone's"),
    _rung("InsufficientAddressCapacity", "another --region"),
    _rung("SpotMaxPriceTooLow", "launch without --spot, or with --spot-fallback"),
    _rung(
        "Unsupported",
        "waiting does not help here: another --type, another zone (subnet: one there), or another --region",
    ),
)
REQUEST = (
    _rung(
        "InvalidParameterValue",
        "iam_instance_profile: one of `aws iam list-instance-profiles`; your administrator makes the usual"
        " ones by `ec2tasks admin.setup`",
        "iamInstanceProfile|instance profile",
    ),
    _rung(
        "InvalidParameter",
        "the image does not fit the type: --image pytorch or base fits each type there is by default",
        r"\bENA\b|Elastic Network Adapter|virtuali[sz]ation type|boot mode|UEFI|architecture",
    ),
    _rung("InvalidParameter", SETTINGS),
    _rung("MissingParameter", SETTINGS),
    _rung("MalformedPolicyDocument", "a mistake in ec2tasks: please report it with this line"),
    _rung("InvalidSubnet", "`aws ec2 describe-subnets --region {region}` lists those of the region"),
    _rung("InvalidGroup", "`aws ec2 describe-security-groups --region {region}` lists those of the region"),
    _rung("InvalidSecurityGroup", "`aws ec2 describe-security-groups --region {region}` lists them"),
    _rung("InvalidKeyPair", "`aws ec2 describe-key-pairs --region {region}` lists those of the region"),
    _rung("InvalidKey.Format", "EC2 takes ED25519 and RSA keys: -i FILE names one"),
    _rung("InvalidAMIID", "image: pytorch, base, or an id of `aws ec2 describe-images --region {region}`"),
    _rung("InvalidInstanceID", "`ec2tasks ls` lists yours"),
    _rung("IncorrectInstanceState", "`ec2tasks status` shows its state; try again once it has changed"),
    _rung("InvalidBlockDeviceMapping", "give a larger disk_gb, or none for the image's own size"),
    _rung(
        "InvalidUserData",
        "a shorter user_data: EC2 takes 16 KB, ec2tasks's own lines included; it can fetch the rest from S3",
    ),
    _rung("VPCIdNotSpecified", "`aws ec2 create-default-vpc`, or subnet: subnet-… in ec2.yaml"),
    _rung("DefaultVpcDoesNotExist", "`aws ec2 create-default-vpc`, or subnet: subnet-… in ec2.yaml"),
    _rung("DefaultSubnetDoesNotExist", "`aws ec2 create-default-subnet`, or subnet: subnet-… in ec2.yaml"),
    _rung("VolumeInUse", "it is on an instance again: `ec2tasks ls`"),
    _rung(
        "OperationNotPermitted",
        "it is protected: `aws ec2 modify-instance-attribute --no-disable-api-termination --instance-id ID`",
        "disableApiTermination|may not be terminated",
    ),
    _rung("OperationNotPermitted", "ask your administrator: the account does not allow it"),
    _rung("NoSuchEntity", "your administrator makes it: `ec2tasks admin.setup`"),
    _rung("LimitExceeded", f"ask for a higher quota: {QUOTAS}/iam/quotas"),
)
# Why an instance ended by itself: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_StateReason.html
ENDED = (
    _rung(
        "Client.InternalError",
        "most often the key of an encrypted disk, which you or EC2 may not use: ask your administrator for"
        " kms:CreateGrant and kms:Decrypt on the image's key, or --image pytorch",
    ),
    _rung("Client.VolumeLimitExceeded", f"ask for a higher quota of disks: {QUOTAS}/ebs/quotas"),
    _rung("Client.InvalidSnapshot", "the image's snapshot is gone: --image pytorch"),
    _rung("Client.", "`ec2tasks up` launches another"),
    _rung("Server.", "`ec2tasks up` launches another; another --type or --region where it ends again"),
)
BROKEN = (
    _rung("InternalError", "an error inside AWS; try again in a minute"),
    _rung("InternalFailure", "an error inside AWS; try again in a minute"),
    _rung("ServiceUnavailable", AGAIN),
    _rung("UnavailableHostRequirements", "another --type or --region"),
    _rung("Unavailable", AGAIN),
    _rung("5", "a server on the way to AWS, often a proxy, answers so; try again in a minute"),
)
ANY = _rung(
    "",
    f"{SETTINGS}; the code: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html",
)
LADDER = (*ACCOUNT, *LIMITS, *CAPACITY, *REQUEST, *ENDED, *BROKEN, ANY)
