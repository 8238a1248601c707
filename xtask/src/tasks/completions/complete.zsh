# Completes `COMMAND` command lines of attend. Cargo's own completion calls _cargo-xtask.
_attend() {
  local -a given values lines
  local line at=${words[(i)xtask]}
  [[ COMMAND == cargo ]] || at=1
  given=("${(@)words[at+1,CURRENT]}")
  lines=("${(@f)$(PROGRAM complete -- "${(@Q)given}" 2>/dev/null)}")
  for line in $lines; do
    values+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
  done
  _describe -V attend values
}

_cargo-xtask() { _attend }
if [[ COMMAND == attend ]] || ! (( $+_comps[cargo] )); then
  compdef _attend COMMAND
fi
