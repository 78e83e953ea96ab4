"""Where this repository lives: ``python -m book.repository https://github.com/owner/name``.

The address is written down in ``_config.yml``. Notebooks must name it too (a notebook opened alone
in Colab has to know where to install the library from), and so must badges and metadata: this
replaces the old address by the new one in every text file. ``make repository URL=...`` runs it.
"""

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import yaml

GITHUB_LONGEST_OWNER = 39
ADDRESS = re.compile(r"https://[\w.-]+(?::\d+)?(?:/[\w.-]+)*/([\w.-]+)/([\w.-]+)")


def address(root: Path) -> str:
    """The repository's address, from ``_config.yml``."""
    return yaml.safe_load((root / "_config.yml").read_text("utf-8"))["repository"]["url"]


def slug(url: str) -> str:
    """The last two parts of an address, ``owner/name``."""
    return "/".join(urlsplit(url).path.strip("/").split("/")[-2:])


def is_unset(url: str) -> bool:
    """Whether an address is the default, whose owner nobody can register at GitHub."""
    return len(slug(url).split("/")[0]) > GITHUB_LONGEST_OWNER


def check(url: str) -> None:
    """Raise ValueError unless ``url`` is an address that can be cloned and linked to."""
    advice = "expected something like https://github.com/owner/name"
    if not ADDRESS.fullmatch(url) or "" in urlsplit(url).path.split("/")[1:]:
        raise ValueError(f"{url!r} is not a repository's address: {advice}")
    if url.endswith(".git"):
        raise ValueError(f"{url!r} ends in .git, which links cannot have: {advice}")
    if urlsplit(url).hostname == "github.com" and len(urlsplit(url).path.split("/")) != 3:
        raise ValueError(f"{url!r} is not the address of a repository at GitHub: {advice}")
    if is_unset(url):
        raise ValueError(
            f"{url!r} has an owner of more than {GITHUB_LONGEST_OWNER} characters: {advice}"
        )


def set_address(root: Path, new: str) -> list[str]:
    """Replace the repository's address wherever it is written; return the files that changed.

    Two spellings are replaced: the whole address, and ``github/owner/name`` as in Colab's links.
    """
    check(new)
    old = address(root)
    spellings = {
        re.compile(rf"{re.escape(old)}(?![\w-])"): new,
        re.compile(rf"(?<=/github/){re.escape(slug(old))}(?![\w-])"): slug(new),
    }
    changed = []
    for path in text_files(root):
        text = path.read_bytes().decode()
        replaced = text
        for pattern, replacement in spellings.items():
            replaced = pattern.sub(replacement.replace("\\", r"\\"), replaced)
        if replaced != text:
            path.write_bytes(replaced.encode())
            changed.append(path.relative_to(root).as_posix())
    return changed


def text_files(root: Path) -> list[Path]:
    """The text files that git tracks or would track, or all of a copy without git."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listing.returncode == 0:
        paths = [root / name for name in listing.stdout.split("\0") if name]
    else:
        made = {".git", ".venv", "_build", "__pycache__"}
        paths = [path for path in root.rglob("*") if not made & set(path.relative_to(root).parts)]
    return sorted(
        path for path in paths if path.is_file() and not path.is_symlink() and is_text(path)
    )


def is_text(path: Path) -> bool:
    """Whether a file can be read as UTF-8 text."""
    try:
        return "\0" not in path.read_bytes().decode()
    except UnicodeDecodeError:
        return False


def main(arguments: list[str]) -> int:
    """Set the address given on the command line, or print the present one."""
    root = Path(__file__).resolve().parent.parent
    if len(arguments) != 1 or not arguments[0]:
        print(f"The address is {address(root)}")
        print("To set it: make repository URL=https://github.com/owner/name")
        return 1
    try:
        changed = set_address(root, arguments[0])
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(f"changed {name}" for name in changed) or "nothing to change")
    if urlsplit(arguments[0]).hostname != "github.com":
        print("Note: Colab opens notebooks from github.com only; the Colab links will not work.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
