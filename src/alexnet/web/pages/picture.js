// The image that is looked at, and over it what the net looks at.

import { el, pixelated, refill, segments } from "./elements.js";
import { go, place } from "./place.js";
import { ask, fetched, ofRun } from "./server.js";
import { isSketch } from "./sketch.js";
import { say } from "./words.js";

const METHODS = ["gradcam", "saliency", "occlusion"];

let strength = 0.7; // kept from image to image

/** The image, or with a heat map chosen, what the net sees of it with the map over it. */
export async function showPicture(run, at, signal) {
  const picture = document.getElementById("picture");
  const heat = document.getElementById("heat");
  if (!at.image) {
    picture.replaceChildren(el("p", { class: "muted" }, say("image.none")));
    heat.replaceChildren();
    return;
  }
  const method = METHODS.includes(at.heat) ? at.heat : null;
  if (!method) {
    if (!isSketch(at.image)) picture.replaceChildren(whole(at.image));
    refill(heat, ...controls(null));
    return;
  }
  const label = run.classes.includes(at.label) ? at.label : await answer(at, signal);
  refill(heat, ...controls(method, label));
  const over = el("img", { class: "over", alt: say("heat.alt", { method: say(`heat.${method}`), label }) });
  over.style.opacity = strength;
  await loaded(over, ofRun(at.run, "heat.png", { image: at.image, method, label }), signal);
  const [seen, alt] = [ofRun(at.run, "seen.png", { image: at.image }), say("image.seen", { size: run.size })];
  picture.replaceChildren(el("img", { src: seen, alt, onload: pixelated }), over);
}

/** The whole image; an address may name one that is gone. */
function whole(image) {
  const gone = (event) => event.target.replaceWith(el("p", { class: "muted" }, say("image.none")));
  return el("img", { src: `/api/images/${image}?side=512`, alt: say("image.alt"), onload: pixelated, onerror: gone });
}

async function answer(at, signal) {
  const { predictions } = await ask(ofRun(at.run, "predictions", { image: at.image, top: 1 }), signal);
  return predictions[0].label;
}

/** Fetch a picture by hand, so that a refusal comes as the server's line instead of a broken image. */
async function loaded(image, path, signal) {
  const response = await fetched(path, { signal });
  if (!response.ok) return ask(path, signal);
  const url = URL.createObjectURL(await response.blob());
  image.addEventListener("load", () => URL.revokeObjectURL(url), { once: true });
  image.addEventListener("load", pixelated);
  image.src = url;
  return image.decode();
}

function fade(event) {
  strength = Number(event.target.value);
  const over = document.querySelector("#picture .over");
  if (over) over.style.opacity = strength;
}

function controls(method, label) {
  const choices = [["off", say("heat.off")], ...METHODS.map((one) => [one, say(`heat.${one}`)])];
  const group = segments(say("heat.heading"), choices, method ?? "off", (one) => {
    go({ heat: one === "off" ? null : one }, { refine: true });
  });
  const head = [el("h3", {}, say("heat.heading")), group];
  if (!method) return head;
  return [...head,
    el("label", { class: "row small" }, say("heat.strength"), el("input", {
      type: "range", min: 0, max: 1, step: 0.05, value: strength, oninput: fade, id: "strength",
      "data-value": "strength",
    })),
    el("p", { class: "hint" }, el("strong", {}, say("heat.for", { label })), " ", say(`heat.${method}.about`),
      place().view === "answer" ? ` ${say("heat.choose")}` : "")];
}
