# The project's folder on the instance, beside what rsync does: `tree.sh VERB folder= [job=] [since=]`, words as
# protocol.sh reads them; job= is the id of the one whose push this is, since= a time that `touched` has said before.
# shellcheck disable=SC2154  # protocol.sh stands before it
set -u
verb=$1
read_fields "${@:2}"
need folder
job=${fields[job]-}
cd "$HOME/${fields[folder]}" || exit 1

# What stands at the paths on stdin (each ended by a zero byte), links as links: `./PATH`, kind, mode, size, time,
# inode and the time of its last change, the link's target. What is not there is left out; a folder that can't be entered is of kind x.
look() {
    xargs -0 -r sh -c 'find "$@" -maxdepth 0 -type d ! -executable -printf "%p\\0x 0 0 0 %i %C@\\0\\0" \
        -o -printf "%p\\0%y %m %s %T@ %i %C@\\0%l\\0" 2>/dev/null; true' find
}

# The same of what links lead to, and of all below it; a folder that can't be looked into is of kind x.
look_behind() {
    xargs -0 -r sh -c 'find -L "$@" -type d ! \( -readable -executable \) -printf "%p\\0x 0 0 0 %i %C@\\0\\0" -prune \
        -o -printf "%p\\0%y %m %s %T@ %i %C@\\0\\0" 2>/dev/null; true' find
}

