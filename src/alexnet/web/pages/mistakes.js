// The confusion matrix: a table of buttons for few classes, a drawing for many; each cell opens its images.

import { announce, arrows, el, percent, reveal, thumbnails } from "./elements.js";
import { drawMatrix, shade } from "./matrix.js";
import { go, lookAt, place } from "./place.js";
import { ask, ofRun } from "./server.js";
import { say } from "./words.js";

const NUMBERED = 30; // classes up to which the matrix is a table with its counts
const PAIRS = 12;
const PAGE = 24;

/** The matrix, the pairs confused most often, and the images of the chosen cell. */
export async function showMistakes(panel, { run, at, signal }) {
  if (!run.confusion) {
    panel.dataset.key = "";
    panel.replaceChildren(el("h2", {}, say("mistakes.none")), el("p", { class: "about" }, say("mistakes.none.how")),
      el("pre", {}, "alexnet evaluate RUN"));
    return;
  }
  const key = `${at.run}`;
  if (panel.dataset.key !== key) {
    const { classes, matrix } = await ask(ofRun(at.run, "confusion"), signal);
    const counts = { classes, matrix, of: matrix.map((row) => row.reduce((sum, count) => sum + count, 0)) };
    panel.replaceChildren(
      el("h2", {}, say("mistakes.heading")),
      el("p", { class: "about" }, say("mistakes.about")),
      el("div", { class: "depth" },
        el("div", {},
          el("p", { class: "axes muted small" }, `↓ ${say("mistakes.right")} · → ${say("mistakes.given")}`),
          classes.length <= NUMBERED ? table(counts) : drawMatrix(counts, { describe, open }), legend()),
        el("aside", {}, el("h3", {}, say("mistakes.pairs")), pairs(counts))),
      el("div", { class: "cell-images" }),
    );
    panel.dataset.key = key;
    panel.counts = counts;
  }
  await showCell(panel.querySelector(".cell-images"), panel.counts, at, signal);
}

/** A cell's numbers as a sentence. */
function describe({ classes, matrix, of }, right, given) {
  const key = right === given ? "mistakes.cell.right" : "mistakes.cell";
  return say(key, { right: classes[right], given: classes[given], count: matrix[right][given], of: of[right] });
}

function open(right, given) {
  go({ cell: `${right}-${given}` }, { refine: true });
}

function table(counts) {
  const { classes, matrix, of } = counts;
  const head = el("tr", {}, el("td", {}), classes.map((name) =>
    el("th", { scope: "col", title: name }, el("span", { class: "upright" }, name))));
  const rows = matrix.map((row, right) => el("tr", {},
    el("th", { scope: "row", title: classes[right] }, classes[right]),
    row.map((count, given) => {
      const words = describe(counts, right, given);
      const cell = el("button", {
        type: "button", class: right === given ? "right" : null, "data-cell": `${right}-${given}`, title: words,
        "aria-label": words, onclick: () => open(right, given),
      }, count || "");
      cell.style.setProperty("--share", shade(count, of[right]));
      return el("td", {}, cell);
    })));
  const grid = el("table", { class: "matrix" }, el("caption", { class: "unseen" }, say("mistakes.grid")),
    el("thead", {}, head), el("tbody", {}, rows));
  arrows(grid, "[data-cell]");
  return el("div", { class: "scroll" }, grid);
}

function legend() {
  const marks = [0.01, 0.1, 0.5, 1];
  const swatches = (side) => el("span", { class: "swatches" }, marks.flatMap((share) => {
    const swatch = el("span", { class: `swatch ${side}` });
    swatch.style.setProperty("--share", shade(share, 1));
    return [swatch, `${100 * share} %`];
  }));
  return el("p", { class: "legend small muted", "aria-hidden": "true" },
    say("mistakes.legend"), swatches("right"), swatches("wrong"));
}

/** The cells off the diagonal with the most images, as a list of buttons. */
function pairs(counts) {
  const { classes, matrix } = counts;
  const wrong = matrix.flatMap((row, right) =>
    row.flatMap((count, given) => (count && right !== given ? [{ right, given, count }] : [])));
  wrong.sort((one, other) => other.count - one.count);
  if (!wrong.length) return el("p", { class: "hint" }, say("mistakes.pairs.none"));
  const list = el("ol", { class: "pairs" }, wrong.slice(0, PAIRS).map(({ right, given, count }) =>
    el("li", {}, el("button", { type: "button", class: "plain", "data-pair": `${right}-${given}`,
                                "aria-label": describe(counts, right, given), onclick: () => open(right, given) },
      el("span", {}, `${classes[right]} → ${classes[given]}`), el("span", { class: "n" }, count)))));
  arrows(list, "button");
  return list;
}

async function showCell(box, counts, at, signal) {
  for (const button of document.querySelectorAll("#panel-mistakes [data-cell], #panel-mistakes [data-pair]")) {
    const chosen = (button.dataset.cell ?? button.dataset.pair) === at.cell;
    button.toggleAttribute("data-chosen", chosen);
  }
  const [right, given] = (at.cell ?? "").split("-").map(Number);
  if (!counts.classes[right] || !counts.classes[given]) return box.replaceChildren();
  const { images, total } = await ask(ofRun(at.run, `confusion/${right}/${given}`, { limit: PAGE }), signal);
  const shown = [...images];
  const rest = () => el("p", { class: "row" },
    el("button", { type: "button", onclick: more }, say("mistakes.more")),
    el("span", { class: "muted small" }, say("mistakes.shown", { shown: shown.length, total })));
  const redraw = () => box.replaceChildren(
    el("h3", {}, describe(counts, right, given)),
    total ? grid(shown, counts.classes[right], counts.classes[given]) : say("mistakes.images.none"),
    shown.length < total ? rest() : "");
  const more = async () => {
    const next = await ask(ofRun(at.run, `confusion/${right}/${given}`, { offset: shown.length, limit: PAGE }), signal);
    const first = shown.length;
    shown.push(...next.images);
    redraw();
    box.querySelectorAll("[data-image]")[first]?.focus();
  };
  redraw();
  reveal(box, "[data-cell], [data-pair], canvas");
  announce(describe(counts, right, given));
}

function grid(images, right, given) {
  return thumbnails(images, {
    label: say("mistakes.images"),
    caption: ({ probability }) => percent(probability),
    name: ({ probability }) => say("mistakes.image", { right, given, probability: percent(probability) }),
    onchoose: ({ image }) => lookAt(image),
    chosen: place().image,
  });
}
