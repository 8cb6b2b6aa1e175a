"""The targets that a Makefile has rules for, by make's own database of it (`make -p`). Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from ec2tasks.base.dataclass import dataclass

PREFIX = "on-ec2-"
EACH_PREFIX = "on-each-ec2-"


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What a Makefile can make: names, patterns, suffixes such as `.md` of `.md:` or `.md.pdf:` rules.

    `anything` is set where no name can be refused: `%:`, `.DEFAULT:`, a search path.
    """

    names: frozenset[str] = frozenset()
    patterns: frozenset[str] = frozenset()
    suffixes: frozenset[str] = frozenset()
    anything: bool = False

    def may_make(self, target: str, exists: Callable[[str], bool]) -> bool:
        """Whether make may have a rule for this target; in doubt, it has. `exists` looks for a file."""
        target = target.removeprefix("./")
        return (
            self.anything
            or target in self.names
            or exists(target)
            or any(_matches(pattern, target) for pattern in self.patterns)
            or self._from_suffix(target, exists)
            or re.search(r"[%$()*?\[\\]", target) is not None
        )

    def _from_suffix(self, target: str, exists: Callable[[str], bool]) -> bool:
        """Whether a suffix rule, make's own or the project's, could start from an existing file."""
        stem, _, suffix = target.rpartition(".")
        named = stem and not stem.endswith("/")  # `.o` alone is made from nothing
        stems = [target, stem] if named and f".{suffix}" in self.suffixes | OWN_SUFFIXES else [target]
        return any(exists(stem + suffix) for stem in stems for suffix in self.suffixes | OWN_SUFFIXES)


ANYTHING = Targets(anything=True)
# make's own rules start from files with these suffixes, or from RCS's.
SUFFIXES = (
    ".a .ln .o .c .cc .C .cpp .p .f .F .m .r .y .l .ym .yl .lm .s .S .mod .sym .def .h .info .dvi .tex"
    " .texinfo .texi .txinfo .w .ch .web .sh .elc .el .out ,v"
)
OWN_SUFFIXES = frozenset(SUFFIXES.split())
SUFFIX_RULE = re.compile(r"(\.[^./]+){1,2}$")


def _matches(pattern: str, target: str) -> bool:
    start, _, end = pattern.partition("%")
    names = (target,) if "/" in pattern else (target, target.rpartition("/")[2])
    fitting = re.compile(f"{re.escape(start)}.+{re.escape(end)}", re.DOTALL)
    return any(fitting.fullmatch(name) for name in names)


def known_targets(database: str) -> Targets:
    """The targets in what `make -p` prints in English (LC_ALL=C).

    `on-ec2-%` and `on-each-ec2-%` do not count: on the instance, they would only ask for one more.
    """
    names, patterns = set[str](), set[str]()
    for line in _rule_lines(database):
        heads = {line[: at.start()] for at in re.finditer(":", line)}
        patterns.update(word for head in heads for word in head.split() if "%" in word)
        if line.startswith(".PHONY:"):
            names.update(line.split()[1:])
        if not line.startswith("%"):
            names.update(heads)
    patterns -= {f"{PREFIX}%", f"{EACH_PREFIX}%"}
    names.discard(PREFIX)
    search_path = re.search(r"^(VPATH :?= *\S|vpath )", database, re.MULTILINE)
    return Targets(
        names=frozenset(names),
        patterns=frozenset(patterns),
        suffixes=frozenset(
            f".{part}" for name in names if SUFFIX_RULE.match(name) for part in name[1:].split(".")
        ),
        anything="%" in patterns or ".DEFAULT" in names or search_path is not None,
    )


def _rule_lines(database: str) -> Iterator[str]:
    """Each `target: prerequisites` of the database, implicit rules first."""
    _, _, rules = database.partition("\n# Implicit Rules\n")
    before = ""
    for line in rules.splitlines():
        if line[:1] not in ("", "#", "\t", " ") and before != "# Not a target:":
            yield line
        before = line


def prerequisites(database: str, target: str) -> tuple[str, ...]:
    """The prerequisites that explicit rules give a target, each once, in what `make -p` prints."""
    found: list[str] = []
    for line in _rule_lines(database):
        name, colon, words = line.partition(":")
        if colon and name == target:
            found += [word for word in words.lstrip(":").split() if word != "|"]
    return tuple(dict.fromkeys(found))


def unknown_targets(goals: Sequence[str], targets: Targets, exists: Callable[[str], bool]) -> list[str]:
    """Those of the goals that make would certainly refuse."""
    return [goal for goal in goals if not targets.may_make(goal, exists)]
