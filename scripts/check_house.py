#!/usr/bin/env python3
"""Refuses what the house does not allow: includes that docs/architecture.md has no arrow for, device #ifdefs outside
the engine, flags of programs below apps, folders and files that the table forgets. Then plants an include that points
up in every room, one at a time, and a flag, and expects to refuse each."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOP = ("engine", "third_party", "layers", "losses", "data", "models", "apps")
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"](?:kindred/)?((?:' + "|".join(TOP) + r')/[\w./]+)[>"]', re.MULTILINE)
FLAG = re.compile(r'^(?!\s*//).*"(?:[^"\n]*[ (])?(--[a-z][a-z-]+)', re.MULTILINE)
DEVICE = re.compile(r"^#\s*(?:el)?if.*(?:CUDA|ONEDNN|DNNL)", re.MULTILINE)


def table():
    """By room, the rooms that it may include."""
    rooms = {}
    for line in (ROOT / "docs/architecture.md").read_text().splitlines():
        cells = line.split("|")
        name = re.fullmatch(r" `([\w/]+)` ", cells[1]) if len(cells) == 5 else None
        if name and name[1].split("/")[0] in TOP and (ROOT / name[1]).is_dir():
            rooms[name[1]] = set(re.findall(r"`([\w/]+)`", cells[3]))
    return rooms


def room_of(path, rooms):
    """The room with the longest name that holds `path`; None where the table has none."""
    return max((room for room in rooms if path.startswith(room + "/")), key=len, default=None)


def allowed(room, other, rooms):
    """Whether `room` may include `other`; a name in the table stands for rooms inside it where it has no row itself."""
    return other == room or any(other == name or (name not in rooms and other.startswith(name + "/"))
                                for name in rooms[room])


def complaints(path, text, rooms):
    """What is wrong with the source `path` that reads `text`."""
    room = room_of(path, rooms)
    if room is None:
        return [f"{path} lies in no room of docs/architecture.md"]
    found = []
    for included in INCLUDE.findall(text):
        other = room_of(included, rooms)
        if other is None or not allowed(room, other, rooms):
            found.append(f"{path} includes {included}: {room} has no arrow to {other or 'it'} in docs/architecture.md")
    if not path.startswith(("engine/", "third_party/")) and DEVICE.search(text):
        found.append(f"{path} has an #ifdef for a device; those belong in engine")
    if room.split("/")[0] != "apps":
        found += [f"{path} names the flag {flag} of a program; give the error a Cause (engine/error.h)"
                  for flag in FLAG.findall(text) if flag != "--concatenate"]  # tar's
    return found


def main():
    rooms = table()
    tracked = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", *TOP], capture_output=True, text=True, check=True)
    sources = [s for s in tracked.stdout.split("\0") if s.endswith((".h", ".cpp", ".cu")) and (ROOT / s).exists()]
    found = []
    some_header = {}
    for path in sources:
        found += complaints(path, (ROOT / path).read_text(), rooms)
        if path.endswith(".h"):
            some_header.setdefault(room_of(path, rooms), path)
    for top in TOP:
        if not any(room.split("/")[0] == top for room in rooms):
            found.append(f"docs/architecture.md has no row for {top}")
    # The table itself points one way: nobody is reached from a room that he reaches.
    reached = {room: {other for other in rooms if other != room and allowed(room, other, rooms)} for room in rooms}
    for _ in rooms:  # and from those that they reach
        reached = {room: others.union(*(reached[other] for other in others)) for room, others in reached.items()}
    for room, others in reached.items():
        found += [f"docs/architecture.md: {room} and {other} stand in a circle"
                  for other in others if room in reached[other] and room <= other]
    # The check of the check.
    planted = 0
    for path in {room_of(s, rooms): s for s in sources}.values():
        room = room_of(path, rooms)
        above = next((h for other, h in some_header.items() if other and not allowed(room, other, rooms)), None)
        if above is None:  # the programs themselves: nothing stands above them
            continue
        planted += 1
        if not complaints(path, f"#include <kindred/{above}>\n" + (ROOT / path).read_text(), rooms):
            found.append(f"an include of {above} in {path} was not refused")
    if not complaints("engine/error.h", 'fail(ExitCode::usage, "use a smaller --batch-size");', rooms):
        found.append("a planted flag was not refused")
    for line in found:
        print(f"error: {line}", file=sys.stderr)
    if not found:
        print(f"house: {len(sources)} sources of {len(rooms)} rooms keep to the arrows; {planted} planted includes "
              "and a flag refused")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
