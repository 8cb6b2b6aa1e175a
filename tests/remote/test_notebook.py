"""Which Jupyter runs on the instance, on which port, and where it is found."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest
from support.ports import free_port
from support.project import CommandResult

from ec2tasks.remote.notebook import Notebook, notebook_command, read_notebook
from ec2tasks.remote.protocol import ProtocolError, bash_argv, read_message

TOKEN = "0123456789abcdef" * 3  # made up
JOB = "20261101-120000-0001"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home of an instance with a job's folder; its folders of programs are beside that."""
    (tmp_path / ".ec2tasks" / "runs" / JOB).mkdir(parents=True)
    return tmp_path


def add(home: Path, *names: str) -> None:
    """Programs that say their name and their arguments."""
    for name in names:
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('#!/bin/sh\necho "${0##*/tmp}" "$@"\n')
        path.chmod(0o755)


def launched(
    home: Path, *folders: str, port: int | None = None, environment: str = "", everyone: bool = False
) -> CommandResult:
    """How the command ends, with only these folders and the system's to find programs in."""
    text = notebook_command(port or free_port(), "http://127.0.0.1:9999/", everyone=everyone)
    done = subprocess.run(
        ["/bin/bash", "-c", text],
        env={
            "PATH": ":".join([*(f"{home / one}" for one in folders), "/usr/bin", "/bin"]),
            "HOME": str(home),
            "VIRTUAL_ENV": environment and str(home / environment),
            "EC2TASKS_RUN": JOB,
            "JUPYTER_TOKEN": TOKEN,
        },
        cwd=home,
        capture_output=True,
        text=True,
    )
    return CommandResult(code=done.returncode, out=done.stdout, err=done.stderr)


@pytest.mark.parametrize(
    ("names", "environment", "found"),
    [
        (["env/bin/jupyter-notebook", "env/bin/jupyter-lab"], "env", "env/bin/jupyter-lab"),
        (["env/bin/jupyter-notebook", "own/jupyter-lab"], "env", "env/bin/jupyter-notebook"),
        (["own/jupyter-lab"], "", "own/jupyter-lab"),
    ],
)
def test_the_environment_s_jupyter_comes_first(
    names: list[str], environment: str, found: str, home: Path
) -> None:
    add(home, *names)
    said = launched(home, "env/bin", "own", environment=environment)
    assert said.code == 0, said.err
    assert said.out.split()[0].endswith(found)


def test_how_jupyter_is_started(home: Path) -> None:
    add(home, "bin/jupyter-lab")
    words = launched(home, "bin").out.split()
    assert {"--no-browser", "--ip=127.0.0.1", "--port-retries=0", "-y"} <= set(words)
    assert "--ServerApp.custom_display_url=http://127.0.0.1:9999/" in words
    assert not any("allow_remote_access" in word for word in words)
    assert "--ServerApp.allow_remote_access=True" in launched(home, "bin", everyone=True).out.split()
    assert TOKEN not in " ".join(words)


def test_a_port_that_is_taken_there_moves_on_and_is_said(home: Path) -> None:
    add(home, "bin/jupyter-lab")
    with socket.create_server(("127.0.0.1", free_port())) as busy:
        port = busy.getsockname()[1]
        said = launched(home, "bin", port=port)
    assert f"--port={port + 1}" in said.out.split()
    assert f"port {port} is taken on the instance: Jupyter is on port {port + 1} there" in said.err
    place = home / ".ec2tasks" / "runs" / JOB / "notebook"
    assert place.read_text() == f"{port + 1}\n{TOKEN}\n"
    assert place.stat().st_mode & 0o077 == 0


# What is put beside an environment without one


UV = """#!/bin/bash
# As much of uv as is asked for: an environment that is this machine's Python, with a Jupyter.
case $1 in
venv) mkdir -p "${@: -1}/bin" && ln -s "$(command -v python3)" "${@: -1}/bin/python" ;;
*)
    [ ! -e "$HOME/no-network" ] || { echo 'no network' >&2; exit 1; }
    echo installed >>"$HOME/uv.log"
    jupyter=${5%python}jupyter-lab
    printf '#!/bin/sh\\necho "$JUPYTER_PATH"\\n' >"$jupyter" && chmod +x "$jupyter"
    ;;
esac
"""


