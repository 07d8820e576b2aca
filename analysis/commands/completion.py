"""`secondguess completion`: what a shell needs to complete commands, tables, epochs, columns and questions."""

import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from secondguess.analysis.commands.completing import Next, after
from secondguess.analysis.commands.options import STORE
from secondguess.analysis.console import readable

_FILES = ":files"  # in place of words: any file
_OPEN = ":open"  # before words after which more may follow
_KEPT = "$@"  # signs that are part of the word which they begin anew
_SCRIPTS = {
    "bash": r"""_secondguess() {
  local reply open=""
  COMPREPLY=()
  while IFS= read -r reply; do
    case "$reply" in
      :files) compopt -o default; return ;;
      :open) open=1 ;;
      *) COMPREPLY+=("$reply") ;;
    esac
  done < <("$1" completion bash --line "${COMP_LINE:0:COMP_POINT}" --breaks "$COMP_WORDBREAKS" 2>/dev/null)
  [[ -n "$open" ]] && compopt -o nospace
}
complete -o nosort -F _secondguess secondguess 2>/dev/null || complete -F _secondguess secondguess
""",
    "zsh": r"""#compdef secondguess
_secondguess() {
  local -a replies
  local open=""
  replies=("${(@f)$(secondguess completion zsh --line "${(j: :)words[1,CURRENT]}" 2>/dev/null)}")
  if [[ "${replies[1]}" == ":files" ]]; then _files; return; fi
  if [[ "${replies[1]}" == ":open" ]]; then open=1; shift replies; fi
  [[ -z "${replies[1]}" ]] && return 1
  if [[ -n "$open" ]]; then compadd -S '' -- "${replies[@]}"; else compadd -- "${replies[@]}"; fi
}
if [[ "${zsh_eval_context[-1]}" == loadautofunc ]]; then _secondguess "$@"; else compdef _secondguess secondguess; fi
""",
    "fish": r"""function __secondguess_complete
  for reply in (secondguess completion fish --line (commandline -cp | string collect) 2>/dev/null)
    switch $reply
      case :files
        __fish_complete_path (commandline -ct)
      case :open
      case '*'
        echo $reply
    end
  end
end
complete -c secondguess -f -a '(__secondguess_complete)'
""",
}


@click.command()
@click.argument("shell", type=click.Choice(list(_SCRIPTS)))
@click.option("--line", hidden=True, help="A command line up to the cursor: say what may come next.")
@click.option("--breaks", default="", hidden=True, help="The signs at which bash begins a word anew.")
@STORE
@click.pass_context
def completion(ctx: click.Context, shell: str, store: Path, line: str | None, breaks: str) -> None:
    """Print the script that completes commands, options, tables, epochs, columns and questions in a shell.

    In ~/.bashrc: eval "$(secondguess completion bash)"; in ~/.zshrc, after compinit: eval "$(secondguess completion
    zsh)"; in ~/.config/fish/config.fish: secondguess completion fish | source
    """
    out = readable(sys.stdout)
    if line is None:
        out.write(_SCRIPTS[shell])
        return
    words, current, quote = split(line)
    found = after(ctx.find_root().command, words[1:], current, store)
    out.writelines(f"{reply}\n" for reply in replies(shell, found, current, quote, breaks))


def split(line: str) -> tuple[list[str], str, str]:
    """The words of a command line up to the cursor, the one that has been begun, and the quote that it is in."""
    for quote in ("", "'", '"'):
        lexer = shlex.shlex(line + quote, posix=True)
        lexer.whitespace_split, lexer.commenters = True, ""
        try:
            words = list(lexer)
        except ValueError:  # a quote is open, or a backslash stands at the end
            continue
        begun = bool(quote) or (bool(line) and not re.search(r"(?<!\\)\s$", line))
        return (words[:-1], words[-1], quote) if begun and words else (words, "", quote)
    return line.split()[:-1], line.split()[-1] if line.split() else "", ""


def replies(shell: str, found: Next, current: str, quote: str, breaks: str) -> list[str]:
    """What the shell's script reads: of bash the part of each word that it replaces, with what must be quoted so."""
    if found.files and not found.words:
        return [_FILES]
    words: Sequence[str] = [word for word in found.words if "\n" not in word]
    if shell == "bash":
        cut = 0
        if not quote:  # within quotes nothing begins anew
            places = ((current.rfind(sign), sign) for sign in breaks if not sign.isspace())
            cut = max((place + (sign not in _KEPT) for place, sign in places if place >= 0), default=0)
        words = [word[cut:] if quote else _escaped(word[cut:]) for word in words]
    return [*([_OPEN] if found.open and words else []), *words]


def _escaped(text: str) -> str:
    """A text as bash reads it as one word."""
    return re.sub(r"([^\w@%+=:,./-])", r"\\\1", text)
