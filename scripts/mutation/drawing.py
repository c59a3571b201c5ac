"""Draws errors at random from the sources: an operator, a constant, two arguments swapped, a statement dropped.

universalmutator (Groce et al., ICSE 2018; from PyPI) applies the rules in cpp.rules.
"""
import contextlib
import functools
import io
import os
import pathlib
import random
import subprocess
import sys

import from_pip
from mutation.planting import ROOT

ROOMS = ("apps", "encoder", "models", "data", "losses", "layers")
RULES = pathlib.Path(__file__).with_name("cpp.rules")


@functools.cache
def universalmutator():
    """The module, or None; pip installs it into the build tree at first use."""
    tools = from_pip.TOOLS / "universalmutator"
    if not tools.exists():
        from_pip.bring("universalmutator==1.14.1", "--no-deps", into=tools)
    sys.path.insert(0, str(tools))
    try:
        from universalmutator import mutator
    except ImportError:
        return None
    return mutator


def sources(rooms=ROOMS, suffixes=(".cpp", ".cu", ".h", ".cuh")):
    """Tracked sources of the rooms, as paths in the repository."""
    tracked = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", *rooms], check=True, capture_output=True,
                             text=True).stdout.split("\0")
    return [path for path in tracked if path.endswith(suffixes)]


def in_string(line, at):
    """Whether the character at `at` lies in a string literal."""
    return line[:at].replace('\\"', "").count('"') % 2 == 1


@functools.cache
def errors_of(source):
    """For each line number, the texts that the rules make from the line."""
    with open(ROOT / source) as file:
        lines = file.readlines()
    with contextlib.redirect_stdout(io.StringIO()):
        made = universalmutator().mutants_regexp(lines, ruleFiles=[str(RULES)], ignorePatterns=[])
    by_line = {}
    for number, text, *_ in made:
        line = lines[number - 1]
        if text == line or line.lstrip().startswith("//"):
            continue
        if not in_string(line, len(os.path.commonprefix([line, text]))):
            by_line.setdefault(number, set()).add(text)
    return by_line


def draw(seed, among):
    """An endless series of errors, evenly distributed over the lines of the sources `among`: (number, source, line,
    text before, text after)."""
    lines = [(source, line) for source in among for line in errors_of(source)]
    dice = random.Random(seed)
    dice.shuffle(lines)
    for number, (source, line) in enumerate(lines):
        with open(ROOT / source) as file:
            before = file.readlines()[line - 1]
        yield number, source, line, before, dice.choice(sorted(errors_of(source)[line]))
