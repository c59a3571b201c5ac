"""Builds Kindred's programs with one error planted in a source. Neither the source nor the build is changed.

The source is compiled with the flags of the build, and each program is linked as in the build, but with the object that
has the planted error.
"""
import hashlib
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class CannotCompile(Exception):
    """The text with the error does not compile."""


def object_of(entry):
    """The object that an entry of compile_commands.json makes."""
    words = shlex.split(entry["command"])
    return words[words.index("-o") + 1]


def joined_sources(entry):
    """The sources that an entry compiles at once (KINDRED_UNITY), or an empty list if it has a source of its own."""
    file = pathlib.Path(entry["file"])
    if file.parent.name != "Unity":
        return []
    return [pathlib.Path(path) for path in re.findall(r'#include "(.*)"', file.read_text())]


def joined_tests(entry):
    """The tests that an entry compiles at once (cmake/join_tests.py), or an empty list."""
    file = pathlib.Path(entry["file"])
    if not file.name.startswith("room_") or file.parent.name != "tests":
        return []
    return [pathlib.Path(path) for path in re.findall(r'^#line 1 "(.*)"', file.read_text(), re.M)]


class Planter:
    """Makes programs with errors from the build in the folder `build`, and puts them into the folder `work`."""

    def __init__(self, build, work):
        self.build = pathlib.Path(build).resolve()
        self.work = pathlib.Path(work).resolve()
        self.work.mkdir(parents=True, exist_ok=True)
        self.compiled = {}  # how the build compiles each source; some are compiled more than once
        for entry in json.loads((self.build / "compile_commands.json").read_text()):
            for source in joined_sources(entry) or joined_tests(entry) or [pathlib.Path(entry["file"])]:
                self.compiled.setdefault(source, []).append(entry)
        self.commands = {}

    def command(self, target):
        """The words of the command that makes `target`, a program or an archive."""
        if target not in self.commands:
            lines = subprocess.run(["ninja", "-C", self.build, "-t", "commands", target], check=True,
                                   capture_output=True, text=True).stdout.splitlines()
            words = shlex.split(lines[-1])
            self.commands[target] = words
        return self.commands[target]

    def link_command(self, target):
        """The link command among the commands that ninja joins by &&. A whole archive is replaced by its objects."""
        words = self.command(target)
        named, whole = [], False
        for word in words[2:words.index("&&", 2)]:
            whole = (whole or "--whole-archive" in word) and "--pop-state" not in word
            if whole and word.endswith(".a"):
                named.extend(w for w in self.command(word) if w.endswith(".o"))
            else:
                named.append(os.path.normpath(word) if word.endswith(".o") else word)
        return named

    def objects(self, target):
        """Every object that `target` is linked from, including the objects of its archives."""
        found = set()
        for word in self.link_command(target):
            if word.endswith(".o"):
                found.add(word)
            elif word.endswith(".a") and not word.startswith("/"):
                found.update(w for w in self.command(word) if w.endswith(".o"))
        return found

    def compile(self, source, text, to, headers=None):
        """Compiles `text` in place of `source`, a path in the repository, and returns the objects that it replaces.

        With `headers` that folder is searched first. A kernel of the GPU is compiled for the host.
        """
        of_gpu = source.endswith(".cu")
        entries = self.compiled[self.build / "emulated" / (source + ".cpp") if of_gpu else ROOT / source]
        words = shlex.split(entries[0]["command"])
        if words[0].endswith("ccache"):  # ccache starts the compiler
            words = words[1:]
        out = words.index("-o")
        if headers:
            words.insert(1, f"-I{headers}")
            out += 1
        written = to.with_suffix(".cpp")
        written.write_text(("#define KINDRED_EMULATE\n" if of_gpu else "") + text)
        if joined_sources(entries[0]):
            whole = pathlib.Path(entries[0]["file"]).read_text()
            alone, written = written, to.with_suffix(".joined.cpp")
            written.write_text(whole.replace(f'"{ROOT / source}"', f'"{alone}"'))
        elif joined_tests(entries[0]):  # errors are in what it includes
            assert text == (ROOT / source).read_text(), "no errors are planted in tests"
            written = pathlib.Path(entries[0]["file"])
        # Includes are written as <kindred/...>, so that the place of the text does not matter.
        result = subprocess.run([*words[:out], "-Wno-error", "-o", to, "-c", written], cwd=entries[0]["directory"], capture_output=True,
                                text=True)
        if result.returncode != 0:
            raise CannotCompile(result.stderr)
        return [object_of(entry) for entry in entries]

    def link(self, target, replaced, to):
        """Links `target` as `to`; `replaced` names the object to use in place of an original. Returns False if it uses
        none of them."""
        inside = self.objects(target)
        replaced = {original: planted for original, planted in replaced.items() if original in inside}
        if not replaced:
            return False
        named = [word for word in self.link_command(target) if word not in replaced]
        named[named.index("-o") + 1] = str(to)
        # The replacements come first, so that the linker takes functions from them, and does not take the archive's
        # member with the same symbols.
        named[1:1] = [str(planted) for planted in replaced.values()]
        if shutil.which("ld.lld"):  # twice as fast
            named.insert(1, "-fuse-ld=lld")
        subprocess.run(named, cwd=self.build, check=True)
        return True

    def plant(self, source, text, through=()):
        """The objects with `text` in place of `source`, by the originals' paths; a header is compiled `through` sources."""
        # Two errors of one source may be compiled at the same time.
        name = source.replace("/", "_") + "." + hashlib.sha256(text.encode()).hexdigest()[:8]
        headers = None
        # A source with kernels for several kinds of vectors includes itself, once for each of them.
        if through or "<hwy/foreach_target.h>" in text:
            headers = self.work / (name + ".include")
            (headers / "kindred" / source).parent.mkdir(parents=True, exist_ok=True)
            (headers / "kindred" / source).write_text(text)
        if not through:
            to = self.work / (name + ".o")
            return dict.fromkeys(self.compile(source, text, to, headers), to)
        replaced = {}
        for number, user in enumerate(through):
            to = self.work / f"{name}.{number}.o"
            replaced.update(dict.fromkeys(self.compile(user, (ROOT / user).read_text(), to, headers), to))
        return replaced

    def link_programs(self, replaced, folder, emulated=False):
        """Fills `folder` with the programs. A program without the error is a link to the program of the build."""
        (folder / "emulated").mkdir(parents=True, exist_ok=True)
        apps = self.build / "apps"
        # All that there are: a test whose program is missing would fail, and every error would count as noticed.
        for file in sorted((apps / "emulated" if emulated else apps).iterdir()):
            if not file.is_file() or not os.access(file, os.X_OK):
                continue
            program = file.relative_to(apps)
            if (folder / program).is_symlink() or (folder / program).exists():
                continue
            if file.is_symlink():  # another name of a program
                os.symlink(os.readlink(file), folder / program)
            elif not self.link(f"apps/{program}", replaced, folder / program):
                os.symlink(file, folder / program)
