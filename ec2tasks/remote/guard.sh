# Ends this instance when nobody and nothing is on it any more, or when its time is over: `guard.sh FOLDER`.
#
# FOLDER holds `settings` (lines `idle_stop SECONDS`, `max_seconds SECONDS`, `cost_seconds SECONDS`, after which
# max_cost is spent, `stalled_stop SECONDS`, `spot 1`; 0 is never) and `spent`, the time that counts for
# max_seconds and cost_seconds. A client changes them for its instance in ~/.ec2tasks/limits. What will happen,
# when and why is in /run/ec2tasks-guard/state. Time is the kernel's since boot: no clock can be wrong.
# It needs no room on the disk, no network and no AWS rights. docs/guard.md has the rule in words.
#
# Clients of other versions write limits and read state, and this guard goes by what they keep in ~/.ec2tasks
# (sessions.lock, runs/, folders/) and by EC2TASKS_RUN in the environment: these names and lines stay.
set -u
folder=$1
here=/run/ec2tasks-guard
tick=5
# Seconds that the first one to come after a boot has at least, however short idle_stop is.
first_visit=30
# Seconds that a boot, with what the user put into it, keeps the instance at most.
boot_limit=900
# Seconds over which the work of processes without a session is measured, and after which a sample is too old.
window=60
# Seconds after which a login no longer counts, where nothing works and no other comes: an editor left open.
login_limit=28800
# Seconds that an orderly power off may take.
force_after=180
umask 022
mkdir -p "$here" 2>/dev/null

uptime_now() { IFS=' .' read -r now _ </proc/uptime; }

# The lines `NAME NUMBER` of a file, what is no number left out: a user may have written it.
take() {
    local name number
    [ -f "$1" ] || return 0
    while read -r name number _; do
        case $name in
        *_stop | *_seconds | spot) [[ $number =~ ^[0-9]{1,9}$ ]] && limit[$name]=$((10#$number)) ;;
        reset) [[ $number =~ ^[0-9A-Za-z.:+-]{1,40}$ ]] && limit[reset]=$number ;;
        esac
    done <"$1" 2>/dev/null
}

# The homes that ec2tasks has been to; users may come and go.
find_homes() {
    local name _ home
    homes=()
    while IFS=: read -r name _ _ _ _ home _; do
        [ -d "$home/.ec2tasks" ] && homes+=("$home/.ec2tasks")
    done </etc/passwd
}

take_limits() {
    declare -gA limit=([idle_stop]=0 [max_seconds]=0 [cost_seconds]=0 [stalled_stop]=0 [spot]=0 [reset]=-)
    local home cost
    take "$folder/settings"
    for home in "${homes[@]}"; do take "$home/limits"; done
    # Of the two that count time, the one that comes first.
    most=${limit[max_seconds]} by=max_hours cost=${limit[cost_seconds]}
    if ((cost && (!most || cost < most))); then most=$cost by=max_cost; fi
}

# Sessions and commands of ec2tasks hold a lock, shared; the kernel frees it however they end. Who decides by
# that lock holds the folder's meanwhile, so that trying it here is never taken for somebody.
in_use() {
    local home
    for home in "${homes[@]}"; do
        [ -f "$home/sessions.lock" ] || continue
        timeout 5 flock -w 4 "$home" flock -xn "$home/sessions.lock" true || return 0
    done
    return 1
}

# A session shorter than the time between two looks leaves a trace all the same: its folder among the runs.
passed_by() {
    # Not `before`: on_term may run in here, and reads that.
    local earlier=$traces
    traces=$(stat -c %y "${homes[@]}" "${homes[@]/%//runs}" 2>/dev/null)
    [ "$traces" != "$earlier" ]
}

# Someone is logged in where an SSH connection has a process: one kept open for later has none, though sshd
# may still call it USER@notty. OpenSSH 9.8 renamed the process.
logged_in() {
    local pid parent state words on=' '
    declare -A names=() parents=()
    who=''
    while read -r pid parent state words; do
        [[ $state == Z* ]] && continue
        if [[ $words =~ ^sshd(-session)?:\ ([^ ]+)$ ]]; then names[$pid]=${BASH_REMATCH[2]}; fi
        [[ $words == *ssm-session-worker* ]] && who="someone (by SSM)" && return 0
        parents[$parent]=1
    done < <(ps -eo pid=,ppid=,stat=,args=)
    for pid in "${!names[@]}"; do
        [ -n "${parents[$pid]-}" ] || continue
        who=${names[$pid]} on+="$pid "
        [[ $logins == *" $pid "* ]] || calm=$now
    done
    logins=$on
    [ -n "$who" ]
}

