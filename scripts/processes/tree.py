"""What the system says about the processes of a run."""
import os
import pathlib


def _status(pid):
    """The fields of /proc/PID/stat behind the name: state, parent, ...; None if there is no such process."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def alive(pid):
    status = _status(pid)
    return status is not None and status[0] != "Z"


def descendants(pid):
    """The numbers of all processes below this one."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (status := _status(entry)):
            children.setdefault(int(status[1]), []).append(int(entry))
    found, left = [], [pid]
    while left:
        left += children.get(left.pop(), [])
        found += [child for child in left if child not in found]
    return found


def is_program(pid, name):
    try:
        return pathlib.Path(os.readlink(f"/proc/{pid}/exe")).name == name
    except OSError:
        return False


def running(name, argument):
    """The numbers of all processes of a program with this argument, wherever they were started."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or not is_program(entry, name):
            continue
        try:
            arguments = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if str(argument).encode() in arguments and alive(entry):
            found.append(int(entry))
    return found


def environment_of(pid):
    try:
        entries = pathlib.Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return {}
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)
