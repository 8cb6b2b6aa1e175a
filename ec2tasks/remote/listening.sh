# What listens on the instance for TCP connections: `listening.sh FIELDS…` tells it, and session.sh, before which this
# stands, what of its job begins to.
# shellcheck disable=SC2154  # protocol.sh stands before it

# Lines `PORT INODE here|all`, from the kernel's own tables: `all` may reach it, or only the instance itself.
# https://www.kernel.org/doc/html/latest/networking/proc_net_tcp.html
listeners() {
    local place inode reach _
    grep -hs ' 0A ' /proc/net/tcp /proc/net/tcp6 | while read -r _ place _ _ _ _ _ _ _ inode _; do
        reach=all
        case $place in 0100007F:* | 00000000000000000000000001000000:*) reach=here ;; esac
        printf '%s %s %s\n' "$((16#${place##*:}))" "$inode" "$reach"
    done
}

# `owner INODE`: the process that has this socket, as far as it is this user's.
owner() {
    local path
    path=$(find /proc/[0-9]*/fd -lname "socket:\[$1\]" -print -quit 2>/dev/null)
    path=${path#/proc/}
    printf '%s' "${path%%/*}"
}

# `job_of PROCESS`: the job that started it, by what it has of its environment.
job_of() {
    local word
    while IFS= read -r -d '' word; do
        case $word in EC2TASKS_RUN=*) printf '%s' "${word#*=}" && return ;; esac
    done 2>/dev/null <"/proc/$1/environ"
}

program_of() {
    local name=''
    IFS= read -r name 2>/dev/null <"/proc/$1/comm"
    printf '%s' "$name"
}

# A line `listening` for each: port=, reach=, and of this user's processes program= and job=.
tell_listeners() {
    local port inode reach process
    while read -r port inode reach; do
        process=$(owner "$inode")
        say listening port "$port" reach "$reach" program "${process:+$(program_of "$process")}" \
            job "${process:+$(job_of "$process")}"
    done < <(listeners | sort -n | head -n 200)
}

# `tell_servers JOB`: a line `serves` with port= and program= for each port on which this job has begun to listen since
# the last call. Those that the kernel chose are for its own programs; the one of a notebook is brought to its client anyway.
known_servers=' '
tell_servers() {
    local port inode process first own=''
    IFS=$' \t' read -r first _ </proc/sys/net/ipv4/ip_local_port_range
    read -r own <"$HOME/.ec2tasks/runs/$1/notebook"
    while read -r port inode _; do
        case $known_servers in *" $inode "*) continue ;; esac
        known_servers+="$inode "
        if [ "$port" -ge "${first:-32768}" ] || [ "$port" = "$own" ]; then continue; fi
        process=$(owner "$inode")
        if [ -n "$process" ] && [ "$(job_of "$process")" = "$1" ]; then
            say serves port "$port" program "$(program_of "$process")"
        fi
    done < <(listeners)
} 2>/dev/null

# By itself, all of them.
if [ "${0##*/}" = listening.sh ]; then tell_listeners; fi
