// One chart of training, drawn as SVG: what was measured in training and on the validation part, by epoch.

import { announce, draw, el, figures } from "./elements.js";
import { say } from "./words.js";

const WIDE = 440;
const HIGH = 280;
const EDGE = { left: 46, right: 14, top: 12, bottom: 36 };
const DOTS = 60; // of validation; more stand too close
const POINTS = 240; // of the training line; more are averaged, neighbours together

/**
 * A figure with its heading, drawing and legend, and a line that reads the point in hand.
 *
 * `lines` are {kind: "step" or "validation", epoch, and a number by `name`}; `format` writes such a number,
 * `tick` one beside the axis; `level` is drawn as a dotted line: what guessing gives.
 */
export function chart({ name, heading, lines, format, tick = format, level = null, live = false }) {
  const points = (kind) => lines.filter((line) => line.kind === kind && Number.isFinite(line[name]))
    .map((line) => ({ x: line.epoch, y: line[name], best: line.best }));
  const train = thinned(points("step"));
  const validation = points("validation");
  const all = [...train, ...validation];
  const last = Math.max(...all.map(({ x }) => x)) || 1;
  // A first step may be far above all others: the height fits what comes after it.
  const most = 1.05 * Math.max(level ?? 0, ...all.slice(all.length > 1 ? 1 : 0).map((point) => point.y)) || 1;
  const x = (epoch) => EDGE.left + (epoch / last) * (WIDE - EDGE.left - EDGE.right);
  const y = (value) => HIGH - EDGE.bottom - (Math.min(value, most) / most) * (HIGH - EDGE.top - EDGE.bottom);
  const best = validation.findLast((point) => point.best);
  const across = (value) => ({ x1: EDGE.left, x2: WIDE - EDGE.right, y1: y(value), y2: y(value) });
  const dots = validation.length > DOTS ? [] : validation;
  const hand = draw("g", { class: "hand", visibility: "hidden" });
  const drawing = draw("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, "aria-hidden": "true" },
    rules(ticks(most), across, "rule"),
    ticks(most).map((value) => draw("text", { x: EDGE.left - 8, y: y(value) + 4, "text-anchor": "end" }, tick(value))),
    ticks(last).map((value) => draw("text", { x: x(value), y: HIGH - 16, "text-anchor": "middle" }, figures(value))),
    draw("text", { x: (WIDE + EDGE.left) / 2, y: HIGH - 1, "text-anchor": "middle" }, say("training.epoch")),
    level === null ? null : rules([level], across, "level"),
    draw("polyline", { class: "train", points: path(train, x, y) }),
    draw("polyline", { class: "validation", points: path(validation, x, y) }),
    dots.map((point) => draw("circle", { class: "validation", cx: x(point.x), cy: y(point.y), r: 3 })),
    best ? draw("circle", { class: "best", cx: x(best.x), cy: y(best.y), r: 6.5 }) : null,
    hand);

  const names = [["train", train.length], ["validation", validation.length], ["best", best], ["guess", level !== null]];
  const reading = el("p", { class: "reading small" }, legend(names.filter(([, there]) => there).map(([key]) => key)));
  const ends = { train: end(train, format), validation: end(validation, format) };
  const figure = el("figure", {
    class: live ? "chart live" : "chart", "data-name": name, tabindex: 0, role: "group",
    "aria-label": say("training.chart", { heading, epochs: figures(last), ...ends }),
  }, el("h3", {}, heading), drawing, reading);
  readable(figure, { drawing, hand, reading, series: { train, validation }, x, y, format });
  return figure;
}

/** Let the pointer or the arrow keys take a point in hand and read it. */
function readable(figure, { drawing, hand, reading, series, x, y, format }) {
  const keys = series.validation.length ? series.validation : series.train;
  const legend_ = [...reading.childNodes];
  let at = keys.length;

  function read(epoch) {
    const near = Object.entries(series).filter(([, points]) => points.length).map(([key, points]) =>
      [key, points.reduce((one, other) => (Math.abs(other.x - epoch) < Math.abs(one.x - epoch) ? other : one))]);
    const place = near[near.length - 1][1].x;
    hand.replaceChildren(
      draw("line", { x1: x(place), x2: x(place), y1: EDGE.top, y2: HIGH - EDGE.bottom }),
      ...near.map(([key, point]) => draw("circle", { class: key, cx: x(point.x), cy: y(point.y), r: 4.5 })));
    hand.setAttribute("visibility", "visible");
    const values = near.map(([key, point]) => `${say(`training.${key}`)} ${format(point.y)}`).join(", ");
    reading.textContent = say("training.read", { epoch: figures(place), values });
  }

  function leave() {
    hand.setAttribute("visibility", "hidden");
    reading.replaceChildren(...legend_);
  }

  drawing.addEventListener("pointermove", (event) => {
    const box = drawing.getBoundingClientRect();
    const place = ((event.clientX - box.left) / box.width) * WIDE;
    const last = keys[keys.length - 1]?.x ?? 1;
    read(((place - EDGE.left) / (WIDE - EDGE.left - EDGE.right)) * last);
  });
  drawing.addEventListener("pointerleave", leave);
  figure.addEventListener("blur", leave);
  figure.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || !keys.length) return;
    event.preventDefault();
    at = Math.min(keys.length - 1, Math.max(0, at + step));
    read(keys[at].x);
    announce(reading.textContent);
  });
}

/** At most so many points, each the mean of its neighbours. */
function thinned(points) {
  const each = Math.ceil(points.length / POINTS);
  if (each < 2) return points;
  const count = Math.ceil(points.length / each);
  const groups = Array.from({ length: count }, (_, i) => points.slice(i * each, (i + 1) * each));
  const mean = (group, axis) => group.reduce((sum, point) => sum + point[axis], 0) / group.length;
  return groups.map((group) => ({ x: mean(group, "x"), y: mean(group, "y") }));
}

/** Round numbers from 0 to at most `most`, about five. */
function ticks(most) {
  const rough = most / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((one) => one * power >= rough) * power;
  return Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, i) => i * step);
}

function rules(values, facts, kind) {
  return values.map((value) => draw("line", { class: kind, ...facts(value) }));
}

function path(points, x, y) {
  return points.map((point) => `${x(point.x).toFixed(1)},${y(point.y).toFixed(1)}`).join(" ");
}

function legend(names) {
  return names.map((key) => el("span", { class: `key ${key}` }, say(`training.${key}`)));
}

function end(points, format) {
  return points.length ? format(points[points.length - 1].y) : "–";
}
