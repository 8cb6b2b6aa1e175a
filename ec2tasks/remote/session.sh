# One client's session on the instance: `session.sh FIELDS…`, words as protocol.sh reads them.
# shellcheck disable=SC2154,SC2034  # protocol.sh, metadata.sh and listening.sh stand before it
#
# Holds a shared lock while the client is there, so that the last client out can tell that it is the last. The
# kernel frees it when this process ends: the client hung up, died, or said nothing for a minute.
#
#   job, folder             needed: the job's id, and the project's folder below the home
#   mode                    `work` (the default); `look`: the client changes nothing there; `watch`: nor is it
#                           waited for, as it holds no lock
#   final_state             what is to become of the instance after the last one out: this client asks for that
#   idle_stop, max_seconds, cost_seconds, stalled_stop  other limits for the guard; by default as they were
#   start                   tells one start of the instance from another
#   new=yes                 it was launched with a guard
#   spot=yes                AWS may take it back
#
# The client says `file name=NAME body=TEXT` for each file that the job needs, then `start`; from then on `alive`
# now and then, `fetching` when it begins to fetch everything, `pulling` and `pulled` around each fetch beside a
# command, `follows job=` where it is with another job than its own, and in the end `leave`, with fetched=yes where it
# has. It is told `joined`, with home=, used=yes where
# something of the project is there, guarded=yes, fetched=yes where all there had been fetched before, and
# environment=, the one that the job will take, as environment.sh tells it, and running=, the jobs that run there, a
# line each: its id, yes where some client sees it, and the first line of its command but for a shell; `notice` with reason=spot and time=
# where AWS takes the instance back, with reason=max_hours, max_cost or stalled_stop and seconds= where that ends
# it soon, with no reason where no longer; `stalled` with seconds= and minutes= long before, where its commands
# have done nothing for so many; `serves` with port= and program= once for each port on which its job begins to listen; and
# in the end
#   others        somebody else is there, or just a command: job=JOB_ID
#   last          nobody is; with
#     final_state=    what was asked for last, if anything
#     unfetched=yes   a command ended after this client began to fetch
#     elsewhere=NAME  another folder holds what nobody has fetched
#     left=NAME       what a command left working
#     untold=ID,ID…   commands whose end no client was there to see
set -u
read_fields "$@"
need job folder
job=${fields[job]} remote_dir=${fields[folder]} mode=${fields[mode]:-work} final_state=${fields[final_state]-}
declare -A limits=()
for name in idle_stop max_seconds cost_seconds stalled_stop; do limits[$name]=${fields[$name]-}; done
started=${fields[start]-} new=${fields[new]-} spot=${fields[spot]-}
# Other versions of ec2tasks, and the guard of an instance that was launched by one, know these names, too: they
# stay as they are.
home=$HOME/.ec2tasks
job_dir=$home/runs/$job
# A folder of the instance, and in it whether it was fetched since anyone could write there.
folder=$home/folders/${remote_dir//\//%}

used=$(find "$HOME/$remote_dir" -mindepth 1 -maxdepth 1 ! -name .ec2tasks -print -quit 2>/dev/null)
mkdir -p "$HOME/$remote_dir/.ec2tasks/incoming" || exit 1
umask 077
# A full disk keeps nobody out: it takes a session to fetch what has filled it.
mkdir -p "$job_dir" "$folder"
chmod 700 "$home" "$job_dir"
[ -d "$home" ] || exit 1
# Whether all that is in the folder had been fetched when this client came.
if [ -e "$folder/fetched" ]; then before=yes; else before=; fi
[ "$mode" != work ] || rm -f "$folder/fetched"

# A client that comes back after its connection broke is one client: the session that it lost may not know yet.
if read -r earlier 2>/dev/null <"$job_dir/session" && grep -qs session.sh "/proc/$earlier/cmdline"; then
    kill "$earlier"
fi
printf '%s\n' "$$" >"$job_dir/session"

exec 9>>"$home/sessions.lock" 7<"$home"

# Whether nobody else holds the lock. Who decides by that holds the folder's meanwhile: the guard looks too, and
# one look must not be taken by another for somebody.
alone() {
    flock --timeout 5 7
    flock --exclusive --nonblock 9
    local code=$?
    flock --unlock 7
    return $code
}

# Waits while a last client decides on the instance's end of life.
if alone; then
    # Nobody is here: an end that is left over was a client's that died, and no longer asked for.
    rm -f "$home/final_state"
fi
if [ "$mode" = watch ]; then flock --unlock 9; else flock --shared 9; fi
# The end asked for last is the one that counts; it is there for as long as someone is.
[ -z "$final_state" ] || printf '%s\n' "$final_state" >"$home/final_state"

! declare -F write_scripts >/dev/null || write_scripts || exit 1

# What else the client hands over for the job: never on a command line.
while IFS= read -r line; do
    read_line "$line"
    [ "$verb" = file ] || break
    need name
    printf '%s' "${fields[body]-}" >"$job_dir/${fields[name]}" || exit 1
done

limit() {
    [ -n "$2" ] || return 0
    grep -qsFx "$1 $2" "$home/limits" && return
    { grep -sv "^$1 " "$home/limits"; printf '%s %s\n' "$1" "$2"; } >"$home/limits.$job" &&
        mv -f "$home/limits.$job" "$home/limits"
}
for name in "${!limits[@]}"; do limit "$name" "${limits[$name]}"; done
limit reset "$started"

# Nothing is on this instance before its guard is: it is armed early in each boot, where there is one.
guarded() {
    local tries=0
    until [ -e /run/ec2tasks-guard/state ]; do
        [ -n "$new" ] || [ -e /var/lib/ec2tasks-guard/guard.sh ] || return 0
        [ $((tries += 1)) -le 450 ] || return 1
        sleep 0.2
    done
}
if guarded; then guard=yes; else guard=; fi
# Which environment the job will take, in a shell of its own: the job's words are none of this script's.
tell_environment() (
    # shellcheck disable=SC1091
    . "$job_dir/environment.sh" && . "$job_dir/job" && tell_choice
)
# A command that runs, and its client: the one that began it, or who follows it (follow.sh).
list_running() {
    local path first seen pid
    for path in "$home"/runs/*/; do
        path=${path%/}
        runs "$path" || continue
        seen=no first=
        if read -r pid 2>/dev/null <"$path/session" && grep -qs session.sh "/proc/$pid/cmdline"; then seen=yes; fi
        flock --exclusive --nonblock "$path/watched" true || seen=yes
        [ ! -e "$path/command" ] || read -r first <"$path/command"
        printf '%s %s %.200s\n' "${path##*/}" "$seen" "$first"
    done
}
runs() {
    [ -e "$1/started" ] && [ ! -s "$1/exit" ] && ! flock --shared --nonblock "$1/alive" true
}
environment=
[ ! -e "$job_dir/environment.sh" ] || environment=$(tell_environment)
say joined home "$HOME" used "${used:+yes}" guarded "$guard" fetched "$before" environment "$environment" \
    running "$(list_running)"

