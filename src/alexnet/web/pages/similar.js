// Images that the net finds alike; each is the beginning of the next search.

import { announce, el, figures, thumbnails } from "./elements.js";
import { lookAt } from "./place.js";
import { ask, ofRun } from "./server.js";
import { say } from "./words.js";

const COMMANDS = [
  "alexnet embed RUN PHOTOS vectors", "alexnet index vectors my-index", "alexnet serve RUN --index my-index",
];

/** The nearest images of the index that is served. */
export async function showSimilar(panel, { run, at, signal }) {
  if (!run.search) {
    panel.dataset.key = "";
    panel.replaceChildren(
      el("h2", {}, say("similar.none")),
      el("p", { class: "about" }, say("similar.none.how")),
      el("pre", {}, COMMANDS.join("\n")),
    );
    return;
  }
  const key = `${at.run} ${at.image}`;
  if (panel.dataset.key === key) return;
  const { results } = await ask(ofRun(at.run, "similar", { image: at.image, top: 24 }), signal);
  const inGrid = panel.contains(document.activeElement);
  const named = (result) => result.label ?? result.path.split("/").pop();
  const grid = thumbnails(results, {
    label: say("similar.grid"),
    side: 192,
    caption: (result) => [
      el("span", { class: "name" }, named(result)), el("span", { class: "muted" }, figures(result.distance)),
    ],
    name: (result) => say("similar.one", { label: named(result), distance: figures(result.distance) }),
    onchoose: ({ image }) => lookAt(image),
  });
  grid.classList.add("large");
  panel.replaceChildren(el("h2", {}, say("similar.heading")), el("p", { class: "about" }, say("similar.about")), grid);
  if (inGrid) grid.querySelector("button")?.focus({ preventScroll: true }); // the one that was clicked is gone
  panel.dataset.key = key;
  if (results.length) announce(say("similar.said", { count: results.length, label: named(results[0]) }));
}
