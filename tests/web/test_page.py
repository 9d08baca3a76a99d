"""The explorer's page in Debian's Chromium: what a newcomer does, by mouse, by keyboard and on a phone."""

import io
import json
import re
import shutil
from base64 import b64encode

import numpy as np
import pytest
from PIL import Image

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium: apt-get install chromium")
pytest.importorskip("playwright", reason="pip install 'alexnet[test]'")
PAGES = "src/alexnet/web/pages"
USUAL = {"locale": "en-GB", "viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce"}


@pytest.fixture(scope="module")
def training(begun_run, tiny_run, tmp_path_factory):
    """A run that has begun and has no weights yet, and the lines that it has still to write."""
    run = tmp_path_factory.mktemp("training") / "begun"
    shutil.copytree(begun_run, run)
    lines = (tiny_run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(lines[:2]))
    return run, lines[2:]


@pytest.fixture(scope="module")
def address(tiny_run, tiny_index, training, serve_app, tmp_path_factory):
    """A server of the tiny run, of a copy of it, and of one that is still training."""
    from alexnet.web.app import create_app
    from alexnet.web.settings import Settings

    other = tmp_path_factory.mktemp("other") / "second"
    shutil.copytree(tiny_run, other)
    app = create_app([tiny_run, other, training[0]], tiny_index, Settings(device="cpu", most_bytes=200_000))
    with serve_app(app) as client:
        yield str(client.base_url).rstrip("/")


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


class Witness:
    """What a browser's page asks for and complains of."""

    def __init__(self):
        self.asked, self.said, self.refused = [], [], []

    def watch(self, page):
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("console", self.console)
        page.set_default_timeout(30_000)
        return page

    def console(self, line):
        # The browser itself reports each refused request; those that the test is about are no news.
        known = any(f"status of {status}" in line.text for status in self.refused)
        if line.type in ("error", "warning") and not known:
            self.said.append(line.text)


@pytest.fixture(scope="module")
def usual(browser):
    """The page that most tests share: a new one costs more than all that happens on it. And who watches it."""
    witness = Witness()
    return witness.watch(browser.new_context(**USUAL).new_page()), witness


@pytest.fixture
def visit(browser, usual, address):
    """Open the page at a place, `visit("#view=inside")`; at the end nothing may have gone to another address."""
    page, witness = usual
    contexts = []

    def open_page(place="", refused=(), **how):
        opened = page
        if how:
            contexts.append(browser.new_context(**(USUAL | how)))
            opened = witness.watch(contexts[-1].new_page())
        witness.refused = refused
        opened.goto("about:blank")  # an address that differs behind the # alone would not begin anew
        opened.goto(f"{address}/{place}")
        settled(opened)
        return opened

    yield open_page
    page.unroute_all()
    page.emulate_media(color_scheme="light")
    for context in contexts:
        context.close()
    asked, said = witness.asked[:], witness.said[:]
    witness.asked.clear()
    witness.said.clear()
    assert said == []
    assert asked
    assert [url for url in asked if not url.startswith((address, "data:", f"blob:{address}"))] == []


def settled(page):
    """Wait until nothing on the page waits for an answer any more; what was just done has begun to wait by then."""
    page.evaluate("new Promise((done) => setTimeout(done, 50))")
    page.locator("[role=tab][aria-selected=true]").wait_for()
    page.locator("[aria-busy=true]").first.wait_for(state="detached")


def png(seed=0, side=32):
    """A made-up picture as a file."""
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


def hand_over(page, event, data, name="mine.png", kind="image/png"):
    """Drop or paste a file of these bytes, as the browser does it."""
    page.evaluate_handle(
        """([event, data, name, kind]) => {
            const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
            const held = new DataTransfer();
            held.items.add(new File([bytes], name, { type: kind }));
            const about = { bubbles: true, cancelable: true };
            document.body.dispatchEvent(event === "drop"
                ? new DragEvent("drop", { ...about, dataTransfer: held })
                : new ClipboardEvent("paste", { ...about, clipboardData: held }));
        }""",
        [event, b64encode(data).decode(), name, kind],
    )


