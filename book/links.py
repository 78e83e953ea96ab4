"""The links of the built pages: what leads into the book must arrive, what leads out is listed."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LIST = "links.txt"
HOST = re.compile(r"(?!-)[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]{2,}", re.IGNORECASE)
INLINE = ("data", "javascript", "mailto")


class Page(HTMLParser):
    """The anchors of a page, where its links lead, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note what an element is called, and what it points to."""
        relation = dict(attributes).get("rel") or ""
        for key, value in attributes:
            if key == "id" or (key == "name" and tag == "a"):
                self.anchors.add(value or "")
            elif key in ("href", "src") and value is not None:
                self.links.append(value)
                if key == "src" or (
                    tag == "link" and re.search("stylesheet|icon|preload", relation)
                ):
                    self.loaded.append(value)


def check_links(html: Path) -> tuple[list[str], dict[str, list[str]]]:
    """What is wrong with the links of a built book, and its external links with their pages.

    Returns
    -------
    problems : list of str
        One line for each internal link without a file or an anchor, and each external one that is not
        a well-formed address of http or https.
    outside : dict of str to list of str
        The pages that name each external address, both sorted.
    """
    pages = {
        file: Page(file.read_text("utf-8"))
        for file in sorted(html.rglob("*.html"))
        if "_static" not in file.relative_to(html).parts
    }
    problems, outside = [], {}
    for file, page in pages.items():
        name = file.relative_to(html).as_posix()
        for link in sorted(set(page.links)):
            if urlsplit(link).scheme in INLINE:
                continue
            if urlsplit(link).scheme or link.startswith("//"):
                outside.setdefault(link, []).append(name)
                if not is_well_formed(link):
                    problems.append(f"{name}: {link} is not a well-formed address")
            elif not arrives(link, file, pages):
                problems.append(f"{name}: {link} leads nowhere")
    return problems, dict(sorted(outside.items()))


def is_well_formed(link: str) -> bool:
    """Whether a link is an address of http or https with a host, and no stray mark in or after it."""
    parts = urlsplit(link)
    return (
        parts.scheme in ("http", "https")
        and HOST.fullmatch(parts.hostname or "") is not None
        and re.fullmatch(r"[!-~]+", link) is not None
        and not re.search(r"[<>\"\\^`{|}]|[.,;:!?]$", link)
        and link.count("(") == link.count(")")
    )


def arrives(link: str, file: Path, pages: dict[Path, Page]) -> bool:
    """Whether a link of a page leads to a file that is there, and to an anchor that it has."""
    parts = urlsplit(link)
    target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
    if not target.is_file():
        return False
    return (
        not parts.fragment
        or target not in pages
        or unquote(parts.fragment) in pages[target].anchors
    )


def list_links(html: Path) -> list[str]:
    """Write the external links to ``links.txt`` among the pages, and return what is wrong with any."""
    problems, outside = check_links(html.resolve())
    lines = [
        f"{link}\n" + "".join(f"    {name}\n" for name in names) for link, names in outside.items()
    ]
    (html / LIST).write_text("".join(lines), "utf-8")
    return problems
