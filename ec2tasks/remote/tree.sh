# The project's folder on the instance, beside what rsync does: `tree.sh look DIR`, `tree.sh clear DIR RUN`.
set -u
cd "$HOME/$2" || exit 1

# What stands at the paths on stdin (each ended by a zero byte), links as links: `./PATH`, kind, mode, size, time
# and inode, the link's target. What is not there is left out.
look() {
    xargs -0 -r sh -c 'find "$@" -maxdepth 0 -printf "%p\\0%y %m %s %T@ %i\\0%l\\0" 2>/dev/null; true' find
}

# The same of what links lead to, and of all below it; a folder that can't be looked into is of kind x.
look_behind() {
    xargs -0 -r sh -c 'find -L "$@" -type d ! \( -readable -executable \) -printf "%p\\0x 0 0 0 %i\\0\\0" -prune \
        -o -printf "%p\\0%y %m %s %T@ %i\\0\\0" 2>/dev/null; true' find
}

# Take away the files on stdin, then the folders after an empty name, deepest first, where they are empty. Each file
# is kept in .ec2tasks/replaced/RUN. The folders that stay are printed.
clear() {
    kept=$PWD/.ec2tasks/replaced/$1
    lists=$(mktemp -d "$PWD/.ec2tasks/clear.XXXXXX") || exit 1
    trap 'rm -rf "$lists"' EXIT
    cat >"$lists/all" || exit 1
    # shellcheck disable=SC2016  # the inner shell's own
    sed -z '/^$/,$d' "$lists/all" |
        xargs -0 -r sh -c 'for one do if [ -e "$one" ] || [ -L "$one" ]; then printf "%s\0" "$one"; fi; done' here >"$lists/files"
    sed -z '0,/^$/d' "$lists/all" >"$lists/folders"
    if [ -s "$lists/files" ]; then
        mkdir -p "$kept" || exit 1
        # A hard link beside, then the name goes: nothing is copied, nothing is ever without a name.
        keep --link || keep --archive || exit 1
        xargs -0 -r rm -f -- <"$lists/files" || exit 1
    fi
    xargs -0 -r rmdir -- <"$lists/folders" 2>/dev/null
    # shellcheck disable=SC2016  # the inner shell's own
    xargs -0 -r sh -c 'for one do [ -d "$one" ] && printf "%s\0" "$one"; done; true' dirs <"$lists/folders"
    prune
}

keep() {
    xargs -0 -r cp --parents --no-dereference --backup=numbered "$1" -t "$kept" -- <"$lists/files"
}

# Keep what the last runs replaced; their names sort by time.
prune() {
    find .ec2tasks/replaced -mindepth 1 -maxdepth 1 -name '[0-9]*' | sort | head -n -10 | xargs -r -d '\n' rm -rf --
}

# The same as look, of copies that were just made; of what runs replaced, only the last is kept.
look_kept() {
    look
    prune
}

verb=$1
shift 2
"$verb" "$@"