def image_of(page):
    """The id of the image that the address names."""
    return re.search(r"image=([\w-]+)", page.url)[1]


def rows(page):
    return page.locator("#panel-answer .bars tbody tr")


def test_the_page_opens_with_an_answer_to_a_test_image_and_marks_the_right_class(visit):
    page = visit()
    assert rows(page).count() == 5
    assert image_of(page).startswith("test-")
    assert page.locator("#panel-answer .mark, #panel-answer .hint:has-text('is not among')").count() == 1
    p = [float(text.strip("< %")) for text in page.locator("#panel-answer td.n").all_inner_texts()]
    assert p == sorted(p, reverse=True)
    assert page.locator("#picture img").evaluate("image => image.naturalWidth") == 8  # the digit itself


def test_an_image_that_is_dropped_or_pasted_gets_five_labels(visit):
    page = visit()
    for event, seed in (("drop", 3), ("paste", 4)):
        before = image_of(page)
        hand_over(page, event, png(seed))
        page.wait_for_url(lambda url, before=before: "image=upload-" in url and before not in url)
        settled(page)
        assert rows(page).count() == 5
        assert page.locator("#panel-answer .mark").count() == 0  # nobody knows what it is
        assert page.locator("#picture img").evaluate("image => image.naturalWidth") == 32


def test_an_image_is_picked_from_the_disk_and_ten_crops_answer_otherwise_than_one(visit):
    page = visit()
    page.set_input_files("#file", {"name": "mine.png", "mimeType": "image/png", "buffer": png(5)})
    page.wait_for_url(re.compile("image=upload-"))
    settled(page)
    once = rows(page).all_inner_texts()
    page.get_by_role("button", name="Ten crops").click()
    page.wait_for_url(re.compile("views=ten"))
    settled(page)
    assert rows(page).all_inner_texts() != once
    assert page.get_by_role("button", name="Ten crops").get_attribute("aria-pressed") == "true"


def test_the_net_answers_after_every_stroke_of_a_drawing(visit):
    page = visit("#heat=gradcam")
    before = image_of(page)
    page.get_by_role("button", name="Draw").click()
    box = page.locator(".slate").bounding_box()
    seen = [before]
    for x in (0.3, 0.7):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + 20)
        page.mouse.down()
        page.mouse.move(box["x"] + x * box["width"], box["y"] + 200, steps=3)
        page.mouse.up()
        page.wait_for_url(lambda url: "image=upload-" in url and seen[-1] not in url)
        settled(page)
        seen.append(image_of(page))
        assert rows(page).count() == 5
        assert page.locator(".slate").is_visible()
    page.locator("#tests [data-image]").nth(2).click()
    settled(page)
    assert page.locator(".slate").count() == 0


def test_a_file_that_cannot_be_looked_at_is_refused_in_one_line_and_the_image_stays(visit):
    page = visit(refused=[415, 422])
    before, trouble, said = image_of(page), page.locator("#trouble"), []
    for data in (png()[:900], b"words and no picture\n" * 9, png(side=300)):  # cut off, no picture, over 200 kB
        hand_over(page, "drop", data)
        page.locator("#trouble:visible", has_not_text=said[-1] if said else "…").wait_for()
        said.append(trouble.inner_text())
        assert "\n" not in said[-1]
        assert image_of(page) == before
    assert "0.3 MB" in said[2]
    page.locator("#tests [data-image]").nth(3).click()
    page.wait_for_url(lambda url: before not in url)
    assert not trouble.is_visible()


