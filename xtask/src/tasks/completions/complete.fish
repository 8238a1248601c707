# Completes `COMMAND` command lines of attend.
function __attend_words
    set -l given (commandline -opc) (commandline -ct)
    set -l skip 2
    test COMMAND = cargo; and set skip 3
    PROGRAM complete -- $given[$skip..] 2>/dev/null
end

function __attend_here
    set -l given (commandline -opc)
    test COMMAND = attend; or begin
        test (count $given) -ge 2; and test $given[2] = xtask
    end
end

complete -c COMMAND -n __attend_here -f -a '(__attend_words)'
