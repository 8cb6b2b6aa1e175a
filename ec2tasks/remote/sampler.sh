# Notes every ten seconds what the machine does while a job runs: `sampler.sh JOB_ID KEEPER BEGAN`, until the
# process KEEPER has ended; BEGAN is when the job did, in seconds of the machine's uptime.
#
# In the job's folder `samples` gets a line each, in the form that usage/samples.py reads; once there are 4,000,
# every second one goes, and from then on half as many come. `quiet` holds two moments of the uptime, of the last
# look and since when the job has been quiet: nothing printed, no file changed in the project's folder, and in
# each minute the processors and GPUs under 5 %. What can't be measured counts as busy.
#
# CPU time is that of all processes, the ended ones by way of their parents, so that it is this machine's alone
# also where several share a kernel: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
set -u
id=$1 keeper=$2 began=$3
job_dir=$HOME/.ec2tasks/runs/$id
EVERY=10 WINDOW=60 STALE=30 KEPT=4000
QUERY=index,utilization.gpu,memory.used,memory.total,power.draw,power.limit
remote_dir=''
# shellcheck disable=SC1091
. "$job_dir/job"
project=$HOME/$remote_dir
cores=$(nproc --all)
PATTERN='^([0-9]{1,2}), *([^,]*), *([^,]*), *([^,]*), *([^,]*), *([^,]*)$'
now=0 ticks=0 memory=0/0 received=0 sent=0
gpus=() gpu_pid='' gpu_at=0