def test_a_heat_map_lies_over_what_the_net_sees_as_strongly_as_asked(visit):
    page = visit()
    maps = set()
    for method in ("Grad-CAM", "Saliency", "Occlusion"):
        page.get_by_role("button", name=method).click()
        page.locator(f"#picture .over[alt^='Heat map of {method}']").wait_for()
        sizes = page.locator("#picture img").evaluate_all("all => all.map((image) => image.naturalWidth)")
        assert sizes[0] == sizes[1] >= 67
        maps.add(page.locator("#picture .over").evaluate(DRAWN))
    assert len(maps) == 3
    page.locator("#strength").fill("0.25")
    assert page.locator("#picture .over").evaluate("image => image.style.opacity") == "0.25"
    second = page.locator("#panel-answer .bars button").nth(1)
    second.click()  # explain the second class instead of the first
    page.locator(f"#picture .over[alt$='for {second.inner_text()}']").wait_for()
    assert page.locator("#picture .over").evaluate(DRAWN) not in maps


# The pixels of an image as a text, to be compared.
DRAWN = """image => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 32, height: 32 });
  canvas.getContext("2d").drawImage(image, 0, 0, 32, 32);
  return canvas.toDataURL();
}"""


def test_clicking_a_similar_image_searches_from_it_and_going_back_returns(visit):
    page = visit("#view=similar")
    first, found = image_of(page), page.locator("#panel-similar [data-image]")
    assert found.count() >= 6
    before = [one.get_attribute("data-image") for one in found.all()]
    found.nth(4).click()
    page.wait_for_url(re.compile(f"{before[4]}$"))
    settled(page)
    after = [one.get_attribute("data-image") for one in found.all()]
    assert before[4] not in after
    assert len(set(before) & set(after)) >= 3  # what is near to both
    assert rows(page).count() == 0
    assert page.evaluate("document.activeElement.dataset.image") == after[0]  # the keyboard goes on from there
    page.go_back()
    settled(page)
    assert image_of(page) == first


def test_a_stage_shows_its_maps_and_filters_and_a_unit_its_strongest_patches(visit):
    page = visit("#view=inside")
    stages = page.locator(".strip [data-stage]")
    names = stages.evaluate_all("all => all.map(card => card.dataset.stage)")
    assert names[:2] == ["image", "conv1"]
    assert names[-1] == "softmax"
    page.locator("[data-stage=conv1]").click()
    page.locator(".stage .filters").wait_for()
    settled(page)
    assert page.locator(".maps [data-unit]").count() == 8
    assert page.locator(".stage .filters").evaluate("image => image.decode().then(() => image.naturalWidth > 0)")
    page.locator(".maps [data-unit]").first.click()
    patches = page.locator(".unit .thumbnails img")
    patches.first.wait_for()
    assert 1 <= patches.count() <= 9
    assert patches.first.evaluate("image => image.decode().then(() => image.naturalWidth > 0)")
    page.locator(".unit [data-image]").first.click()
    page.wait_for_url(re.compile("image=test-.*unit="))
    page.locator("[data-stage=softmax]").click()
    page.locator(".bars-grid").wait_for()
    settled(page)
    assert page.locator(".bars-grid .name").count() == 10
    assert sorted(page.locator(".bars-grid .name").all_inner_texts()) == [str(digit) for digit in range(10)]


def test_a_cell_of_the_confusion_matrix_opens_its_images(visit, tiny_run):
    counts = np.array(json.loads((tiny_run / "evaluation.json").read_text())["confusion"])
    page = visit("#view=mistakes")
    assert page.locator(".matrix [data-cell]").count() == 100
    right, given = np.argwhere((counts > 0) & ~np.eye(10, dtype=bool))[0]
    cell = page.locator(f"[data-cell='{right}-{given}']")
    assert cell.inner_text() == str(counts[right, given])
    assert page.locator(".pairs button").first.inner_text().split()[-1] == str(
        (counts - np.diag(np.diag(counts))).max()
    )
    cell.click()
    page.locator(".cell-images [data-image]").first.wait_for()
    assert page.locator(".cell-images [data-image]").count() == min(24, counts[right, given])
    page.locator(".cell-images [data-image]").first.click()
    page.wait_for_url(lambda url: "view=" not in url)
    settled(page)
    assert page.locator("#panel-answer tr.right th").inner_text().startswith(str(right))
    assert page.locator("#panel-answer tr.wrong th").inner_text() == str(given)


