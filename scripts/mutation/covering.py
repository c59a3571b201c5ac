"""Which cases can notice an error in a line: those that enter its function, from the file that entered.py writes."""
import itertools
import json
import re

# A case of the first group takes at most so many seconds, and so on: errors are mostly noticed by a quick one.
GROUPS = (0.5, 5, float("inf"))
LONGEST_PATTERNS = 100_000  # characters of one argument
# A line in a lambda has its start before it, and so have lines of the function behind the lambda.
NEAREST = 3


def pattern_of(case):
    """What doctest takes for the case with this name: commas separate its patterns."""
    return re.sub(r"[,*?\\]", "?", case)


class Entered:
    def __init__(self, path):
        known = json.loads(path.read_text())
        self.cases = known["cases"]
        self.functions = {source: {int(line): set(by) for line, by in lines.items()}
                          for source, lines in known["functions"].items()}

    def cases_of(self, source, line, text):
        """The numbers of the cases that enter the function of this line; None if that is not known.

        What stands outside of functions, such as a constant, may be used by each function of the file, and of a header by
        those of others.
        """
        functions = self.functions.get(source)
        if not functions or (source.endswith(".h") and is_outside(text, line)):
            return None
        before = sorted(start for start in functions if start <= line)[-NEAREST:]
        if not before or is_outside(text, line):
            before = functions
        return set().union(*(functions[start] for start in before))

    def groups(self, numbers):
        """The cases as groups of doctest patterns, with the seconds that a group took and whether it starts programs: first
        those that start none, the quickest before the others."""
        cases = [self.cases[n] for n in sorted(numbers)]
        for programs, least, most in itertools.chain.from_iterable(
                ((starts, least, most) for least, most in itertools.pairwise((-1, *GROUPS))) for starts in (False, True)):
            group, length, seconds = [], 0, 0.0
            for case in (c for c in cases if c["programs"] == programs and least < c["seconds"] <= most):
                pattern = pattern_of(case["name"])
                if length + len(pattern) > LONGEST_PATTERNS:
                    yield ",".join(group), seconds, programs
                    group, length, seconds = [], 0, 0.0
                group.append(pattern)
                length += len(pattern) + 1
                seconds += case["seconds"]
            if group:
                yield ",".join(group), seconds, programs


def is_outside(text, line):
    """Whether the line is outside of all functions: the nearest line above without indentation begins none."""
    lines = text.splitlines()
    for above in range(line - 1, -1, -1):
        if not lines[above] or lines[above][0] in " \t/#":
            continue
        return "(" not in lines[above]
    return True
