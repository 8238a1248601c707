# Completes `COMMAND` command lines of attend; other commands of cargo as before.
_attend_words() {
  local value
  COMPREPLY=()
  while IFS=$'\t' read -r value _; do
    [[ $value == "${!#}"* ]] && COMPREPLY+=("$value")
  done < <(PROGRAM complete -- "$@" 2>/dev/null)
  # After `section.key=` and the name of a folder no space follows.
  [[ ${#COMPREPLY[@]} == 1 && $COMPREPLY == *[=/] ]] && compopt -o nospace
}

_attend() {
  local words=("${COMP_WORDS[@]:1:COMP_CWORD}")
  if [[ COMMAND == attend ]]; then
    _attend_words "${words[@]}"
  elif [[ ${words[0]} == xtask && ${#words[@]} -gt 1 ]]; then
    _attend_words "${words[@]:1}"
  elif [[ $_attend_before ]]; then
    "$_attend_before" "$@"
  fi
}

if [[ COMMAND == cargo && ! $(complete -p cargo 2>/dev/null) == *' _attend cargo' ]]; then
  declare -F _completion_loader >/dev/null && _completion_loader cargo
  _attend_before=$(complete -p cargo 2>/dev/null | sed -n 's/.* -F \([^ ]*\) .*/\1/p')
fi
complete -F _attend COMMAND
