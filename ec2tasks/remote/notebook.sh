# `notebook.sh [job=]`: a line `notebook` on the newest that runs, or on that job: id=, port=, token=. Nothing where none does.
# shellcheck disable=SC2154  # protocol.sh stands before it
read_fields "$@"
for job_dir in "$HOME/.ec2tasks/runs/"${fields[job]:-*}/; do
    job_dir=${job_dir%/}
    # jupyter.sh has written it, runner.sh holds the lock.
    { read -r port && read -r token; } 2>/dev/null <"$job_dir/notebook" || continue
    flock --shared --nonblock "$job_dir/alive" true || found=("${job_dir##*/}" "$port" "$token")
done
[ -z "${found-}" ] || say notebook id "${found[0]}" port "${found[1]}" token "${found[2]}"
