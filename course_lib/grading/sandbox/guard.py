"""A second fence, of Python's own: an audit hook, which no Python code can remove.

On Linux it stands inside the kernel's fence and says in plain words what the kernel would refuse
with an error number; and it notices when code reaches for answers. Elsewhere it is all there is:
code that calls C directly gets round it, so marks that matter want a container there.
"""

import builtins
import os
import sys
import types

from .outcomes import REFUSED_STATUS, REVIEW_STATUS

REFUSED = {
    "the judge does not start other programs or processes": (
        "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.startfile",
        "os.system", "pty.spawn", "subprocess.Popen", "cpython.PyInterpreterState_New"
    ),
    "the judge does not let a function change limits": ("resource.setrlimit", "resource.prlimit"),
    "the judge does not let a function make links": ("os.link", "os.symlink"),
}  # fmt: skip
# Refused only where this hook is the one fence: ways to get at the hook itself, and at C.
GETS_AT_THE_HOOK = {
    "the judge does not let a function look at the judge": (
        "gc.get_objects", "gc.get_referents", "gc.get_referrers", "sys._current_exceptions",
        "sys._current_frames", "sys.monitoring.register_callback", "sys.setprofile",
        "sys.settrace"
    ),
    "the judge does not call other languages": ("ctypes.dlsym",),
}  # fmt: skip
CHANGES_PATH = frozenset([
    "os.chflags", "os.chmod", "os.chown", "os.mkdir", "os.remove", "os.removexattr", "os.rename",
    "os.rmdir", "os.setxattr", "os.truncate", "os.utime"
])  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC
IMPORT = "sandbox.import"  # this package's own event


def arm(
    package: str,
    helpers: list[str],
    hidden: list[str],
    writable: str,
    report_to: int,
    only: bool,
    paths: tuple,
) -> None:
    """Fence this process in. There is no way back.

    Parameters
    ----------
    package : str
        Name of the library that holds answers. Importing it, or a module of it, is reported.
    helpers : list of str
        Modules of the library that the task needs and that stay importable.
    hidden : list of str
        Paths that hold answers. Looking into them is reported, and ends the process at once.
    writable : str
        The only folder in which files may be changed.
    report_to : int
        Descriptor for the reason.
    only : bool
        Whether this is the only fence. What it refuses then ends the process: an exception would
        carry the hook's frame, and with it what the hook decides by, into the submission's hands.
    paths : tuple
        What `frozen_paths` returned; nobody else in this process may hold it.
    """
    if helpers:
        helpers = [*helpers, f"{package}.checks"]  # they import it, and it holds no answer
    sys.meta_path.insert(0, AnswerBlocker())
    sys.addaudithook(hook(package, helpers, hidden, writable, report_to, only, *paths))


def hook(package, helpers, hidden, writable, report_to, only, realpath, is_folder):
    """Return the audit hook.

    It is one function, and all that it decides by is in its closure, or in copies of the modules
    that it uses, builtins among them: replacing ``any``, ``os.readlink`` or a name of this module
    changes nothing for it.
    """
    write, leave, own, separator = os.write, os._exit, os.getpid(), os.sep
    writing, changes_path, null, imported = WRITING, CHANGES_PATH, realpath(os.devnull), IMPORT
    events = {**REFUSED, **(GETS_AT_THE_HOOK if only else {})}
    refused = {event: words for words, names in events.items() for event in names}
    hidden = tuple(realpath(path) for path in hidden)
    harmless, writable = realpath(os.path.dirname(__file__)), realpath(writable)
    files, modules = names_of(package, helpers, hidden)
    review, end = REVIEW_STATUS, REFUSED_STATUS

    def watch(event, arguments):
        reason, kind = refused.get(event, ""), "refused"
        if event[:7] == "socket.":
            reason = "the judge has no network"
        elif event in ("os.kill", "os.killpg") and arguments[0] != own:
            reason = "the judge does not send signals to other processes"
        elif only and event == "ctypes.dlopen" and arguments[0] is not None:
            reason = "the judge does not call other languages"
        elif event == imported:
            name = arguments[0]
            if name.split(".")[0] == package and name not in modules:
                reason, kind = f"it imports {name}, where answers are kept", "review"
        elif event == "open" or event in changes_path:
            changes = event != "open" or bool((arguments[2] or 0) & writing)
            for given in arguments[: 2 if event == "os.rename" else 1]:
                if isinstance(given, str):
                    given = str.encode(given, "utf-8", "surrogateescape")
                if not isinstance(given, bytes):
                    continue  # a descriptor that was opened under this hook's eyes
                given = bytes.decode(given, "utf-8", "surrogateescape")
                try:
                    path = realpath(given)
                except (OSError, ValueError):
                    continue  # it is no path, which the system will say
                place = path + separator
                for folder in hidden:
                    if not place.startswith(folder + separator):
                        continue
                    if place.startswith(harmless + separator):
                        continue
                    plain = path.replace(separator + "__pycache__", "")
                    above, _, name = plain.rpartition(separator)
                    if above + separator + name.split(".")[0] not in files:
                        kind = "review"
                        reason = f"it opens {path.rpartition(separator)[2]}, "
                        reason += "in a folder that holds answers"
                inside = place.startswith(writable + separator) or path == null
                # Below a folder's descriptor, a path that climbs ends elsewhere than it seems.
                climbs = ".." in given.split(separator) and given[:1] != separator
                if not reason and changes and (climbs or not inside):
                    reason = "the judge does not let a function change files"
                if not reason and only and (climbs or (not inside and is_folder(path))):
                    reason = "the judge does not let a function open folders"
        if reason and (only or kind == "review"):
            clean = "".join([c if c.isprintable() and c not in '"\\' else "?" for c in reason])
            try:
                write(report_to, f'{{"{kind}": "{clean[:300]}"}}'.encode("ascii", "replace"))
            finally:
                leave(review if kind == "review" else end)
        if reason:
            raise PermissionError(reason)

    return frozen(watch, {})


def names_of(
    package: str, helpers: list[str], hidden: tuple[str, ...]
) -> tuple[frozenset, frozenset]:
    """Return the files, without their suffixes, and the modules that a task's helpers consist of."""
    modules = {package} if helpers else set()
    for helper in helpers:
        parts = helper.split(".")
        modules |= {".".join(parts[: end + 1]) for end in range(len(parts))}
    tops = [folder for folder in hidden if os.path.basename(folder) == package]
    paths = {os.path.join(top, *name.split(".")[1:]) for top in tops for name in modules}
    packages = {os.path.join(path, "__init__") for path in paths}
    return frozenset(paths | packages), frozenset(modules)


def frozen(function: types.FunctionType, names: dict) -> types.FunctionType:
    """Return a copy of a function that looks nothing up where a submission could change it."""
    names.setdefault("__builtins__", dict(vars(builtins)))
    copy = types.FunctionType(
        function.__code__, names, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def frozen_paths():
    """Return `os.path.realpath` and `os.path.isdir` with copies of all that they call."""
    names = dict(vars(os.path))
    names["__builtins__"] = dict(vars(builtins))
    for name, value in list(names.items()):
        if isinstance(value, types.ModuleType):
            names[name] = types.SimpleNamespace(**vars(value))
    for name, value in list(names.items()):
        if isinstance(value, types.FunctionType):
            names[name] = frozen(value, names)
    return names["realpath"], names["isdir"]


class AnswerBlocker:
    """An import hook that tells the audit hook of every import; it holds nothing itself."""

    def find_spec(self, name, path=None, target=None) -> None:
        """Let every module through, if the audit hook does."""
        sys.audit(IMPORT, name)
