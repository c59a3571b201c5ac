#!/usr/bin/env python3
"""Refuses pages that name something that does not exist. In README.md, CONTRIBUTING.md and docs/*.md it checks

  `data/views/augment.h`, `augment.h`   a file or folder of the repository, by its whole path or by the end of it
  `build/release/apps/pretrain`         a program that the build makes
  `Tape::backward`, `supcon()`          names that occur in a source
  [text](file.md#heading)               links inside the repository, with the heading
  `engine/tape.h` (165 lines)           the number of lines
  ```cpp losses/supcon/cpu.cpp          a quotation: its lines are in that file, in this order; "..." leaves lines out,
                                        and comments at the ends of lines are not compared
  match() in losses/supcon/reference.cpp   as printed by explain_loss: a function of that file
  ```cpp new:layers/gelu/gelu.h         a file that the reader makes: it exists for this page (also ```cmake add:...)

A name with a part in capitals (`RUN/plans.json`, `fuzz_NAME.cpp`) or called `foo` is a placeholder, and is not checked.
Then plants an error of each kind and expects to refuse it."""
import copy
import pathlib
import re

from checking import ROOT, end, files

SOURCE = re.compile(r"[\w./+-]+\.(?:h|cpp|cu|py|sh|cmake|md)|(?:[\w./+-]+/)?CMakeLists\.txt")
PLACEHOLDER = re.compile(r"(?:^|[/_.])(?:[A-Z]{2,}|foo)(?=$|[/_.])|\.\.\.")


class Tree:
    def __init__(self):
        self.files = set(files())
        self.tops = {f.split("/")[0] for f in self.files if "/" in f}
        self.endings = self.endings_of(self.files)
        self.words = self.words_of((".h", ".cuh", ".cpp", ".cu", ".py", ".c"))
        self.words_of_cmake = self.words_of(("CMakeLists.txt",))

    @staticmethod
    def endings_of(files):
        """The endings of the paths of files and of their folders: `a/b/c.h`, `b/c.h`, `c.h`, `a/b`, `b`, `a`."""
        folders = {str(p) for f in files for p in pathlib.PurePosixPath(f).parents}
        return {"/".join(parts[i:]) for f in files | folders for parts in [f.split("/")] for i in range(len(parts))}

    def with_files(self, texts):
        """A copy that also has these files, by their paths."""
        tree = copy.copy(self)
        tree.files = self.files | set(texts)
        tree.endings = self.endings | self.endings_of(set(texts))
        tree.words = self.words.union(*(re.findall(r"\w+", text) for text in texts.values()))
        return tree

    def words_of(self, endings):
        return {word for f in self.files if f.endswith(endings) and f != "scripts/check_docs.py"
                for word in re.findall(r"\w+", (ROOT / f).read_text())}

    def has(self, name):
        return name.rstrip("/") in self.endings

    def has_program(self, name):
        """Whether the build makes this program. Benchmarks are named after their source, other programs are in a
        CMakeLists.txt."""
        if name.startswith("bench/bench_"):
            return f"bench/{name.removeprefix('bench/bench_')}.cpp" in self.files
        return name.split("/")[-1] in self.words_of_cmake


def is_path(span, tree):
    """Whether the text in backquotes means a file or a folder of the repository."""
    if PLACEHOLDER.search(span):
        return False
    return bool(SOURCE.fullmatch(span)) or ("/" in span and span.split("/")[0] in tree.tops
                                            and bool(re.fullmatch(r"[\w./-]+", span)))


def complaint_about(span, tree):
    """What is wrong with a span in backquotes, or None."""
    program = re.match(r"build/\w+/((?:apps|bench|tests)/\w+)\b", span)
    if program:
        return None if tree.has_program(program[1]) else f"`{span}`: no source makes this program"
    if span.startswith(("build/", "runs/", "/", "~", "$", "-")):
        return None
    command = re.match(r"(?:python3 )?((?:scripts|bench)/[\w/]+\.(?:py|sh))\b", span)
    path = command[1] if command else span
    if is_path(path, tree):
        return None if tree.has(path) else f"`{span}`: no such file or folder"
    name = re.fullmatch(r"(\w+(?:::~?\w+)*)(?:\(\))?", span)
    if name and ("::" in span or span.endswith("()")):
        missing = [part for part in name[1].split("::") if part not in tree.words and part not in ("std", "kindred")]
        return f"`{span}`: no source has the word {missing[0]}" if missing else None
    return None