def give_uv(home: Path) -> None:
    add(home, "uv/uv")
    (home / "uv" / "uv").write_text(UV)


def test_one_is_put_beside_the_environment_once_with_its_python_as_the_kernel(home: Path) -> None:
    give_uv(home)
    (home / "env" / "bin").mkdir(parents=True)
    (home / "env" / "bin" / "python3").symlink_to("/usr/bin/python3")
    said = [launched(home, "uv", "env/bin", environment="env") for _ in range(2)]
    assert [one.code for one in said] == [0, 0], said[0].err
    assert f"no Jupyter in {home}/env on the instance: installing JupyterLab" in said[0].err
    assert "installing" not in said[1].err
    assert (home / "uv.log").read_text() == "installed\n"
    assert [path.name for path in (home / "env" / "bin").iterdir()] == ["python3"]
    spec = json.loads((Path(said[0].out.strip()) / "kernels" / "python3" / "kernel.json").read_text())
    assert spec["argv"][0] == f"{home}/env/bin/python3"
    assert spec["display_name"].endswith(f"({home.name})")
    # What a kernel takes comes behind what the environment has; nothing from the folder that it begins in.
    (home / "json.py").write_text("raise SystemExit('the wrong one')")
    code = spec["argv"][2].partition(";from ")[0].removeprefix("import sys; ")
    shown = f"import sys; {code}; import json; print(json.dumps(sys.path))"
    path = json.loads(subprocess.check_output([spec["argv"][0], "-c", shown], cwd=home, text=True))
    assert path[-1].startswith(f"{home}/.ec2tasks/jupyter/") or path[-1].endswith("-packages")
    assert "" not in path


@pytest.mark.parametrize("other", [False, True])
def test_where_none_can_be_installed_another_is_used_or_it_is_said(other: bool, home: Path) -> None:
    give_uv(home)
    (home / "no-network").touch()
    (home / "env" / "bin").mkdir(parents=True)
    if other:
        add(home, "own/jupyter-lab")
    said = launched(home, "uv", "own", environment="env")
    assert "no network" in said.err
    assert "JupyterLab could not be installed" in said.err
    if other:
        assert said.code == 0
        assert f"{home}/own/jupyter-lab is used instead" in said.err
    else:
        assert (said.code, said.out) == (127, "")
        assert "to install it by hand: ec2tasks run --leave 'pip install jupyterlab'" in said.err


# Where one that runs is


def ask(home: Path, **values: str) -> str:
    argv = bash_argv("notebook.sh", **values)
    environ = {**os.environ, "HOME": str(home)}
    return subprocess.run(argv, env=environ, capture_output=True, text=True, check=True).stdout


def test_the_newest_that_runs_is_found_and_no_other(home: Path) -> None:
    for job in ("20261101-1", "20261101-2", "20261101-3", "20261101-4"):
        folder = home / ".ec2tasks" / "runs" / job
        folder.mkdir()
        (folder / "alive").touch()
        if not job.endswith("4"):
            (folder / "notebook").write_text(f"888{job[-1]}\n{TOKEN}\n")
    assert ask(home) == ""
    running = [home / ".ec2tasks" / "runs" / f"20261101-{n}" / "alive" for n in (1, 2, 4)]
    held = [
        subprocess.Popen(["flock", str(path), "sh", "-c", "echo held; read x"], stdin=-1, stdout=-1)
        for path in running
    ]
    try:
        assert [one.stdout and one.stdout.readline() for one in held] == [b"held\n"] * 3
        message = read_message(ask(home).strip(), "notebook")
        assert message
        assert read_notebook(message) == Notebook(job_id="20261101-2", port=8882, token=TOKEN)
        assert " id=20261101-1 port=8881 " in ask(home, job="20261101-1")
        assert ask(home, job="20261101-3") == ask(home, job="20261101-4") == ""
    finally:
        for one in held:
            one.communicate(b"\n")


@pytest.mark.parametrize(
    "words", ["port=8888", f"port=0 token={TOKEN}", "port=8888 token=x", f"port=8888 token={TOKEN}a"]
)
def test_an_answer_that_is_none_is_an_error(words: str) -> None:
    message = read_message(f"notebook version=1 id=20261101-1 {words}", "notebook")
    assert message
    with pytest.raises(ProtocolError):
        read_notebook(message)
