"""The fields that Python and the scripts on the instance exchange, through a real bash."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.instance_scripts import skip_without_linux

from ec2tasks.base.scripts import remote_script
from ec2tasks.remote.protocol import (
    Message,
    ProtocolError,
    message_line,
    read_job_id,
    read_message,
    write_fields,
)
from ec2tasks.remote.session import read_departure

# What a shell's variable can hold.
TEXT = st.text(st.characters(min_codepoint=1, exclude_categories=["Cs"]), max_size=60)
TRICKY = st.sampled_from(
    ["base64:", "base64:aGk=", "a b", "a\n\n", "*", "$(id)", "\\003\\012", "a=b", "-n", "'"]
)
VALUES = st.dictionaries(st.sampled_from(["a", "b", "c_1"]), TEXT | TRICKY)
ECHO = """
say answer a "${fields[a]-}" b "${fields[b]-}" c_1 "${fields[c_1]-}"
"""


def in_bash(script: str, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    skip_without_linux()
    text = f"set -u\n{remote_script('protocol.sh')}\n{script}"
    return subprocess.run(["bash", "-c", text, "script", *arguments], input=stdin, capture_output=True)


def answered(done: subprocess.CompletedProcess[bytes]) -> Message:
    message = read_message(done.stdout.decode().rstrip("\n"), "answer")
    assert message, done.stderr
    return message


@settings(max_examples=40)
@given(VALUES)
def test_what_is_said_in_arguments_comes_back_as_it_was(values: dict[str, str]) -> None:
    message = answered(in_bash(f'read_fields "$@"\n{ECHO}', *write_fields(**values)))
    assert {name: message.get(name, str, "") for name in values} == values


@settings(max_examples=40)
@given(VALUES)
def test_what_is_said_in_a_line_comes_back_as_it_was(values: dict[str, str]) -> None:
    script = f'IFS= read -r line; read_line "$line"\n[ "$verb" = told ] || exit\n{ECHO}'
    message = answered(in_bash(script, stdin=message_line("told", **values)))
    assert {name: message.get(name, str, "") for name in values} == values


def test_the_script_ignores_fields_it_does_not_know_and_words_that_are_none() -> None:
    words = ["version=99", "new_one=x", "B=x", "=x", "a[$(id >&2)]=x", "a=1", "b=base64:%", "word"]
    done = in_bash(f'read_fields "$@"\n{ECHO}', *words)
    assert answered(done).fields == {"version": "1", "a": "1"}
    assert b"uid" not in done.stderr


def test_the_script_names_the_field_that_it_needs() -> None:
    done = in_bash('read_fields "$@"; need a b; say answer', "version=7", "a=1", "b=")
    assert (done.returncode, done.stdout) == (125, b"")
    assert done.stderr.decode().strip() == (
        "ec2tasks here does not say `b` (version 7, the script 1); `pip install --upgrade ec2tasks`"
    )


def test_an_answer_of_another_version_is_read_as_far_as_it_goes() -> None:
    message = read_message("job version=2 id=x size=3 colour=blue =x word", "job")
    assert message
    assert (message.need("id", str), message.need("size", int), message.get("code", int, None)) == (
        "x",
        3,
        None,
    )


@pytest.mark.parametrize("word", ["code", "id"])
def test_an_answer_without_what_is_needed_is_an_error_that_names_it(word: str) -> None:
    message = Message(verb="job", fields={"version": "2", "code": "x"})
    with pytest.raises(ProtocolError, match=f"answer `job` .*`{word}.*version 2, ec2tasks here 1") as error:
        message.need(word, int)
    assert "pip install" in str(error.value.hint)


@given(st.text())
def test_what_a_login_prints_is_no_answer(text: str) -> None:
    assert read_message(text, "job") is None
    assert read_message(f"job {text}", "others") is None
    assert read_message("job is done", "job") is None


def test_flags_and_numbers_are_written_as_the_scripts_read_them() -> None:
    assert write_fields(a=True, b=False, c=None, d="", e=0, f="x y") == ["a=yes", "e=0", "f=base64:eCB5"]


@given(st.text())
def test_an_id_that_the_instance_says_can_name_a_file_here_and_nothing_else(text: str) -> None:
    try:
        assert read_job_id(text) == text
    except ValueError:
        return
    assert not {"/", ".", "\0", "\n"} & set(text)
    assert Path(f"{text}.out").name == f"{text}.out"


@pytest.mark.parametrize(
    "text", ["../../.ssh/authorized_keys", "/etc/x", "", ".", "a/b", "-x", "a\n", "x" * 65]
)
def test_an_id_that_leads_elsewhere_is_refused(text: str) -> None:
    message = Message(verb="last", fields={"untold": f"20261129-180000-abc123,{text}"})
    with pytest.raises(ProtocolError, match="says `"):
        read_departure(message)
