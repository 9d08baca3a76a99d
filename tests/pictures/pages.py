"""A report as its reader meets it: words, headings, links, pictures."""

from collections import Counter
from html.parser import HTMLParser


class Page(HTMLParser):
    """What a page holds.

    Attributes:
        text: its words.
        tags: names of its elements, in order.
        names: ids in it.
        links: where its links lead.
        addresses: every address that a browser would fetch, and the links.
        images: pictures of each section, by its id; None before the first.
    """

    def __init__(self, html):
        super().__init__()
        self.tags, self.addresses, self.words, self.names = [], [], [], set()
        self.images, self.section, self.links = Counter(), None, []
        self.feed(html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        given = dict(attrs)
        self.names |= {given["id"]} if "id" in given else set()
        self.section = given.get("id") if tag == "section" else self.section
        self.images[self.section] += tag == "img"
        self.links += [given["href"]] if tag == "a" else []
        if tag == "img":
            assert given["alt"].strip()
        self.addresses += [value for name, value in attrs if name in ("src", "href", "xlink:href", "srcset", "data")]

    def handle_data(self, data):
        if not self.tags or self.tags[-1] not in ("style", "script"):
            self.words.append(data)