def test_a_thousand_classes_are_drawn_and_read_by_arrow_keys(visit, address):
    classes = [f"class {number}" for number in range(1000)]
    matrix = np.diag(np.full(1000, 5))
    matrix[1, 2] = 3
    page = visit()
    page.route("**/confusion", lambda route: route.fulfill(json={"classes": classes, "matrix": matrix.tolist()}))
    page.route("**/confusion/1/2*", lambda route: route.fulfill(json={"images": [], "total": 0}))
    page.get_by_role("tab", name="Mistakes").click()
    canvas = page.locator("canvas")
    canvas.focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight"):
        canvas.press(key)
    assert page.locator(".reading").inner_text() == "class 1 answered as class 2: 3 of 8"
    canvas.press("Enter")
    page.get_by_text("No image lies in this cell").wait_for()
    assert canvas.evaluate("canvas => [...canvas.getContext('2d').getImageData(8, 8, 1, 1).data]") == [0, 114, 178, 255]


def test_a_run_without_weights_shows_its_curves_and_follows_them(visit, training):
    page = visit("#run=2&image=test-0", refused=[409])
    assert "come with its first weights" in page.locator("#tests").inner_text()
    page.get_by_role("heading", name="No weights yet").first.wait_for()
    page.get_by_role("button", name="Watch it learn").first.click()
    line = page.locator("[data-name=loss] polyline.train")
    line.wait_for()
    before = line.get_attribute("points")
    with (training[0] / "metrics.jsonl").open("a") as file:
        file.writelines(training[1])
    page.locator("[data-name=loss] circle.best").wait_for()
    assert len(line.get_attribute("points").split()) > len(before.split())


def test_an_address_of_what_is_not_there_says_so_or_leads_to_what_is(visit):
    page = visit("#image=upload-0123456789abcdef&view=nonsense&run=7", refused=[404])
    page.get_by_text("uploads go when the server stops").wait_for()
    assert page.locator("#picture img").count() == 0  # no broken image
    assert page.locator("#run").input_value() == "0"
    assert page.locator("#tab-answer").get_attribute("aria-selected") == "true"


def test_several_runs_stand_side_by_side_and_one_can_be_entered(visit):
    page = visit("#view=compare&image=test-4")
    cards = page.locator("#panel-compare .card")
    assert cards.count() == 3
    assert [cards.nth(i).locator("tbody tr").count() for i in range(3)] == [5, 5, 0]
    assert cards.nth(0).locator(".mark, .hint:has-text('is not among')").count() == 1
    cards.nth(1).get_by_role("button").click()
    page.wait_for_url(re.compile("run=1"))
    settled(page)
    assert page.locator("#run").input_value() == "1"


def test_the_language_is_the_browsers_until_it_is_chosen_and_then_kept(visit):
    page = visit(locale="zh-CN")
    assert page.locator("html").get_attribute("lang") == "zh-Hans"
    page.get_by_role("heading", name="这是什么？").wait_for()
    page.get_by_role("button", name="English").click()
    page.get_by_role("heading", name="What is it?").wait_for()
    page.reload()
    page.get_by_role("heading", name="What is it?").wait_for()
    assert page.locator("html").get_attribute("lang") == "en"


def test_everything_is_reached_by_keyboard_alone(visit):
    page = visit()

    def tab_to(selector):
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
        raise AssertionError(f"the Tab key does not come to {selector}")

    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # past everything, to the view
    assert page.evaluate("document.activeElement.id") == "tab-answer"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("view=inside"))
    settled(page)
    assert page.evaluate("document.activeElement.id") == "tab-inside"
    tab_to("[data-stage]")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("stage=softmax"))
    settled(page)
    tab_to("[data-unit]")
    here = page.evaluate("document.activeElement.dataset.unit")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.dataset.unit") != here
    style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert style == "solid"
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("unit="))


def test_what_a_key_has_pressed_keeps_the_focus_though_all_around_it_is_drawn_anew(visit):
    page = visit("#heat=saliency")
    for value in ("later", "ten", page.locator("#panel-answer .bars button").nth(1).inner_text(), "gradcam"):
        page.locator(f"[data-value='{value}']").focus()
        page.evaluate("document.activeElement.old = true")
        page.keyboard.press("Enter")
        settled(page)
        assert page.evaluate("[document.activeElement.dataset.value, document.activeElement.old]") == [value, None]


