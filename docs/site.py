"""MkDocs hook: pages from outside docs/ join the site, and links between files of the repository lead to pages.

Markdown files link to each other by their paths in the repository, so that they also work in a checkout and on a forge.
A link to a file that is not a page becomes its text; a link to nothing stays, and `mkdocs build --strict` reports it.
"""

import re
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
FROM_ELSEWHERE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "experiments/LOG.md": "log.md",
    "crescent/organism/CARD.md": "organism.md",
}
"""Path in the repository -> path in docs/."""
LINK = re.compile(r"(?<!!)\[(?P<text>[^]]*)\]\((?P<path>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)")
PICTURE = re.compile(r'(?P<before>!\[[^]]*\]\(|<img[^>]*\ssrc=")(?P<path>docs/[^)\s"]+)')


def on_files(files: Any, config: Any) -> Any:
    for source, page in FROM_ELSEWHERE.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    here = page.file.src_uri
    source = next((one for one, target in FROM_ELSEWHERE.items() if target == here), f"docs/{here}")
    folder = str(PurePosixPath(source).parent)

    def linked(found: re.Match[str]) -> str:
        path = normpath(f"{folder}/{found['path']}")
        target = FROM_ELSEWHERE.get(path, path.removeprefix("docs/"))
        if path not in FROM_ELSEWHERE and not path.startswith("docs/"):
            return found["text"] if (ROOT / path).exists() else found[0]
        return f"[{found['text']}]({relpath(target, str(PurePosixPath(here).parent))}{found['anchor'] or ''})"

    markdown = PICTURE.sub(lambda found: found["before"] + found["path"].removeprefix("docs/"), markdown)
    return LINK.sub(linked, markdown)
