# Completion of ec2tasks in bash, and of `make on-ec2-TARGET` where bash-completion completes make:
#   eval "$(ec2tasks --print-completion-script bash)"      in ~/.bashrc, behind bash-completion

# No `compgen -W`: it would expand what a Makefile of somebody else's names a target.
_ec2tasks_ask() {
    local line
    while IFS= read -r line; do COMPREPLY+=("$1$line"); done < <(ec2tasks --complete -- ec2tasks "${@:2}" 2>/dev/null)
}

_ec2tasks() {
    COMPREPLY=()
    _ec2tasks_ask '' "${COMP_WORDS[@]:1:COMP_CWORD}"
}
complete -o default -F _ec2tasks ec2tasks

_ec2tasks_make() {
    local word=${COMP_WORDS[COMP_CWORD]} start
    for start in on-ec2- on-each-ec2-; do
        if [[ $word == "$start"* ]]; then
            COMPREPLY=()
            _ec2tasks_ask "$start" make "${word#"$start"}"
            [[ on-ec2-notebook == "$word"* ]] && COMPREPLY+=(on-ec2-notebook)  # which needs no rule of the Makefile's
            return
        fi
    done
    "$_ec2tasks_before" "$@"
}

# What bash-completion has for make goes on as it was; its function's name differs from version to version.
if [[ -z ${_ec2tasks_before-} ]]; then
    { _comp_load make || _completion_loader make; } >/dev/null 2>&1
    _ec2tasks_before=$(complete -p make 2>/dev/null) _ec2tasks_before=${_ec2tasks_before##*-F }
    _ec2tasks_before=${_ec2tasks_before%% *}
    if declare -F "$_ec2tasks_before" >/dev/null; then complete -F _ec2tasks_make make gmake; fi
fi
