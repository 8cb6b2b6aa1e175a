# The command of a notebook: Jupyter in the project's folder, with the packages of the environment that job.sh has
# activated. Before it stand first_port, site (the page's address here) and, as everyone, whether others may reach it.
# shellcheck disable=SC2154
#
# The environment's own Jupyter, where it has one. Else one of its own beside it, which nothing of the project sees; its
# kernel is the environment's Python all the same, with what a kernel takes behind the environment's packages.
job_dir=$HOME/.ec2tasks/runs/$EC2TASKS_RUN
environment=${VIRTUAL_ENV:-${CONDA_PREFIX:-}}

say() { printf 'ec2tasks: %s\n' "$@" >&2; }

# `look FOLDER…`: the first with a Jupyter, JupyterLab where it has both.
look() {
    local folder kind
    for folder in "$@"; do
        for kind in lab notebook; do
            if [ -x "$folder/jupyter-$kind" ]; then
                jupyter=$folder/jupyter-$kind
                return 0
            fi
        done
    done
    return 1
}

# One for each version of Python, so that a kernel can take its packages. Whoever comes second waits.
have_tool() {
    local version
    python=$(type -P python3 || type -P python) || return 1
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') || return 1
    tool=$HOME/.ec2tasks/jupyter/$version
    mkdir -p "${tool%/*}"
    (
        flock 9
        [ -e "$tool/ready" ] || { make_tool >"$tool.log" 2>&1 && : >"$tool/ready"; }
    ) 9>>"$tool.lock"
}

make_tool() {
    say "no Jupyter${environment:+ in $environment} on the instance: installing JupyterLab in ~/.ec2tasks/jupyter, once" 2>&3
    rm -rf "$tool"
    if type -P uv >/dev/null; then
        uv venv --quiet --python "$python" "$tool" && uv pip install --quiet --python "$tool/bin/python" jupyterlab
    else
        "$python" -m venv "$tool" && "$tool/bin/pip" install --quiet --disable-pip-version-check jupyterlab
    fi
} 9>&-

# The kernel that Jupyter's own name stands for. https://jupyter-client.readthedocs.io/en/latest/kernels.html
write_kernel() {
    local kernel=$job_dir/jupyter/kernels/python3
    mkdir -p "$kernel" && "$tool/bin/python" - "$python" "$kernel/kernel.json" "${PWD##*/}" <<'END'
import json, sys, sysconfig

python, path, name = sys.argv[1:]
start = (
    # Not the folder of the notebook, where a random.py may lie; then what the environment lacks.
    "import sys; sys.path[:] = [*filter(None, sys.path), {!r}];"
    "from ipykernel.kernelapp import launch_new_instance; launch_new_instance()"
).format(sysconfig.get_path("purelib"))
title = "Python %d.%d" % sys.version_info[:2] + (name and " (%s)" % name)
spec = {"argv": [python, "-c", start, "-f", "{connection_file}"], "display_name": title, "language": "python"}
with open(path, "w") as file:
    json.dump(spec, file)
END
    export JUPYTER_PATH=$job_dir/jupyter${JUPYTER_PATH:+:$JUPYTER_PATH}
}

# What stands in the way, and what is there in its place, if anything.
without_tool() {
    local folders
    tail -n 5 "$tool.log" >&2
    say 'JupyterLab could not be installed'
    IFS=: read -r -a folders <<<"$PATH"
    if look "${folders[@]}"; then
        say "$jupyter is used instead: it does not see the packages of ${environment:-the project}"
        return 0
    fi
    say "to install it by hand: ec2tasks run --leave 'pip install jupyterlab'"
    return 1
}

choose() {
    local folders
    if [ -n "$environment" ]; then
        ! look "$environment/bin" || return 0
    else
        IFS=: read -r -a folders <<<"$PATH"
        ! look "${folders[@]}" || return 0
    fi
    if have_tool; then
        look "$tool/bin" && write_kernel
    else
        without_tool
    fi
}

is_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

choose_port() {
    port=$first_port
    while is_taken "$port"; do
        [ "$port" -lt $((first_port + 100)) ] || return 1
        port=$((port + 1))
    done
    [ "$port" = "$first_port" ] || say "port $first_port is taken on the instance: Jupyter is on port $port there"
}

choose 3>&2 || exit 127
choose_port || {
    say "no port from $first_port to $port is free on the instance"
    exit 1
}
# By this, who comes later finds it; the folder is for this user alone.
(umask 077 && printf '%s\n' "$port" "$JUPYTER_TOKEN" >"$job_dir/notebook")
# What JupyterLab, Notebook 7 and the classic Notebook 6 have in common. `-y`: one Ctrl-C is enough, as for any other run.
# The address: else its port there would show as if it were the one here.
exec "$jupyter" --no-browser --ip=127.0.0.1 --port="$port" --port-retries=0 -y --ServerApp.custom_display_url="$site" \
    ${everyone:+--ServerApp.allow_remote_access=True}
