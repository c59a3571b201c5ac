"""Joins the tests of a room into one source, which compiles in a third of the time: most of a test's time goes into headers.

  join_tests.py OUT TEST.cpp...

Each file keeps its own scope: its content moves into a namespace with its name, so that no file sees another one's names
or using-directives. (Files with macros or specialisations, which reach beyond a namespace, are not given here.) Headers come first. Lines keep their file and number in messages.
"""
import os
import re
import sys


def includes_and_body(path, text):
    includes, body = [], []
    for line in text.split("\n"):
        if found := re.match(r'#include (?:"(.*?)"|(<.*?>))', line):
            near = found.group(1)
            includes.append(f'"{os.path.normpath(os.path.join(os.path.dirname(path), near))}"' if near else found.group(2))
            line = ""
        body.append(line)
    return includes, body


def in_own_scope(path, body):
    name = re.sub(r"\W", "_", os.path.basename(path))  # "sampler_test_cpp": no header calls a namespace so
    begins = [i for i, line in enumerate(body) if re.match(r"namespace kindred(?:::\w+)* \{", line)]
    for i in begins:
        body[i] = re.sub(r"^namespace (kindred(?:::\w+)*) \{", rf"namespace \1::{name} {{", body[i])
    start = [] if begins else [f"namespace {name} {{"]
    end = [] if begins else [f"}}  // namespace {name}"]
    return start + [f'#line 1 "{path}"'] + body + end


def main():
    out, *paths = sys.argv[1:]
    includes, scopes = [], []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        more, body = includes_and_body(path, text)
        includes += [line for line in more if line not in includes]
        scopes += in_own_scope(path, body)
    with open(out, "w", encoding="utf-8") as file:
        file.write("\n".join([f"#include {line}" for line in includes] + scopes) + "\n")


if __name__ == "__main__":
    main()
