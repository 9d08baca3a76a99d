// The confusion matrix of many classes as a drawing, read by pointer or by arrow keys.

import { announce, el } from "./elements.js";
import { say } from "./words.js";

const SIDE = 720; // pixels of the drawing, or one a class where classes are more

/** How strongly a cell is coloured, 0 to 1: the root of its share, so that a few mistakes in a hundred are seen. */
export function shade(count, of) {
  return of ? Math.sqrt(count / of) : 0;
}

/**
 * A canvas with a line under it that reads the cell in hand.
 *
 * `counts` is {classes, matrix, of: images of each class}; describe(counts, right, given) gives the line,
 * open(right, given) shows the images.
 */
export function drawMatrix(counts, { describe, open }) {
  const many = counts.classes.length;
  const cell = Math.max(1, Math.floor(SIDE / many));
  const canvas = el("canvas", { width: cell * many, height: cell * many, tabindex: 0, role: "application",
                                "aria-label": `${say("mistakes.grid")}. ${say("mistakes.canvas")}` });
  const reading = el("p", { class: "hint reading" }, say("mistakes.canvas"));
  let hand = [0, 0];

  function paint() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const context = canvas.getContext("2d");
    context.globalAlpha = 1;
    context.fillStyle = colour("card");
    context.fillRect(0, 0, canvas.width, canvas.height);
    counts.matrix.forEach((row, right) => row.forEach((count, given) => {
      if (!count) return;
      context.globalAlpha = shade(count, counts.of[right]);
      context.fillStyle = colour(right === given ? "blue" : "vermillion");
      context.fillRect(given * cell, right * cell, cell, cell);
    }));
    context.globalAlpha = 1;
    context.strokeStyle = colour("ink");
    context.lineWidth = 2;
    context.strokeRect(hand[1] * cell - 1, hand[0] * cell - 1, cell + 2, cell + 2);
  }

  function take(right, given) {
    hand = [right, given].map((number) => Math.min(many - 1, Math.max(0, number)));
    reading.textContent = describe(counts, ...hand);
    paint();
  }

  function under(event) {
    const box = canvas.getBoundingClientRect();
    const share = [(event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width];
    return share.map((part) => Math.floor(part * many));
  }

  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") open(...hand);
    else if (event.key in steps) {
      take(hand[0] + steps[event.key][0], hand[1] + steps[event.key][1]);
      announce(reading.textContent);
    } else return;
    event.preventDefault();
  });
  canvas.addEventListener("pointermove", (event) => take(...under(event)));
  canvas.addEventListener("click", (event) => {
    take(...under(event));
    open(...hand);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
  paint();
  return el("div", { class: "drawn-matrix" }, canvas, reading);
}