# Take away the files on stdin, then the folders after an empty name, deepest first, where they are empty. Each file
# is moved to .ec2tasks/replaced/JOB by a rename: what takes its place meanwhile is either kept there or stays.
# What is below a link is not the project's. The paths that stay are printed.
clear() {
    need job
    kept=.ec2tasks/replaced/$job
    folder='' names=()
    while IFS= read -r -d '' path && [ -n "$path" ]; do
        find_above "$path"
        [ "$above" = "$folder" ] || take
        folder=$above
        names+=("$path")
    done
    take
    folders=()
    while IFS= read -r -d '' path; do
        is_own "$path" && folders+=("$path")
    done
    if [ ${#folders[@]} != 0 ]; then
        printf './%s\0' "${folders[@]}" | xargs -0 rmdir -- 2>/dev/null
        for path in "${folders[@]}"; do [ -d "$path" ] && printf '%s\0' "$path"; done
    fi
    prune
}

# Move the files $names, all of them in $folder. What has become a folder stays.
take() {
    files=()
    for name in ${names[@]+"${names[@]}"}; do
        if is_file "$name" && is_own "$name"; then files+=("$name"); elif is_there "$name"; then printf '%s\0' "$name"; fi
    done
    names=()
    [ ${#files[@]} = 0 ] && return
    mkdir -p -- "$kept/$folder" || exit 1
    printf './%s\0' "${files[@]}" | xargs -0 mv -f --backup=numbered -t "$kept/$folder" -- && return
    # What went away meanwhile is no failure.
    for name in "${files[@]}"; do is_file "$name" && exit 1; done
}

is_there() {
    [ -e "$1" ] || [ -L "$1" ]
}

is_file() {
    [ -L "$1" ] || { [ -e "$1" ] && ! [ -d "$1" ]; }
}

# The folder above a path of the project.
find_above() {
    case $1 in */*) above=${1%/*} ;; *) above=. ;; esac
}

# Whether no folder above a path is a link.
is_own() {
    find_above "$1"
    while [ "$above" != . ]; do
        [ -L "$above" ] && return 1
        find_above "$above"
    done
}

# Keep what the last jobs replaced, and always what this one does. It goes by when that was: the jobs' ids hold the
# clients' times, and their clocks may be off.
prune() {
    others=10
    [ -d ".ec2tasks/replaced/$job" ] && others=9
    find .ec2tasks/replaced -mindepth 1 -maxdepth 1 -name '[0-9]*' ! -name "$job" ! -name "$job.*" -printf '%C@ %p\n' |
        sort -rn | tail -n "+$((others + 1))" | cut -d ' ' -f 2- | xargs -r -d '\n' rm -rf --
}

# The same as look, of copies that this job's push has just made; of what jobs replaced, only the last is kept.
look_kept() {
    need job
    look
    prune
}

# This machine's time, those of the folders on stdin that are environments, an empty name, and the files whose inodes
# were changed since then, `TIME ./PATH`, all ended by zero bytes. Whose own time is that of the change is left out: it
# tells itself.
touched() {
    touch .ec2tasks/clock 2>/dev/null && find .ec2tasks/clock -printf '%C@\0' || printf '%s\0' "$(date +%s.%N)"
    while IFS= read -r -d '' path; do
        { [ -e "$path/pyvenv.cfg" ] || [ -d "$path/conda-meta" ]; } && printf '%s\0' "$path"
    done
    printf '\0'
    [ -n "${fields[since]-}" ] || return 0
    find . -path ./.ec2tasks -prune -o -type f -newerct "@${fields[since]}" -printf '%T@ %C@ %p\0' 2>/dev/null |
        LC_ALL=C grep -zvE '^([^ ]*) \1 ' | LC_ALL=C sed -z 's/^[^ ]* //'
    moved
    return 0
}

# All files below the folders that were renamed since, as `touched` prints them: a rename changes the inode of the
# folder alone. What was put into a folder or taken out changes its own time too, and tells itself.
moved() {
    find . -path ./.ec2tasks -prune -o -type d -newerct "@${fields[since]}" -printf '%T@ %C@ %p\0' 2>/dev/null |
        LC_ALL=C grep -zvE '^([^ ]*) \1 ' | LC_ALL=C sed -z 's/^[^ ]* [^ ]* //' |
        xargs -0 -r sh -c 'find "$@" -path ./.ec2tasks -prune -o -type f -printf "%C@ %p\0" 2>/dev/null; true' find
}

# The files whose inodes, or those of folders above them, were changed since, after the time of the clock, all as
# `touched` prints them; also those that tell themselves. Nothing at all from a `find` that can't tell.
changed() {
    touch .ec2tasks/clock && find .ec2tasks/clock -newerct "@${fields[since]}" -printf '%C@\0' || return 0
    find . -path ./.ec2tasks -prune -o -type f -newerct "@${fields[since]}" -printf '%C@ %p\0' 2>/dev/null
    moved
    return 0
}

# How many kilobytes the folder on stdin takes.
size() {
    xargs -0 -r du -sk -- 2>/dev/null
    return 0
}

# Whether nothing of the project is there.
is_empty() {
    [ -n "$(find . -mindepth 1 -maxdepth 1 ! -name .ec2tasks -print -quit)" ] || printf yes
}

# How many files are at and below each path on stdin (ended by zero bytes), and how big they are: `COUNT BYTES PATH`,
# ended likewise. What tools make again does not count: repositories, environments, caches.
weigh() {
    local path files=()
    while IFS= read -r -d '' path; do
        if [ -d "$path" ] && [ ! -L "$path" ]; then weigh_folder "$path"; else files+=("$path"); fi
    done
    [ ${#files[@]} = 0 ] ||
        printf '%s\0' "${files[@]}" | xargs -0 sh -c 'find "$@" -maxdepth 0 -printf "1 %s %p\0"; true' find
} 2>/dev/null

weigh_folder() {
    local folder made_again=(-name .git -o -name node_modules -o -name __pycache__)
    while IFS= read -r -d '' folder; do
        made_again+=(-o -samefile "$folder")
    done < <(find "$1" \( -name pyvenv.cfg -o -name conda-meta -o -name CACHEDIR.TAG \) -printf '%h\0')
    find "$1" -type d \( "${made_again[@]}" \) -prune -o ! -type d -printf '%s\n' |
        awk '{ bytes += $1 } END { printf "%d %.0f ", NR, bytes }'
    printf '%s\0' "$1"
}

"$verb"
