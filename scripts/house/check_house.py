#!/usr/bin/env python3
"""Refuses what the house does not allow: includes that docs/architecture.md has no arrow for, device #ifdefs outside
the engine, flags of programs below apps, sources that lie in no room of the table, folders that hold more sources than
the page says, sources of apps that are longer than it says, and names that sources compiled at once could take from each
other. Then plants an include that points up in every room, one at a time, a flag, a source outside of the rooms, a shared
name, a crowded folder and a long source, and expects to refuse each."""
import collections
import re

from checking import ROOT, end, files
from house.own_names import shared_names

PAGE = "docs/architecture.md"
MAY_INCLUDE_ALL = ("bench", "examples", "tests")
CPP = (".h", ".cuh", ".cpp", ".cu")
SOURCES = (*CPP, ".c", ".py", ".sh")
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:<kindred/|")([\w./]+)[>"]', re.MULTILINE)
FLAG = re.compile(r'^(?!\s*//).*"(?:[^"\n]*[ (])?(--[a-z][a-z-]+)', re.MULTILINE)
DEVICE = re.compile(r"^#\s*(?:el)?if.*(?:CUDA|ONEDNN|DNNL)", re.MULTILINE)


def top_of(path):
    return path.split("/")[0]


def table(page):
    """For each room, the rooms that it may include."""
    rooms = {}
    for line in page.splitlines():
        cells = line.split("|")
        name = re.fullmatch(r" `([\w/]+)` ", cells[1]) if len(cells) == 5 else None
        if name and (ROOT / name[1]).is_dir():
            rooms[name[1]] = set(re.findall(r"`([\w/]+)`", cells[3]))
    return rooms


def room_of(path, rooms):
    """The room with the longest name that holds `path`; None if the table has none."""
    return max((room for room in rooms if path.startswith(room + "/")), key=len, default=None)


def allowed(room, other, rooms):
    """Whether `room` may include `other`; a name in the table also stands for the rooms inside it that have no row of
    their own."""
    return other == room or any(other == name or (name not in rooms and other.startswith(name + "/"))
                                for name in rooms[room])


def complaints(path, text, rooms):
    """What is wrong with the source `path` with the content `text`."""
    room = room_of(path, rooms)
    if room is None:
        return [f"{path} lies in no room of {PAGE}"]
    found = []
    for included in INCLUDE.findall(text):
        other = room_of(included, rooms)
        if other is None or not allowed(room, other, rooms):
            found.append(f"{path} includes {included}: {room} has no arrow to {other or 'it'} in {PAGE}")
    if top_of(path) not in ("engine", "third_party") and DEVICE.search(text):
        found.append(f"{path} has an #ifdef for a device; those belong in engine")
    if top_of(path) != "apps":
        found += [f"{path} names the flag {flag} of a program; give the error a Cause (engine/error.h)"
                  for flag in FLAG.findall(text) if flag != "--concatenate"]  # tar's
    return found


def circles(rooms):
    """The table points one way: no room is reached from a room that it reaches."""
    reached = {room: {other for other in rooms if other != room and allowed(room, other, rooms)} for room in rooms}
    for _ in rooms:  # include what those rooms reach
        reached = {room: others.union(*(reached[other] for other in others)) for room, others in reached.items()}
    return [f"{PAGE}: {room} and {other} stand in a circle"
            for room, others in reached.items() for other in others if room in reached[other] and room <= other]


def crowded(paths, most):
    """Folders with more than `most` of these sources."""
    counts = collections.Counter(path.rpartition("/")[0] for path in paths)
    return [f"{folder} holds {count} sources; {PAGE} allows {most}" for folder, count in counts.items() if count > most]


def too_long(texts, most):
    """The sources of apps with more than `most` lines; `texts` maps paths to texts."""
    lines = {path: len(text.splitlines()) for path, text in texts.items() if top_of(path) == "apps"}
    return [f"{path} has {count} lines; {PAGE} allows {most} in apps, so split it along its ideas"
            for path, count in lines.items() if count > most]


JOINED = ("apps", "data/sets", "engine engine/cpu engine/kernels engine/random",
          "engine/communicator", "engine/files", "models", "encoder")


def joined(paths):
    """The groups of sources that are compiled at once, by the CMakeLists.txt of their rooms: of apps all but the programs,
    as if all rooms were one."""
    for group in JOINED:
        folders = group.split()
        yield {path: (ROOT / path).read_text() for path in paths if path.endswith(".cpp") and (
            path.rpartition("/")[0] in folders and group != "apps" or
            group in ("apps", "data/sets") and path.startswith(group + "/") and path.count("/") > 1 and
            not path.startswith("apps/onnx/"))}


def shared(sources):
    return [f"{path} uses {name}, a name of {other} alone; these sources are compiled at once, so rename one"
            for name, path, other in shared_names(sources)]


def main():
    page = (ROOT / PAGE).read_text()
    rooms = table(page)
    most = int(re.search(r"No folder holds more than (\d+) sources", page)[1])
    most_lines = int(re.search(r"No source in `apps/` has more than (\d+) lines", page)[1])
    in_folders = [path for path in files() if path.endswith(SOURCES) and "/" in path]
    sources = [path for path in in_folders if path.endswith(CPP) and top_of(path) not in MAY_INCLUDE_ALL]
    found = circles(rooms) + crowded(in_folders, most)
    found += too_long({path: (ROOT / path).read_text() for path in in_folders if top_of(path) == "apps"}, most_lines)
    some_header = {}
    for path in sources:
        found += complaints(path, (ROOT / path).read_text(), rooms)
        if path.endswith(".h"):
            some_header.setdefault(room_of(path, rooms), path)
    for group in joined(sources):
        if not group:
            found.append("a group of sources that are compiled at once is empty")
        found += shared(group)
    # Test of this check.
    planted = 0
    for path in {room_of(s, rooms): s for s in sources}.values():
        room = room_of(path, rooms)
        above = next((h for other, h in some_header.items() if other and room and not allowed(room, other, rooms)), None)
        if above is None:  # the programs themselves: nothing stands above them
            continue
        planted += 1
        if not complaints(path, f"#include <kindred/{above}>\n" + (ROOT / path).read_text(), rooms):
            found.append(f"an include of {above} in {path} was not refused")
    for what, refused in (
            ("flag", complaints("engine/error.h", 'fail(ExitCode::usage, "use a smaller --batch-size");', rooms)),
            ("source outside of the rooms", complaints("attic/trunk.h", "", rooms)),
            ("name of two sources", shared({
                "apps/a.cpp": "namespace kindred {\nnamespace {\n\nconstexpr int least = 1, most = 2;\n\n}  // namespace\n}\n",
                "apps/b.cpp": "int limit() {\n  using namespace kindred::detail;\n  return most;\n}\n"})),
            ("crowded folder", crowded([f"attic/{i}.h" for i in range(most + 1)], most)),
            ("long source", too_long({"apps/a.cpp": "\n" * (most_lines + 1)}, most_lines))):
        if not refused:
            found.append(f"a planted {what} was not refused")
    end(found, f"house: {len(sources)} sources of {len(rooms)} rooms keep to the arrows, no folder holds more than {most}, "
               f"and no source in apps has more than {most_lines} lines; {planted} planted includes, a flag, a shared name, "
               "a crowded folder and a long source refused")


if __name__ == "__main__":
    main()
