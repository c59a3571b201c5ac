"""Finds names that two sources could take from each other when they are compiled at once (CMake's unity build).

A name in an anonymous namespace belongs to one source. Compiled behind it, another source that uses the same name for
something of a header or of an enclosing namespace would silently get the first source's.
"""
import re


def without_raw_texts(text):
    return re.sub(r'R"(\w*)\(.*?\)\1"', '""', text, flags=re.S)


def without_comments(text):
    """The code without comments and the content of texts."""
    text = without_raw_texts(text)
    text = re.sub(r'"(?:\\.|[^"\\\n])*"', '""', text)
    text = re.sub(r"//.*", "", text)
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def without_brackets(text):
    """A statement without anything in brackets."""
    while (shorter := re.sub(r"\([^(){}<>\[\]]*\)|\{[^(){}<>\[\]]*\}|<[^(){}<>\[\]]*>|\[[^(){}<>\[\]]*\]", " ", text)) != text:
        text = shorter
    return text


def own_names(source):
    """The names that a source declares in its anonymous namespaces, where clang-format writes them: in column 0."""
    statements, inside = [], False
    for line in without_raw_texts(source).split("\n"):
        if line.startswith("namespace {"):
            inside = True
        elif line.rstrip() == "}  // namespace":
            inside = False
        elif inside and line.strip():
            if line[0] not in " }#/":
                statements.append(line)
            elif statements:
                statements[-1] += "\n" + line
    names = set()
    for statement in map(without_comments, statements):
        if statement.startswith(("using namespace", "static_assert", "namespace ")):
            continue
        statement = re.sub(r"^(?:template\s*<[^\n]*>\s*|\[\[\w+\]\]\s*)+", "", statement)
        if found := re.match(r"(?:struct|class|enum class|enum|union)\s+(\w+)|using (\w+) =", statement):
            names.add(found.group(1) or found.group(2))
        elif found := re.match(r"[\w:<>,&*\s]*?[\s&*](\w+)\(", re.split("[={;]", statement, maxsplit=1)[0]):
            names.add(found.group(1))
        else:
            for declarator in without_brackets(statement.split(";")[0]).split(","):
                if words := re.findall(r"[A-Za-z_]\w*", declarator.split("=")[0]):
                    names.add(words[-1])
    return names


def shared_names(sources):
    """(name, the source that uses it, the source that owns it) for each conflict; `sources` maps paths to texts."""
    own = {path: own_names(text) for path, text in sources.items()}
    found = []
    for path, text in sources.items():
        used = set(re.findall(r"(?<![\w.:])(?<!->)([A-Za-z_]\w*)\b", without_comments(text)))
        for other in sources:
            if other != path:
                found += [(name, path, other) for name in sorted(own[other] & used)]
    return found
