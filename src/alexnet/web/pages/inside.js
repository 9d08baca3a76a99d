// A look inside: the strip of stages from the image to the answer, the maps of one, and what excites one unit.

import { announce, arrows, bringIntoSight, draw, el, figures, percent, reveal, thumbnails } from "./elements.js";
import { go, lookAt } from "./place.js";
import { ask, ofRun } from "./server.js";
import { say } from "./words.js";

const IMAGE = "image"; // the strip's first card; no stage of a net has this name
const SHOWN = 64; // maps of a stage that are shown at once
const IN_CARD = 4; // maps on a card of the strip
const PATCHES = 9;

// What a stage does, by the words with which the server names its kind: the first that fits.
const KINDS = [
  ["inception", /^inception/],
  ["residual", /basic$|bottleneck$/],
  ["convolution", /^(conv|table)/],
  ["normalisation", /norm$/],
  ["pooling", /pool$|^sub-sampling/],
  ["linear", /^linear/],
  ["templates", /^RBF/],
  ["dropout", /^dropout/],
  ["softmax", /^softmax/],
  ["rectified", /^ReLU/],
];

/** The strip, the chosen stage and the chosen unit; each drawn anew only when it has changed. */
export async function showInside(panel, { run, at, signal }) {
  const stages = await ask(ofRun(at.run, "stages"), signal);
  const named = stages.find(({ stage }) => stage === at.stage);
  const stage = at.stage === IMAGE ? null : named ?? stages[0];
  const strip = await drawStrip(panel, run, at, stages, signal);
  for (const card of strip.querySelectorAll("button")) {
    card.setAttribute("aria-pressed", String(card.dataset.stage === (stage?.stage ?? IMAGE)));
  }
  const chosen = strip.querySelector("[aria-pressed=true]");
  arrows(strip, "button", chosen);
  bringIntoSight(strip, chosen);
  await Promise.all([
    drawStage(panel.querySelector(".stage"), run, at, stage, signal),
    drawUnit(panel.querySelector(".unit"), run, at, stage, signal),
    fillCards(strip, run, at, stages, signal),
  ]);
}

async function drawStrip(panel, run, at, stages, signal) {
  const key = `${at.run} ${at.image}`;
  if (panel.dataset.key !== key) {
    const kept = panel.contains(document.activeElement);
    const cards = [{ stage: IMAGE, output: [3, run.size, run.size], kind: IMAGE }, ...stages].map((one) =>
      el("li", {}, el("button", {
        type: "button", "data-stage": one.stage, "aria-pressed": "false",
        "aria-label": say("inside.stage", { stage: nameOf(one), kind: one.kind, shape: shape(one.output) }),
        onclick: () => go({ stage: one.stage, unit: null }, { refine: true }),
      },
      el("span", { class: "preview" }),
      el("strong", {}, nameOf(one)),
      el("span", { class: "muted" }, shape(one.output)))));
    panel.replaceChildren(
      el("h2", {}, say("inside.heading")),
      el("p", { class: "about" }, say("inside.about")),
      el("ol", { class: "strip", "aria-label": say("inside.strip") }, cards),
      el("div", { class: "depth" }, el("div", { class: "stage" }), el("aside", { class: "unit" })),
    );
    panel.querySelector("[data-stage] .preview").append(el("img", { src: seen(at), alt: "" }));
    panel.dataset.key = key;
    if (kept) panel.querySelector("[data-stage]").focus();
    signal.throwIfAborted();
  }
  return panel.querySelector(".strip");
}

/** Each card gets its strongest maps, one stage after another, so that the first ones come soon. */
async function fillCards(strip, run, at, stages, signal) {
  for (const { stage } of stages) {
    const preview = [...strip.querySelectorAll("[data-stage]")].find((card) => card.dataset.stage === stage).firstChild;
    if (preview.childElementCount) continue;
    const maps = await ask(ofRun(at.run, `stages/${stage}/maps`, { image: at.image, limit: IN_CARD }), signal);
    preview.append(...(maps.sheet ? maps.units.map((_, i) => cut(maps, i)) : [skyline(maps.units)]));
  }
}

/** The strongest units as a row of columns. */
function skyline(units) {
  const most = Math.max(...units.map(({ largest }) => Math.abs(largest))) || 1;
  return draw("svg", { viewBox: "0 0 40 40", "aria-hidden": "true" }, units.map(({ largest }, i) => {
    const high = Math.max(1, (36 * Math.abs(largest)) / most);
    return draw("rect", { x: 4 + 8.5 * i, y: 38 - high, width: 6.5, height: high });
  }));
}

async function drawStage(box, run, at, stage, signal) {
  const key = `${at.run} ${at.image} ${stage?.stage}`;
  if (box.dataset.key === key) {
    markUnit(box, at.unit);
    return;
  }
  if (!stage) {
    box.replaceChildren(el("h3", {}, say("inside.image")), el("p", { class: "about" }, say("kind.image")),
      el("img", { class: "seen", src: seen(at), alt: say("image.seen", { size: run.size }) }));
    box.dataset.key = key;
    return;
  }
  const maps = await ask(ofRun(at.run, `stages/${stage.stage}/maps`, { image: at.image, limit: SHOWN }), signal);
  const all = maps.output[0];
  const shown = maps.units.length;
  const what = maps.sheet ? "maps" : "units";
  const kind = KINDS.find(([, words]) => words.test(stage.kind))?.[0];
  box.replaceChildren(
    el("h3", {}, stage.stage, " ", el("span", { class: "muted" }, `${stage.kind} · ${shape(stage.output)}`)),
    el("p", { class: "about" }, kind ? say(`kind.${kind}`) : "", " ", say(`inside.${what}.about`)),
    el("h4", {}, say(shown < all ? `inside.${what}` : `inside.${what}.all`, { shown, all })),
    maps.sheet ? mapGrid(maps) : unitBars(maps),
    ...(stage.filters ? filters(at, stage) : []),
  );
  box.dataset.key = key;
  markUnit(box, at.unit);
  announce(`${stage.stage}: ${stage.kind}`);
}

