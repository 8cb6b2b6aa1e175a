#compdef ec2tasks
# Completion of ec2tasks in zsh:
#   eval "$(ec2tasks --print-completion-script zsh)"       in ~/.zshrc

_ec2tasks() {
    local -a found
    found=("${(@f)$(ec2tasks --complete -- ec2tasks "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n ${found[1]-} ]]; then compadd -a found; else _files; fi
}
if (( ! $+functions[compdef] )); then autoload -Uz compinit && compinit; fi
compdef _ec2tasks ec2tasks
