from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from ec2tasks.remote.cloud_init import NO_RESULT, BootStatus, read_boot_status, read_errors
from ec2tasks.remote.protocol import Message, read_message

# As cloud-init 24 writes it.
DONE = '{"v1": {"datasource": "DataSourceEc2Local", "errors": []}}'
FAILED = '{"v1": {"datasource": "DataSourceEc2Local", "errors": ["(\'scripts_user\', RuntimeError(\'x\'))"]}}'

json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["v1", "errors", "x"]), inner),
)


def message(**fields: str) -> Message:
    return Message(verb="boot", fields={"version": "1", **fields})


def test_the_errors_are_cloud_inits_own() -> None:
    assert read_errors(DONE) == ()
    assert read_errors(FAILED) == ("('scripts_user', RuntimeError('x'))",)


def test_a_boot_that_goes_on_has_no_errors_yet() -> None:
    assert read_boot_status(message(state="running", seconds="7")) == BootStatus(running=True, seconds=7)
    assert read_boot_status(message(state="none", seconds="7")) == BootStatus(running=False, seconds=7)
    assert read_boot_status(message(state="ended", seconds="7", result=DONE)).errors == ()


@given(result=st.one_of(st.text(), json_values.map(json.dumps)), last=st.text())
def test_whatever_the_instance_says_is_read_line_by_line(result: str, last: str) -> None:
    status = read_boot_status(message(state="ended", seconds="1", result=result, last=last))
    assert status.last_lines == tuple(last.splitlines())
    assert all(isinstance(text, str) for text in status.errors)
    assert status.errors or json.loads(result)["v1"]["errors"] == []


def test_what_is_cut_short_is_no_good_end() -> None:
    assert read_errors(DONE[:-1]) == (NO_RESULT,)
    assert read_errors("[" * 100_000) == (NO_RESULT,)
    assert read_message("cloud-init is ready", "boot") is None
