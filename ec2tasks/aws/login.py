"""Whose credentials AWS is asked with: those of a profile, or what boto3 finds, resolved once for a call.

A role's temporary credentials are kept where the AWS CLI keeps its own, by the same names, so that neither
asks for an MFA code that the other has been given
(https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-role.html#cli-configure-role-cache).
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ec2tasks.aws import credential_errors
from ec2tasks.aws.credential_errors import CredentialsError, credentials_error
from ec2tasks.base import output
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.endpoint import Endpoint
from ec2tasks.base.waiting import waiting

if TYPE_CHECKING:
    import boto3

CLI_CACHE = Path("~/.aws/cli/cache")
SSO_CACHE = Path("~/.aws/sso/cache")
CODE_PATIENCE = 300.0  # seconds for an MFA code to be typed; a terminal where nobody is hangs no longer
# Sources whose credentials come anew only from the user: these end for good when they say.
# https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
ENDING = ("env",)


@dataclass(frozen=True, kw_only=True)
class Login:
    """The credentials of one call, shared by its regions; found when AWS is first asked.

    `profile` None: what boto3 finds by itself. `alone` holds off other calls on this machine while this one
    may ask for an MFA code, so that a parallel make asks once.
    """

    profile: str | None = None
    alone: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext
    # boto3 makes clients in one thread at a time; made, they serve several.
    # https://boto3.amazonaws.com/v1/documentation/api/latest/guide/clients.html#multithreading-or-multiprocessing-with-clients
    making: threading.RLock = field(default_factory=threading.RLock, repr=False)
    _held: dict[str, Any] = field(default_factory=dict, repr=False)

    def session(self, endpoint: Endpoint, region: str) -> boto3.Session:
        """The boto3 session with the endpoint's own credentials, else the user's; the first call makes it."""
        with self.making:
            if "core" not in self._held:
                with self.explained():
                    self._held["core"] = _core(endpoint, self.profile)
            if "session" not in self._held:
                with self.explained():
                    self._held["session"] = _session(self._held["core"], endpoint, region, self.name)
            session: boto3.Session = self._held["session"]
            return session

    def authorities(self, endpoint: Endpoint, region: str) -> str | None:
        """The file of the certificates that count for AWS, where a variable or ~/.aws/config names one."""
        self.session(endpoint, region)
        named: str | None = self._held["core"].get_config_variable("ca_bundle")
        return named

    def resolve(self, **_: object) -> None:
        """Have credentials that count now, asking for an MFA code where they take one. Before each request.

        Raises CredentialsError.
        """
        with self.explained():
            credentials = self._credentials()
            if credentials is None and "login_session" in self._section:
                raise credential_errors.no_library(self._of_profile)  # an older boto3 passes it over
            if credentials is None:
                raise credential_errors.no_credentials(self._of_profile)
            if getattr(credentials, "refresh_needed", bool)():
                with self.alone():
                    credentials.get_frozen_credentials()

    def _program_named(self) -> contextlib.AbstractContextManager[None]:
        """While inside, a program of the user's that is asked for credentials is waited for with a word."""
        program = self._section.get("credential_process")
        return waiting(f"the credentials of `{program}`") if program else contextlib.nullcontext()

    @property
    def ends(self) -> datetime | None:
        """When the credentials that are in use end, of those that come anew only from the user.

        None where they come anew by themselves, where their end is not known, and where none were needed.
        """
        credentials = self._credentials() if "session" in self._held else None
        known: datetime | None = getattr(credentials, "_expiry_time", None)
        method, section = getattr(credentials, "method", ""), self._section
        if known and method == "sso" and "sso_session" not in section:
            login = _sso_end(section.get("sso_start_url", ""))
            return max(known, login) if login else None
        with_code = method == "assume-role" and "mfa_serial" in section
        return known if method in ENDING or with_code else None

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """While inside, what keeps boto3 from credentials is a CredentialsError that names the profile.

        What a credential_process or a token's file does wrong, boto3 lets fly as it comes.
        """
        try:
            with self._program_named():
                yield
        except CredentialsError:
            raise
        except Exception as error:
            process = self._section.get("credential_process", "")
            failure = credentials_error(error, self.name, process)
            if failure is None and process and isinstance(error, OSError | ValueError):
                failure = credential_errors.process_error(str(error), self._of_profile, process)
            if failure is None and isinstance(error, OSError):
                what = f"the AWS credentials can't be read: {error}"
                failure = CredentialsError(what, hint=credential_errors.IN_CONFIG)
            if failure is None:
                raise
            raise failure from error

    def _credentials(self) -> Any:
        session: boto3.Session = self._held["session"]
        with self.making:
            return session.get_credentials()

    @property
    def name(self) -> str:
        """The profile in use; empty for the default one, as long as nobody has named it."""
        return self.profile or os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE") or ""

    @property
    def _of_profile(self) -> str:
        return f" of profile `{self.name}`" if self.name else ""

    @property
    def _section(self) -> dict[str, str]:
        """What ~/.aws/config and ~/.aws/credentials say of the profile in use."""
        try:
            config: Any = self._held["core"].full_config
        except Exception:  # noqa: BLE001  # none yet, or a broken file, which is told by whoever needs it
            config = {}
        section: dict[str, str] = config.get("profiles", {}).get(self.name or "default", {})
        return section


