// A slate to draw on: after every stroke the net says what it makes of the drawing so far.

import { complain, el } from "./elements.js";
import { go, lookAt, place } from "./place.js";
import { upload } from "./server.js";
import { say } from "./words.js";

const SIDE = 280; // pixels of the slate
const PEN = SIDE / 9; // about as broad as the strokes in the usual sets of handwritten digits

let slate = null; // kept, so that a drawing can be gone on with
let shown = null; // the image that the last stroke became; at first the one that the slate was laid over

/** Whether the slate lies in the picture's place and is what this image was made of. */
export function isSketch(image) {
  return slate?.isConnected && shown === image;
}

/** Put the slate in the picture's place. */
export function openSketch() {
  slate ??= makeSlate();
  slate.setAttribute("aria-label", say("sketch.slate"));
  shown = place().image;
  const clear = el("button", { type: "button", class: "clear", onclick: () => wipe(slate) }, say("sketch.clear"));
  document.getElementById("picture").replaceChildren(slate, clear);
  go({ heat: null }, { refine: true }); // a heat map would lie over the slate
}

function makeSlate() {
  const canvas = el("canvas", { width: SIDE, height: SIDE, class: "slate", role: "img" });
  wipe(canvas);
  const pen = canvas.getContext("2d");
  pen.strokeStyle = "white";
  pen.lineWidth = PEN;
  pen.lineCap = pen.lineJoin = "round";
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) * SIDE) / box.width, ((event.clientY - box.top) * SIDE) / box.height];
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pen.beginPath();
    pen.moveTo(...at(event));
    stroke(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.buttons) stroke(event);
  });
  canvas.addEventListener("pointerup", () => canvas.toBlob(answer));

  function stroke(event) {
    pen.lineTo(...at(event));
    pen.stroke();
  }

  return canvas;
}

async function answer(drawing) {
  try {
    shown = await upload(drawing);
    lookAt(shown, { refine: true });
  } catch (refusal) {
    complain(refusal.message);
  }
}

function wipe(canvas) {
  canvas.getContext("2d").fillRect(0, 0, SIDE, SIDE); // black, as in the images of digits that nets learn from
}
