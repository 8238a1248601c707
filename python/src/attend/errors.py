"""What can go wrong, by who can mend it. Each message is one line: it names the file, the
place in it and the way out."""

from __future__ import annotations


class Error(Exception):
    """The machine failed, or the program is at fault. Programs end with exit code 1.

    >>> Refused("shards/a.arrow: damaged").code
    4
    """

    code = 1


class Usage(Error):
    """The command line or the config is wrong."""

    code = 2


class BadInput(Error):
    """A file of the user is missing or wrong."""

    code = 3


class Refused(Error):
    """An artifact is of another kind, of a newer schema, damaged, or made from something else."""

    code = 4


class Interrupted(BaseException):
    """SIGINT, SIGTERM or SIGHUP. No `Exception`, so that no stage takes it for a fault."""

    code = 130


def escaped(text: str, keep: str = "") -> str:
    r"""Writes control characters and marks of writing direction out, so that a name or a
    caption can't move a terminal's cursor or look like another one.

    >>> print(escaped("a\x1b[2Jb\tc" + chr(0x202E)))
    a\u{1b}[2Jb\tc\u{202e}
    """
    plain = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}

    def shown(c: str) -> str:
        number = ord(c)
        control = number < 32 or 127 <= number < 160
        turns = 0x202A <= number <= 0x202E or 0x2066 <= number <= 0x2069
        if c in keep or not (control or turns):
            return c
        return plain.get(c, f"\\u{{{number:x}}}")

    return "".join(map(shown, text))
