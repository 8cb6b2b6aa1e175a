# Stands before each script that is sent to the instance: the fields that it and its client exchange, as
# protocol.py has them. A field is `NAME=VALUE`; a value of other than plain characters is `base64:…`. Unknown
# names are nobody's business, an empty value is none, and a line's first field is the version of who says it.
PROTOCOL=1 spoken=unknown
declare -A fields=()

# `read_fields WORD…`: the words that are fields, as ${fields[NAME]}.
read_fields() {
    local word name value
    fields=()
    for word in "$@"; do
        name=${word%%=*}
        case $name in '' | "$word" | *[!a-z0-9_]*) continue ;; esac
        value=${word#*=}
        if [[ $value == base64:* ]]; then
            # What stands after the value keeps the line ends that it ends in.
            value=$(printf '%s' "${value#base64:}" | base64 -d && printf .) || continue
            value=${value%.}
        fi
        fields[$name]=$value
    done
    spoken=${fields[version]:-$spoken}
}

# `read_line LINE`: its first word as $verb, its fields as ${fields[NAME]}.
read_line() {
    local rest=$1 word words=()
    # shellcheck disable=SC2034  # the script reads it
    verb=${rest%% *}
    while [ -n "$rest" ]; do
        word=${rest%% *}
        rest=${rest:${#word}}
        rest=${rest# }
        words+=("$word")
    done
    read_fields ${words[@]+"${words[@]}"}
}

# `need NAME…`: fails, naming it, where the client has not said one of these.
need() {
    local name
    for name in "$@"; do
        [ -z "${fields[$name]-}" ] || continue
        # shellcheck disable=SC2016  # as hints name what to type
        printf 'ec2tasks here does not say `%s` (version %s, the script %s); `pip install --upgrade ec2tasks`\n' \
            "$name" "$spoken" "$PROTOCOL" >&2
        exit 125
    done
}

# `say WORD [NAME VALUE]…`: a line for the client.
say() {
    local LC_ALL=C line="$1 version=$PROTOCOL"
    shift
    while [ $# -gt 1 ]; do
        case $2 in
        '') ;;
        base64:* | *[!A-Za-z0-9._:/@%+,=\\-]*) line+=" $1=base64:$(printf '%s' "$2" | base64 -w 0)" ;;
        *) line+=" $1=$2" ;;
        esac
        shift 2
    done
    printf '%s\n' "$line"
}