def _core(endpoint: Endpoint, profile: str | None) -> Any:
    import botocore.session

    # A profile that AWS_PROFILE names need not exist where the endpoint has its own credentials.
    no_profile = {"profile": (None, None, None, None)} if endpoint.is_own else None
    return botocore.session.Session(no_profile, profile=None if endpoint.is_own else profile)


def _session(core: Any, endpoint: Endpoint, region: str, profile: str) -> boto3.Session:
    import boto3

    if not endpoint.is_own:
        core.register_component("credential_provider", _resolver(core, region, profile))
    return boto3.Session(
        botocore_session=core,
        region_name=region,
        aws_access_key_id=endpoint.access_key,
        aws_secret_access_key=endpoint.secret_key,
    )


def _resolver(core: Any, region: str, profile: str) -> Any:
    """boto3's own chain of sources, with the AWS CLI's cache, and the terminal to ask for an MFA code on."""
    from botocore import credentials

    def ask_code(question: str) -> str:
        code = output.ask_text(question.strip(), patience=CODE_PATIENCE)
        if not code:
            raise credential_errors.no_code_error(profile)
        return code

    make: Any = credentials.create_credential_resolver
    chain = make(core, cache=SharedCache(), region_name=region)
    # boto3 lets nobody choose its prompter; its own reads stdin where there is no terminal.
    chain.get_provider("assume-role")._prompter = ask_code
    return chain


def _sso_end(start_url: str) -> datetime | None:
    """When an SSO login of the older kind ends, which nothing renews; None where there is none."""
    from botocore import utils

    tokens = utils.JSONFileCache(os.fspath(SSO_CACHE.expanduser()))
    try:
        token = utils.SSOTokenLoader(tokens)(start_url)
        return None if "refreshToken" in token else utils.parse_timestamp(token["expiresAt"])
    except Exception:  # noqa: BLE001  # what it holds is another program's to keep; who logs in is told of it
        return None


class SharedCache:
    """The AWS CLI's cache of temporary credentials; where it can't be written, the next call asks again."""

    def __init__(self) -> None:
        from botocore.utils import JSONFileCache

        self._files = JSONFileCache(os.fspath(CLI_CACHE.expanduser()))

    def __contains__(self, key: str) -> bool:
        return key in self._files and isinstance(self._content(key), dict)

    def __getitem__(self, key: str) -> Any:
        return self._content(key)

    def __setitem__(self, key: str, value: Any) -> None:
        with contextlib.suppress(OSError):
            self._files[key] = value

    def _content(self, key: str) -> Any:
        with contextlib.suppress(KeyError, ValueError, OSError):
            return self._files[key]
        return None
