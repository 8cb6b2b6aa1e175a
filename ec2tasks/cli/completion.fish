# Completion of ec2tasks in fish:
#   ec2tasks --print-completion-script fish >~/.config/fish/completions/ec2tasks.fish

function __ec2tasks_complete
    set --local typed (commandline --current-process --tokenize --cut-at-cursor)
    set --local word (commandline --current-token --cut-at-cursor)
    set --local found (ec2tasks --complete -- $typed "$word" 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\n' $found
    else
        __fish_complete_path "$word"
    end
end
complete --command ec2tasks --no-files --arguments '(__ec2tasks_complete)'
