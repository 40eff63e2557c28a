"""MkDocs' hook: pages that live elsewhere in the repository, and links that work in both places.

Each text has one source. A page outside of docs/ keeps its place, where GitHub and the package
registries show it, and is also a page of the site. In the sources, links are paths in the
repository. In the site, a link to a page leads to that page, and any other leads to GitHub.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
REPOSITORY = "https://github.com/dyad-signaling/dyad/blob/main/"
DOCS = "docs/"
# From here, the pages need no other host.
MERMAID = ROOT / "build" / "mkdocs" / "mermaid.min.js"
# Where they are in the repository, and in the site.
ELSEWHERE = {
    "CHANGELOG.md": "project/changelog.md",
    "CODE_OF_CONDUCT.md": "project/code-of-conduct.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "clients/INTEROP.md": "clients/interop.md",
    "clients/call-page/README.md": "clients/call-page.md",
    "clients/go/README.md": "clients/go.md",
    "clients/kotlin/ANDROID.md": "clients/android.md",
    "clients/kotlin/README.md": "clients/kotlin.md",
    "clients/python/README.md": "clients/python.md",
    "clients/python/reference/aiortc.md": "clients/python-api/aiortc.md",
    "clients/python/reference/index.md": "clients/python-api/index.md",
    "clients/python/reference/testing.md": "clients/python-api/testing.md",
    "clients/react/README.md": "clients/react.md",
    "clients/web/README.md": "clients/web.md",
    "deploy/README.md": "deploy/index.md",
    "deploy/helm/dyad/README.md": "deploy/helm.md",
    "deploy/recipes/README.md": "deploy/proxies.md",
}
_SOURCE = {site: source for source, site in ELSEWHERE.items()}

_FENCED = re.compile(r"(?ms)^(?P<fence>```+|~~~+).*?^(?P=fence) *$")
_LINK = re.compile(
    r"(?m)(?P<before>\]\(|^\[[^\]]+\]: )(?![a-z]+:|#)(?P<path>[^)#\s]+)(?P<anchor>#[^)\s]*)?"
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that live elsewhere, and the script that draws diagrams."""
    for source, site in ELSEWHERE.items():
        files.append(File.generated(config, site, content=(ROOT / source).read_text()))
    files.append(File.generated(config, "assets/mermaid.min.js", abs_src_path=str(MERMAID)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Turn the links of a page into links of the site."""
    site = page.file.src_uri
    return with_links_of_the_site(markdown, _SOURCE.get(site, DOCS + site), site)


def with_links_of_the_site(markdown: str, source: str, site: str) -> str:
    """Return a page with its links turned into links of the site.

    A link to a file that does not exist stays as it is, and MkDocs refuses it.

    Args:
        markdown: the page.
        source: its path in the repository.
        site: its path in the site.
    """

    def rewrite(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link["path"]))
        if target in ELSEWHERE:
            to = posixpath.relpath(ELSEWHERE[target], posixpath.dirname(site) or ".")
        elif target.startswith(DOCS) and (ROOT / target).is_file():
            to = posixpath.relpath(target[len(DOCS) :], posixpath.dirname(site) or ".")
        elif (ROOT / target).exists():
            to = REPOSITORY + target
        else:
            return link[0]
        return link["before"] + to + (link["anchor"] or "")

    parts, end = [], 0
    for code in _FENCED.finditer(markdown):
        parts += [_LINK.sub(rewrite, markdown[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, _LINK.sub(rewrite, markdown[end:])])