# Whether a GPU works; one that does not tell may well.
gpu_works() {
    local used
    command -v nvidia-smi >/dev/null && compgen -G '/dev/nvidia[0-9]*' >/dev/null || return 1
    used=$(timeout 20 nvidia-smi --query-gpu=utilization.gpu --format=csv,noheader,nounits 2>&1)
    grep -qv '^ *[0-4]$' <<<"$used"
}

# Since when nothing works beside a login, as `calm`: the processors under a twentieth of one core in each minute, and
# each GPU under one of itself at its end.
look_at_work() {
    local _ user nice system
    ((now - calm_at >= window)) || return 0
    read -r _ user nice system _ </proc/stat
    ((user + nice + system - busy < (now - calm_at) * 5)) && ! gpu_works || calm=$now
    calm_at=$now busy=$((user + nice + system))
}

# What a command of ec2tasks left behind, with nohup or in a tmux of its own, counts while it works: its
# processes took a twentieth of a core's time since the last look. An idle daemon does not count.
left_working() {
    local path line used=0 elapsed
    while read -r path; do
        { read -r line <"${path%environ}stat"; } 2>/dev/null || continue
        # shellcheck disable=SC2086  # numbers; user and system time, its own and its ended children's
        set -- ${line##*) }
        used=$((used + ${12} + ${13} + ${14} + ${15}))
    done < <(grep -lsaz '^EC2TASKS_RUN=' /proc/[0-9]*/environ)
    elapsed=$((now - looked_at))
    if [ "$looked_at" -ge 0 ] && [ "$elapsed" -lt "$look_every" ]; then return "$left"; fi
    left=1
    # In hundredths of a second, as the kernel counts them.
    [ "$looked_at" -ge 0 ] && [ $((used - work)) -ge $((elapsed * 5)) ] && left=0
    looked_at=$now work=$used
    return "$left"
}

# cloud-init is not through with this boot, the user's own script included.
starting() {
    [ -d /run/cloud-init ] && [ ! -e /run/cloud-init/result.json ] && [ $((now - armed)) -lt "$boot_limit" ]
}

# What keeps the instance, as `reason`; success where something does.
active() {
    if passed_by || in_use; then
        reason="a session or a command of ec2tasks is on it" strangers=0 calm=$now
        return 0
    fi
    logged_in || calm=$now
    if [ -n "$who" ] && ((now - calm < login_limit)); then
        reason="$who is logged in"
    elif left_working; then
        reason="what a command of ec2tasks left behind is working"
    elif starting; then
        reason="it is still starting" strangers=0
        return 0
    else
        reason="nobody is on it, and no command runs" strangers=0
        [ -z "$who" ] || reason="$who is logged in, but nothing worked for $((login_limit / 3600)) h"
        return 1
    fi
    # What others do may leave results that nobody has fetched; a single look may be ours.
    strangers=$((strangers + 1))
    [ "$strangers" -ge 2 ] && unfetched
    return 0
}

unfetched() {
    local home
    : >"$here/seen"
    for home in "${homes[@]}"; do rm -f "$home"/folders/*/fetched; done
} 2>/dev/null

# Two moments that a user's process wrote into a file, as `first` and `second`; 0 where they are none.
moments() {
    first=0 second=0
    [ -f "$1" ] && read -r first second _ <"$1"
    [[ $first,$second =~ ^[1-9][0-9]{0,8},[1-9][0-9]*$ ]] || first=0 second=0
} 2>/dev/null

# Since when all commands have been quiet, as `quiet`, by what sampler.sh tells of each; false where one is not,
# or nothing is known of it, and until half of stalled_stop is over.
stalled() {
    local home path first second
    quiet=0
    for home in "${homes[@]}"; do
        for path in "$home"/runs/*; do
            [ -e "$path/started" ] || continue
            [ ! -s "$path/exit" ] || continue
            moments "$path/quiet"
            if ((now - first > window)); then
                # Nobody saw the end of that one.
                flock -sn "$path/alive" true && continue
                return 1
            fi
            ((quiet > second)) || quiet=$second
        done
    done
    ((quiet && (now - quiet) * 2 >= limit[stalled_stop]))
}

# Whether all that is on it was fetched, be it since the moment $1, or nothing ever came.
nothing_to_lose() {
    local home path first second
    for home in "${homes[@]}"; do
        for path in "$home"/folders/*/; do
            if [ ! -d "$path" ] || [ -e "$path/fetched" ]; then continue; fi
            moments "$path/pulled"
            [ "$first" -ge "$1" ] || return 1
        done
    done
    [ "${#homes[@]}" -gt 0 ] || [ ! -e "$here/seen" ]
}

# The time that counts for max_seconds: `since` a moment of this boot, and `before` it. Of this boot it is
# known from /run; a reboot goes on with what the disk says, and leaves a client time to say it is a new start.
remember() {
    printf '%s\n' "$before $since $counted $start" >"$here/counted"
} 2>/dev/null

recall() {
    before=0 since=$now counted=- start=-
    local used=0
    if [ -s "$here/counted" ]; then
        read -r before since counted start <"$here/counted"
    elif [ -s "$folder/spent" ]; then
        read -r used counted start _ <"$folder/spent"
        [[ $used =~ ^[0-9]+$ && $counted =~ ^[0-9]+$ ]] || { used=0 counted=-; }
        local grace=$((${counted/-/0} / 10))
        [ "$grace" -le 600 ] || grace=600
        [ "$counted" = 0 ] || [ "$used" -le $((${counted/-/0} - grace)) ] || used=$((counted - grace))
        before=$used
        remember
    fi
}

# Written over, not anew: a full disk takes that.
spent() {
    printf '%-80s\n' "$1 $counted $start" 1<>"$folder/spent"
} 2>/dev/null

count() {
    if [ "$most" != "$counted" ]; then
        # Another limit was chosen: it counts from that moment, not from hours ago.
        [ "$counted" = - ] || since=$now
        before=0 counted=$most saved=-60
        remember
    fi
    if [ "${limit[reset]}" != "$start" ]; then
        before=0 start=${limit[reset]} saved=-60
        remember
    fi
    used=$((before + now - since))
    [ $((now - saved)) -lt 60 ] || { spent "$used"; saved=$now; }
}

# Let it end in so many seconds, for this reason, unless it does sooner.
end_in() {
    if [ "$ends_in" = - ] || [ "$1" -lt "$ends_in" ]; then ends_in=$1 because=$2; fi
}

# When it will end and why, as `ends_in` (`-`: never as things stand) and `because`; `over` is what has come. What
# max_hours or max_cost leaves is `hours_left`, whatever ends it sooner.
foresee() {
    local idle=$1 patience=${limit[idle_stop]}
    [ -e "$here/visited" ] || [ "$patience" -ge "$first_visit" ] || patience=$first_visit
    ends_in=- hours_left=- because="idle_stop and max_hours are never" over=
    if [ "${limit[idle_stop]}" -gt 0 ]; then
        because="idle_stop counts once nobody is on it and no command runs"
        if [ "$idle" = 1 ] && [ "${limit[spot]}" = 1 ] && ! nothing_to_lose 999999999; then
            because=$lost
        elif [ "$idle" = 1 ]; then
            ends_in=$((last + patience - now)) because="idle_stop: $reason"
        fi
    fi
    if [ "$counted" -gt 0 ]; then
        hours_left=$((counted > used ? counted - used : 0))
        end_in "$hours_left" "$by"
    fi
    if ((limit[stalled_stop])) && stalled; then
        if [ "${limit[spot]}" = 1 ] && ! nothing_to_lose "$quiet"; then
            [ "$ends_in" != - ] || because=$lost
        else
            end_in $((quiet + limit[stalled_stop] - now)) "stalled_stop: nothing done for $(((now - quiet) / 60)) min"
        fi
    fi
    [ "$ends_in" = - ] || [ "$ends_in" -gt 0 ] || { ends_in=0 over=$because; }
}

# The host keys, on the console once they are this instance's own: cloud-init makes them in its stage `init`, in
# place of what an image brings, and sshd waits for that. Its own words come only after the user's own script.
# False before that. https://docs.cloud-init.io/en/latest/explanation/boot.html
tell_keys() {
    local keys mark='SSH HOST KEY KEYS-----'
    [ ! -e /run/cloud-init/enabled ] ||
        [[ $(</run/cloud-init/status.json) =~ \"init\":\ \{[^}]*\"finished\":\ [0-9] ]] || return
    keys=$(cat /etc/ssh/ssh_host_*_key.pub) && [ "$keys" != "$told" ] || return 0
    told=$keys
    printf '%s\n' "-----BEGIN $mark" "$keys" "-----END $mark"
} 2>/dev/null

tell() {
    printf '%s\n' "armed $armed" "now $now" "last_active $last" "reason $reason" "ends_in $ends_in" \
        "because $because" "end $end" "idle_stop ${limit[idle_stop]}" "max_seconds $counted" \
        "hours_left $hours_left" "hours_by $by" "version 1" >"$here/state.new" &&
        mv -f "$here/state.new" "$here/state"
} 2>/dev/null

# Nobody gets on while it goes: the locks stay with this process. False where somebody just came.
bar_the_door() {
    local home door doors=()
    for home in "${homes[@]}"; do
        [ -f "$home/sessions.lock" ] || continue
        { exec {door}<"$home/sessions.lock"; } 2>/dev/null && doors+=("$door") &&
            timeout 5 flock -w 4 "$home" flock -xn "$door" && continue
        for door in "${doors[@]}"; do exec {door}<&-; done
        return 1
    done
}

# Each tick until it is off; by force where that takes too long.
power_off() {
    if [ -z "$going" ]; then
        going=$now
        # The next start has all its time again.
        spent 0
        echo "ec2tasks-guard: powering off after $used s: $over"
        systemctl -i poweroff || shutdown -h now || poweroff
    elif [ $((now - going)) -gt "$force_after" ]; then
        systemctl poweroff --force --force 2>/dev/null
        echo o >/proc/sysrq-trigger
    fi
} 2>/dev/null

# Whether all services have ended, and systemd waits, for 90 s, for what is left to follow.
shutting_down() {
    local word
    last_call=
    while IFS= read -r -d '' word; do last_call+="$word "; done </proc/1/cmdline
    [[ $last_call == *systemd-shutdown* ]]
}

# A shutdown that others ask for: after a power off, unlike a reboot, all the time is there again. Bash may lose what
# a trap does while it waits for `$(…)`, so the loop looks as well.
on_term() {
    shutting_down
    case $last_call in
    *systemd-shutdown\ poweroff* | *systemd-shutdown\ halt*) spent 0 ;;
    *) uptime_now && { [ "$saved" -lt 0 ] || spent $((before + now - since)); } ;;
    esac
    exit 0
}

used=0
lost="a spot instance can't be stopped, only terminated, and what is on it has not been fetched"
trap on_term TERM
uptime_now
armed=$now last=$now saved=-60 looked_at=-1 work=0 left=1 strangers=0 going='' who='' reason='' traces='' told=''
calm=$now calm_at=-60 busy=0 logins=''
# A guard that was killed goes on where it was.
while read -r name value; do
    [[ $name =~ ^(armed|last_active)$ && $value =~ ^[0-9]{1,9}$ && $value -le $now ]] || continue
    if [ "$name" = armed ]; then armed=$value; else last=$value; fi
done 2>/dev/null <"$here/state"
recall
find_homes
passed_by

until shutting_down; do
    uptime_now
    if [ -z "$going" ]; then
        find_homes
        take_limits
        if [ "${limit[spot]}" = 1 ]; then end=terminate; else end=stop; fi
        # A short limit is looked at more often.
        pause=$tick look_every=$window
        if [ "${limit[idle_stop]}" -gt 0 ] && [ "${limit[idle_stop]}" -lt 60 ]; then pause=1 look_every=2; fi
        idle=1
        look_at_work
        if active; then
            last=$now idle=0
            [ "$reason" = "it is still starting" ] || [ -e "$here/visited" ] || : >"$here/visited"
        fi
        count
        foresee "$idle"
        [ "$over" != "idle_stop: $reason" ] || bar_the_door || { last=$now over=''; }
        tell_keys || ! starting || pause=0.2
        tell
    fi
    [ -z "$over" ] || power_off
    sleep "$pause"
done
on_term