def heading_anchors(text):
    return {re.sub(r"[^\w\- ]", "", line.lstrip("#").strip().lower()).replace(" ", "-")
            for line in text.splitlines() if line.startswith("#")}


def complaint_about_link(page, target, text):
    if re.match(r"\w+:", target):
        return None
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    if not file.exists():
        return f"link to {target}: no such file"
    if anchor and anchor not in heading_anchors(text if file == page else file.read_text()):
        return f"link to {target}: no such heading"
    return None


def code_of(line):
    return re.sub(r"\s+// .*", "", line.strip())


def complaint_about_quotation(path, quoted, tree):
    if path not in tree.files:
        return f"quotation of {path}: no such file"
    lines = iter([code_of(line) for line in (ROOT / path).read_text().splitlines()])
    for line in filter(None, map(code_of, quoted)):
        if line in ("...", "// ...", "# ..."):
            continue
        if line not in lines:  # the next search continues after the line that was found
            return f"quotation of {path}: {line!r} does not stand there, or not behind the lines before it"
    return None


def complaints_about_places(text):
    """`match() in losses/supcon/reference.cpp`, as explain_loss prints it."""
    return [f"{name}() in {path}: no such function there" for name, path in re.findall(r"\b(\w+)\(\) in (\w+/[\w/]+\.cpp)", text)
            if not (ROOT / path).is_file() or not re.search(rf"\b{name}\(", (ROOT / path).read_text())]


def with_new_files(text, tree):
    """The tree with the files that the page tells the reader to make."""
    new = re.findall(r"^```\w+ new:(\S+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return tree.with_files({path: words for path, words in new}) if new else tree


def complaints(page, text, tree):
    tree = with_new_files(text, tree)
    prose, quotation, found = [], None, []
    for line in text.splitlines():
        fence = re.match(r"\s*```\s*(\w*)\s*(\S*)", line)
        if fence and quotation is None:
            quotation = (fence[2], [])
        elif fence:
            if quotation[0] and not quotation[0].startswith(("new:", "add:")):
                found.append(complaint_about_quotation(*quotation, tree))
            quotation = None
        elif quotation is not None:
            quotation[1].append(line)
        else:
            prose.append(line)
    prose = "\n".join(prose)
    found += [complaint_about(" ".join(span.split()), tree) for span in re.findall(r"`([^`]+)`", prose)]
    found += [complaint_about_link(page, target, text) for target in re.findall(r"\]\(([^)\s]+)\)", prose)]
    for path, count in re.findall(r"`([^`]+)` \(([\d,]+) lines\)", prose):
        if path in tree.files and len((ROOT / path).read_text().splitlines()) != int(count.replace(",", "")):
            found.append(f"`{path}` has not {count} lines")
    return [f for f in found if f]


PLANTED = ["`data/views/no_such.h`", "`no_such.cpp`", "`engine/nowhere/`", "`build/release/apps/no_such_program`",
           "`Tape::no_such_function`", "`no_such_function()`", "[text](nowhere.md)", "[text](#no-such-heading)",
           "`engine/tape.h` (7 lines)", "```cpp engine/tape.h\nint no_such_line;\n```",
           "```cpp engine/tape.h\nclass BackwardStep {\nclass Tape {\n```"]


def main():
    tree = Tree()
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    found = []
    for page in pages:
        found += [f"{page.relative_to(ROOT)}: {c}" for c in complaints(page, page.read_text(), tree)]
    explained = "apps/explain_loss.cpp"
    found += [f"{explained}: {c}" for c in complaints_about_places((ROOT / explained).read_text())]
    if len(complaints_about_places("no_such() in losses/supcon/cpu.cpp, sum_row() in losses/supcon/cpu_rows.cpp")) != 1:
        found.append("the check of the pages does not see a function in the wrong file")
    for error in PLANTED:
        if len(complaints(ROOT / "docs/planted.md", error, tree)) != 1:
            found.append(f"the check of the pages does not refuse {error!r}")
    end(found, f"pages: {len(pages)} name nothing that is not there; {len(PLANTED)} planted errors refused")


if __name__ == "__main__":
    main()