# Whether a command ended only after this client began to fetch.
came_later() {
    local path
    [ -e "$job_dir/fetching" ] || return 1
    for path in "$home"/runs/*/ended; do
        # Not `-nt`: two files of one tick of the kernel's clock are of the same age.
        if [ -e "$path" ] && ! [ "$path" -ot "$job_dir/fetching" ]; then return 0; fi
    done
    return 1
}

# Another folder that holds what nobody has fetched.
elsewhere() {
    local path
    for path in "$home"/folders/*/; do
        if [ -d "$path" ] && [ "$path" != "$folder/" ] && [ ! -e "$path/fetched" ]; then
            path=$(basename "$path")
            printf '%s' "${path//%//}"
            return 0
        fi
    done
    return 1
}

# Commands that have ended, with no client there to see it.
untold() {
    local path names=
    for path in "$home"/runs/*/; do
        if [ -s "$path/exit" ] && [ ! -e "$path/told" ]; then names+=${names:+,}$(basename "$path"); fi
    done
    [ -n "$names" ] && printf '%s' "$names"
}

# A command that still runs.
running() {
    local path
    for path in "$home"/runs/*/; do
        ! runs "$path" || { basename "$path"; return; }
    done
    return 1
}

# The name of what a command of ec2tasks left to work on, in a tmux or screen of its own or with nohup, where a guard
# sees to it that it ends one day.
left_behind() {
    local path key value name ignored
    [ -n "$guard" ] || return 1
    while read -r path; do
        name='' ignored=0
        while IFS=$':\t' read -r key value; do
            case $key in
            Name) name=${value%%[: ]*} ;;
            State) [[ $value != Z* ]] || continue 2 ;;
            SigIgn) ignored=$value ;;
            esac
        done <"${path%environ}status"
        # Bit 0 is SIGHUP.
        if [[ $name =~ ^(tmux|screen)$ ]] || ((0x$ignored & 1)); then
            printf '%s' "${name//[^[:alnum:]._-]/}"
            return 0
        fi
    done < <(grep -lsaz '^EC2TASKS_RUN=' /proc/[0-9]*/environ)
    return 1
} 2>/dev/null