def test_a_phone_needs_no_sideways_scrolling(visit):
    page = visit("#image=test-1&heat=gradcam", viewport={"width": 360, "height": 740})
    for tab in page.get_by_role("tab").all():
        tab.click()
        settled(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, tab.inner_text()


def test_all_that_is_shown_has_a_name_for_those_who_listen(visit):
    page = visit("#view=inside&stage=conv1&unit=1&image=test-1")
    page.locator(".unit .thumbnails img").first.wait_for()
    nameless = page.evaluate("""() => [...document.querySelectorAll("button, select, input, a[href], [tabindex='0']")]
        .filter((one) => one.checkVisibility() && !(one.getAttribute("aria-label") || one.innerText
            || one.labels?.[0]?.innerText)).map((one) => one.outerHTML)""")
    assert nameless == []
    assert page.evaluate("[...document.images].filter((one) => !one.hasAttribute('alt')).length") == 0
    assert (
        page.evaluate("[...document.querySelectorAll('table')].filter((one) => !one.querySelector('th')).length") == 0
    )


def test_all_text_stands_out_from_its_ground_by_four_and_a_half_to_one(visit):
    page = visit("#view=mistakes&image=test-1&heat=gradcam")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for view in ("mistakes", "answer", "training"):
            page.locator(f"#tab-{view}").click()
            settled(page)
            assert page.evaluate(CONTRAST) == [], scheme


# Each visible text with a contrast under 4.5, by WCAG's formula, its ground the first opaque one behind it.
CONTRAST = """() => {
  const numbers = (colour) => {
    const context = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((level) => level / 255)
    .map((level) => (level <= 0.04045 ? level / 12.92 : ((level + 0.055) / 1.055) ** 2.4))
    .reduce((sum, level, i) => sum + level * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (one) => {
    for (; one; one = one.parentElement) {
      const colour = numbers(getComputedStyle(one).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const low = [];
  for (const one of document.querySelectorAll("body *")) {
    const text = [...one.childNodes].filter((node) => node.nodeType === 3 && node.data.trim()).map((node) => node.data);
    if (!text.length || !one.checkVisibility() || one.closest(".unseen, :disabled, svg")) continue;
    const [a, b] = [light(numbers(getComputedStyle(one).color)), light(ground(one))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) low.push([text.join(" "), (a + 0.05) / (b + 0.05)]);
  }
  return low;
}"""


def test_every_text_is_there_in_both_languages_and_is_used(request):
    pages = request.config.rootpath / PAGES
    texts = {}
    for name in ("ENGLISH", "CHINESE"):
        block = re.search(rf"const {name} = \{{(.*?)\n\}};", (pages / "words.js").read_text("utf-8"), re.DOTALL)[1]
        pairs = re.findall(r'^  "?([\w.]+)"?:\s+"(.*)",$', block, re.MULTILINE)
        texts[name] = dict(pairs)
        assert len(texts[name]) == len(pairs) == f"{block}\n".count('",\n')
    facts = {name: {key: sorted(re.findall(r"\{(\w+)\}", text)) for key, text in texts[name].items()} for name in texts}
    assert facts["ENGLISH"] == facts["CHINESE"]
    code = "".join(path.read_text("utf-8") for path in pages.glob("*.*") if path.name != "words.js")
    # `kind.${kind}` asks for all texts that begin so.
    asked = [re.escape(one) for one in re.findall(r'"([a-z]+(?:\.[\w.]+)?)"', code)]
    asked += [
        re.sub(r"\\\$\\\{.*?\\\}", r"[\\w.]+", re.escape(one)) for one in re.findall(r"`([a-z]+\.[^`\s]*)`", code)
    ]
    assert [key for key in texts["ENGLISH"] if not any(re.fullmatch(one, key) for one in asked)] == []
