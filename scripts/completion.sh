# shellcheck shell=bash disable=SC2296,SC2086 # half of it is zsh
# Completes cutoff's commands and options in bash and zsh. In ~/.bashrc or ~/.zshrc (there after compinit):
#
#   source /path/to/CutoffLen/scripts/completion.sh
#
# The program itself answers, "cutoff [suggest:POSITION] LINE", so new verbs need nothing here.
if [ -n "${ZSH_VERSION:-}" ]; then
    _cutoff() {
        local line="${(j: :)words[2,CURRENT]}"
        compadd -- ${(f)"$(TERM=dumb ${~words[1]} "[suggest:${#line}]" "$line" 2>/dev/null)"} || _files
    }
    compdef _cutoff cutoff
else
    _cutoff() {
        local IFS=$'\n' program=${COMP_WORDS[0]}
        local line=${COMP_LINE:${#program}+1:COMP_POINT-${#program}-1}
        # The program also suggests what only contains the word; bash wants what begins with it.
        # shellcheck disable=SC2207 # one suggestion a line
        COMPREPLY=($(compgen -W "$(TERM=dumb "${program/#\~/$HOME}" "[suggest:${#line}]" "$line" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}"))
    }
    complete -o default -F _cutoff cutoff
fi