/** Maps as buttons. */
function mapGrid(maps) {
  const grid = el("ul", { class: "maps" }, maps.units.map(({ unit, largest }, i) => {
    const name = say("inside.unit.named", { unit: say("inside.unit", { unit: unit + 1 }), value: figures(largest) });
    return el("li", {}, unitButton(unit, name, cut(maps, i)));
  }));
  arrows(grid, "button");
  return grid;
}

/** One map, cut out of the one picture that the server makes of all. */
function cut({ units, sheet, columns }, i) {
  const rows = Math.ceil(units.length / columns);
  const at = (place, count) => (count > 1 ? `${(100 * place) / (count - 1)}%` : "0%");
  const piece = el("span", { class: "cut" });
  piece.style.backgroundImage = `url("${sheet}")`;
  piece.style.backgroundSize = `${100 * columns}% ${100 * rows}%`;
  piece.style.backgroundPosition = `${at(i % columns, columns)} ${at(Math.floor(i / columns), rows)}`;
  return piece;
}

/** Units without a picture as bars, each as long as its value beside the largest. */
function unitBars({ stage, units }) {
  const most = Math.max(...units.map(({ largest }) => Math.abs(largest))) || 1;
  const named = units[0].label ? "named" : "numbered";
  const grid = el("ul", { class: `bars-grid ${named}` }, units.map(({ unit, largest, label }) => {
    const bar = el("span", { class: largest < 0 ? "bar below" : "bar" });
    bar.style.inlineSize = `${(100 * Math.abs(largest)) / most}%`;
    const name = label ?? String(unit + 1);
    const value = stage === "softmax" ? percent(largest) : figures(largest);
    return el("li", {}, unitButton(unit, say("inside.unit.named", { unit: name, value }),
      el("span", { class: "name" }, name), el("span", { class: "track" }, bar), el("span", { class: "n" }, value)));
  }));
  arrows(grid, "button");
  return grid;
}

function unitButton(unit, name, ...children) {
  return el("button", { type: "button", "data-unit": unit, "aria-label": name, title: name, "aria-pressed": "false",
                        onclick: () => go({ unit }, { refine: true }) }, ...children);
}

function markUnit(box, unit) {
  for (const button of box.querySelectorAll("[data-unit]")) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.unit) === unit));
  }
}

function filters(at, { stage }) {
  const [src, alt] = [ofRun(at.run, `stages/${stage}/filters.png`), say("inside.filters.alt", { stage })];
  return [
    el("h4", {}, say("inside.filters")),
    el("p", { class: "hint" }, say("inside.filters.about")),
    el("img", { class: "filters", src, alt }),
  ];
}

/** The unit's own map, and the patches of test images that excite it most. */
async function drawUnit(box, run, at, stage, signal) {
  const { unit } = at;
  if (!stage || unit === null || unit >= stage.output[0]) {
    box.replaceChildren(stage ? el("p", { class: "hint card" }, say("inside.unit.choose")) : "");
    box.dataset.key = "";
    return;
  }
  const key = `${at.run} ${at.image} ${stage.stage} ${unit}`;
  if (box.dataset.key === key) return;
  const heading = say("inside.unit.heading", { unit: unit + 1, stage: stage.stage });
  const card = el("div", { class: "card" }, el("h3", {}, heading));
  if (stage.output.length === 3) card.append(await mapOf(at, stage, unit, signal));
  box.replaceChildren(card);
  const { patches, looked_at: images } = run.test_images
    ? await ask(ofRun(at.run, `stages/${stage.stage}/units/${unit}/patches`, { limit: PATCHES }), signal)
    : { patches: [] };
  card.append(
    el("h4", {}, say("inside.patches")),
    el("p", { class: "hint" }, patches.length ? say("inside.patches.about", { images }) : say("inside.patches.none")),
    thumbnails(patches, {
      label: say("inside.patches"),
      name: ({ value }) => say("inside.patch", { value: figures(value) }),
      onchoose: ({ image }) => lookAt(image),
    }));
  box.dataset.key = key;
  reveal(box, "[data-unit]");
  announce(heading);
}

async function mapOf(at, { stage }, unit, signal) {
  const { columns } = await ask(ofRun(at.run, `stages/${stage}/maps`, { image: at.image, limit: 1 }), signal);
  const sheet = ofRun(at.run, `stages/${stage}/maps.png`, { image: at.image, units: unit });
  const map = cut({ units: [unit], sheet, columns }, 0);
  map.classList.add("map");
  map.setAttribute("role", "img");
  map.setAttribute("aria-label", say("inside.unit.map"));
  return map;
}

function nameOf({ stage }) {
  return stage === IMAGE ? say("inside.image") : stage;
}

function shape(output) {
  return output.join(" × ");
}

function seen(at) {
  return ofRun(at.run, "seen.png", { image: at.image });
}
