// How an image is chosen: dropped, pasted, picked from the disk, or from the run's test part.

import { announce, complain, el, refill, thumbnails } from "./elements.js";
import { go, lookAt, place } from "./place.js";
import { ask, ofRun, upload } from "./server.js";
import { openSketch } from "./sketch.js";
import { say } from "./words.js";

const PAGE = 24; // test images shown at once

let shown = { first: 0, label: "" };
let testImages = 0; // of the run

/** Listen for images that are dropped, pasted or picked, anywhere on the page. */
export function listenForImages() {
  const file = document.getElementById("file");
  const dropping = document.getElementById("dropping");
  file.addEventListener("change", () => {
    look(file.files);
    file.value = ""; // the same file may be chosen again
  });
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) look(event.clipboardData.files);
  });
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    dropping.hidden = false;
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) dropping.hidden = true;
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    dropping.hidden = true;
    look(event.dataTransfer.files);
  });
  document.getElementById("any").addEventListener("click", any);
  document.getElementById("draw").addEventListener("click", openSketch);
}

/** Hand the first of these files to the server and look at it; say why where that does not go. */
async function look(files) {
  if (!files.length) return complain(say("choose.not"));
  announce(say("choose.sending"));
  try {
    lookAt(await upload(files[0]));
  } catch (refusal) {
    complain(refusal.message);
  }
}

/** Any test image: a newcomer's first click. */
async function any() {
  const { run } = place();
  const offset = Math.floor(Math.random() * testImages);
  try {
    const { images } = await ask(ofRun(run, "test", { offset, limit: 1 }));
    lookAt(images[0].image);
  } catch (refusal) {
    complain(refusal.message);
  }
}

/** The test images under the picture. The first is chosen where none is, so that the page begins with an answer. */
export async function showTests(run, at, signal) {
  const box = document.getElementById("tests");
  document.getElementById("any").hidden = !run.test_images;
  if (!run.test_images) {
    box.dataset.key = "";
    box.replaceChildren(el("p", { class: "hint" }, say(run.ready ? "tests.none" : "tests.soon")));
    return;
  }
  testImages = run.test_images;
  if (shown.label && !run.classes.includes(shown.label)) shown = { first: 0, label: "" }; // a class of another run
  const key = `${at.run} ${shown.first} ${shown.label}`;
  if (box.dataset.key !== key) {
    const { images, total } = await ask(
      ofRun(at.run, "test", { offset: shown.first, limit: PAGE, label: shown.label }), signal);
    drawTests(box, run, images, total);
    box.dataset.key = key;
    if (!at.image && images.length) return go({ image: images[0].image }, { refine: true });
  }
  for (const button of box.querySelectorAll("[data-image]")) {
    if (button.dataset.image === at.image) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
}

function drawTests(box, run, images, total) {
  const turnTo = async (change) => {
    shown = { ...shown, ...change };
    box.setAttribute("aria-busy", "true");
    await showTests(run, place()).catch((refusal) => complain(refusal.message));
    box.setAttribute("aria-busy", "false");
  };
  const turner = (name, sign, disabled, first) => el("button", {
    type: "button", "aria-label": say(`tests.${name}`), "data-value": name, disabled, onclick: () => turnTo({ first }),
  }, sign);
  const filter = (event) => turnTo({ first: 0, label: event.target.value });
  const classes = el("select", { "data-value": "class", onchange: filter },
    el("option", { value: "" }, say("tests.all")),
    run.classes.map((name) => el("option", { value: name, selected: name === shown.label }, name)));
  const last = Math.min(shown.first + PAGE, total);
  refill(box,
    el("h3", {}, say("tests.heading")),
    el("p", { class: "hint" }, say("tests.about")),
    el("div", { class: "row" },
      el("label", {}, el("span", { class: "unseen" }, say("tests.class")), classes),
      el("span", { class: "row" },
        turner("earlier", "‹", shown.first === 0, Math.max(0, shown.first - PAGE)),
        el("span", { class: "muted small" }, say("tests.range", { first: total ? shown.first + 1 : 0, last, total })),
        turner("later", "›", last >= total, shown.first + PAGE))),
    thumbnails(images, {
      label: say("tests.heading"),
      name: (image) => say("tests.one", { label: image.label }),
      onchoose: ({ image }) => lookAt(image),
    }),
  );
}