# Whether AWS takes this spot instance back; said once, two minutes ahead.
look_for_notice() {
    local time
    if time=$(spot_notice); then
        say notice reason spot time "$time"
        spot=
    fi
}

# Whether the guard ends this instance within two minutes, as on a spot instance AWS gives, by what it says itself;
# while somebody is here, idle_stop does not. That its commands do nothing is said once, long before.
soon='' warned=''
look_for_end() {
    local name value left=- because='' minutes
    while read -r name value; do
        case $name in ends_in) left=$value ;; because) because=$value ;; esac
    done </run/ec2tasks-guard/state
    minutes=${because//[!0-9]/} because=${because%%:*}
    case $because in max_hours | max_cost | stalled_stop) ;; *) because='' ;; esac
    if [ -n "$because" ] && [ "$left" -le 120 ]; then
        [ "$soon" = "$because" ] || say notice reason "$because" seconds "$left"
        soon=$because
    elif [ -n "$soon" ] && [ "$left" != 0 ]; then
        say notice
        soon=
    fi
    if [ "$because" != stalled_stop ]; then
        warned=
    elif [ -z "$warned$soon" ]; then
        say stalled seconds "$left" minutes "$minutes"
        warned=yes
    fi
} 2>/dev/null

# Since when all that is in the folder has been fetched though a command goes on, for the guard.
keep_pulled() {
    local up
    IFS=' .' read -r up _ </proc/uptime
    if [ "$verb" = pulling ]; then
        pulling=$up
    elif [ -n "$pulling" ]; then
        printf '%s %s\n' "$pulling" "$up" >"$folder/pulled"
    fi
} 2>/dev/null

pulling='' follows=$job
while IFS= read -r -t 60 line; do
    look_for_end
    [ -z "$spot" ] || look_for_notice
    tell_servers "$follows"
    read_line "$line"
    [ "$verb" != follows ] || { follows=${fields[job]:-$job} && known_servers=' '; }
    # A tick of the kernel's clock after all that ended before.
    [ "$verb" != fetching ] || { sleep 0.02 && : >"$job_dir/fetching"; }
    case $verb in pulling | pulled) keep_pulled ;; esac
    [ "$verb" = leave ] || continue
    fetched=${fields[fetched]-}
    # Two clients that leave at once must not both find the other still there: the shared lock goes first.
    flock --unlock 9
    if [ "$mode" != watch ] && alone; then
        read -r final_state 2>/dev/null <"$home/final_state" || final_state=
        if came_later; then unfetched=yes fetched=; else unfetched=; fi
        folder_elsewhere=$(elsewhere)
        if left=$(left_behind); then fetched=; fi
        [ -z "$fetched" ] || : >"$folder/fetched"
        say last final_state "$final_state" unfetched "$unfetched" elsewhere "$folder_elsewhere" left "$left" \
            untold "$(untold)"
        rm -f "$home/final_state"
    else
        say others job "$(running)"
    fi
    # The lock stays while the client ends the instance, so that nobody joins one that is going.
    read -r -t 60 line
    exit 0
done
exit 0