# The uptime in hundredths of a second as `now`, the CPU time of all processes in the same as `ticks`, the memory,
# and what the network's interfaces have taken and given; those that only lead to containers take it twice.
look() {
    local numbers
    numbers=$(cat /proc/uptime /proc/meminfo /proc/net/dev /proc/[0-9]*/stat 2>/dev/null | awk '
        NR == 1 { up = $1 * 100; next }
        /^[0-9]+ \(/ { sub(/.*\) /, ""); ticks += $12 + $13 + $14 + $15; next }
        $1 == "MemTotal:" { total = $2 * 1024; next }
        $1 == "MemAvailable:" { free = $2 * 1024; next }
        /^ *[^ ]+:/ && NF >= 16 && $0 !~ /^ *(lo|veth|docker|br-|virbr)[^ ]*:/ {
            sub(/^ *[^ ]+:/, ""); received += $1; sent += $9
        }
        END { printf "%.0f %.0f %.0f/%.0f %.0f %.0f\n", up, ticks, total - free, total, received, sent }')
    read -r now ticks memory received sent <<<"$numbers"
}

# One nvidia-smi that tells every few seconds, which costs less than one each time.
# https://docs.nvidia.com/deploy/nvidia-smi/index.html
watch_gpus() {
    command -v nvidia-smi >/dev/null || return 0
    # shellcheck disable=SC2054
    local ask=(nvidia-smi "--query-gpu=$QUERY" --format=csv,noheader,nounits -l "$EVERY")
    # Into a pipe, a program keeps its lines back by the block.
    ! command -v stdbuf >/dev/null || ask=(stdbuf -oL "${ask[@]}")
    exec {gpu_lines}< <(exec "${ask[@]}" 2>/dev/null)
    gpu_pid=$!
    trap 'kill "$gpu_pid" 2>/dev/null' EXIT
    trap exit TERM
}

is_whole() { [[ $1 =~ ^[1-9]?[0-9]{1,8}$ ]]; }

# What it has told since, as ${gpus[INDEX]}, in the form of a sample. What is too old is forgotten.
read_gpus() {
    [ -n "$gpu_pid" ] || return 0
    local line told share used total watts limit
    while IFS= read -r -t 0.05 line <&"$gpu_lines"; do
        [[ $line =~ $PATTERN ]] || continue
        told=("${BASH_REMATCH[@]}") share=- used=- total=- watts=- limit=-
        if is_whole "${told[2]}"; then printf -v share '%d.%02d' $((told[2] / 100)) $((told[2] % 100)); fi
        if is_whole "${told[3]}"; then used=$((told[3] * 1048576)); fi
        if is_whole "${told[4]}"; then total=$((told[4] * 1048576)); fi
        if is_whole "${told[5]/.}"; then watts=${told[5]}; fi
        if is_whole "${told[6]/.}"; then limit=${told[6]}; fi
        gpus[told[1]]=$share,$used,$total,$watts,$limit gpu_at=$now
    done
    [ $((now - gpu_at)) -le $((STALE * 100)) ] || gpus=()
}

# A sample of what happened since the last one.
note() {
    local passed=$((now - noted_at)) share line index disk
    [ "$passed" -gt 0 ] || return 0
    [ "$received" -ge "$received_before" ] || received_before=$received
    [ "$sent" -ge "$sent_before" ] || sent_before=$sent
    share=$(((ticks - noted_ticks) * 10000 / passed / cores))
    if [ "$share" -lt 0 ]; then share=0; elif [ "$share" -gt 10000 ]; then share=10000; fi
    disk=$(stat -f -c '%S %b %f %a' "$project" 2>/dev/null) || disk='0 0 0 0'
    # shellcheck disable=SC2086  # numbers
    set -- $disk
    printf -v line 't=%d.%02d cpu=%d.%04d memory=%s disk=%s/%s network=%s/%s' \
        $(((now - began) / 100)) $(((now - began) % 100)) $((share / 10000)) $((share % 10000)) "$memory" \
        $((($2 - $3) * $1)) $((($2 - $3 + $4) * $1)) $((received - received_before)) $((sent - sent_before))
    for index in "${!gpus[@]}"; do line+=" gpu=${gpus[$index]}"; done
    printf '%s\n' "$line" >>"$job_dir/samples" && count=$((count + 1))
    noted_at=$now noted_ticks=$ticks
    [ "$count" -lt "$KEPT" ] || thin_out
} 2>/dev/null

thin_out() {
    awk 'NR % 2 == 0' "$job_dir/samples" >"$job_dir/samples.new" && mv -f "$job_dir/samples.new" "$job_dir/samples"
    count=$((count / 2)) stride=$((stride * 2))
}

# Whether something has happened since the last look.
busy() {
    local sizes gpu
    sizes=$(stat -c %s "$job_dir/out" "$job_dir/err") || return 0
    [ "$sizes" = "$sizes_before" ] || { sizes_before=$sizes; return 0; }
    [ "$cpu_busy" = no ] || return 0
    if [ -n "$gpu_pid" ]; then
        if [ "${#gpus[@]}" = 0 ] && has_gpus; then return 0; fi
        for gpu in "${gpus[@]}"; do [[ $gpu =~ ^0\.0[0-4], ]] || return 0; done
    fi
    changed
} 2>/dev/null

# Whether there are GPUs: where there are none, nvidia-smi may be there all the same, and ends with nothing to tell.
has_gpus() { [ "$gpu_at" -gt 0 ] || kill -0 "$gpu_pid" || compgen -G '/dev/nvidia[0-9]*' >/dev/null; }

# Whether a file of the project has changed. Looking may take a while: so seldom that it costs a two-hundredth.
changed() {
    local began took newer
    [ "$now" -ge "$next_walk" ] || return 1
    began=${EPOCHREALTIME/[.,]/}
    newer=$(timeout 60 find "$project" -path "$project/.ec2tasks" -prune -o -cnewer "$job_dir/mark" -print -quit) ||
        return 0
    [ -z "$newer" ] || return 0
    took=$((${EPOCHREALTIME/[.,]/} - began))
    # Never so seldom that a change is long past before it is seen.
    [ "$took" -lt 1500000 ] || took=1500000
    next_walk=$((now + took / 50))
    return 1
}

# The processors' share in whole windows: what keeps a machine going takes a second of them now and then.
measure_cpu() {
    local passed=$((now - window_at)) limit=$((cores * 5))
    [ "$passed" -ge $((WINDOW * 100)) ] || return 0
    [ "$limit" -lt 10 ] || limit=10
    if [ $(((ticks - window_ticks) * 100)) -lt $((passed * limit)) ]; then cpu_busy=no; else cpu_busy=yes; fi
    window_at=$now window_ticks=$ticks
}

# Written over, not anew: a full disk takes that.
tell_quiet() {
    if busy; then quiet_since=$now && : >"$job_dir/mark"; fi
    printf '%-40s\n' "$((now / 100)) $((quiet_since / 100))" 1<>"$job_dir/quiet"
} 2>/dev/null

# A short limit is looked at more often, as the guard does.
while read -r name seconds _; do
    if [ "$name" = stalled_stop ] && [ "$seconds" -gt 0 ] && [ "$seconds" -lt 60 ]; then EVERY=1 WINDOW=2; fi
done 2>/dev/null <"$HOME/.ec2tasks/limits"

began=$((began * 100)) count=0 stride=1 tick=0 sizes_before='' cpu_busy=yes next_walk=0
watch_gpus
look
noted_at=$now noted_ticks=$ticks window_at=$now window_ticks=$ticks received_before=$received sent_before=$sent
quiet_since=$now
: >"$job_dir/mark"
while sleep "$EVERY" && kill -0 "$keeper" 2>/dev/null && [ -d "$job_dir" ]; do
    look
    read_gpus
    measure_cpu
    tell_quiet
    tick=$((tick + 1))
    [ $((tick % stride)) != 0 ] || note
done
