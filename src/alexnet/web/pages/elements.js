// Elements made and moved through: the few things that every part of the page does to the document.

/** An HTML element: `on...` facts are listeners, true and false are bare attributes, null ones are left out. */
export function el(tag, facts = {}, ...children) {
  return filled(document.createElement(tag), facts, children);
}

/** The same for a part of an SVG drawing. */
export function draw(tag, facts = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), facts, children);
}

function filled(element, facts, children) {
  for (const [name, value] of Object.entries(facts)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Put other children into a box; the focus stays on what has the same `data-value`, so that a keyboard can go on. */
export function refill(box, ...children) {
  const held = box.contains(document.activeElement) ? document.activeElement.dataset.value : undefined;
  box.replaceChildren(...children);
  if (held !== undefined) box.querySelector(`[data-value="${CSS.escape(held)}"]`)?.focus();
}

/** Say something to those who listen to the page instead of looking at it. */
export function announce(text) {
  const said = document.getElementById("said");
  if (said.textContent !== text) said.textContent = text;
}

/** Say under the image what went wrong, until another image is looked at. */
export function complain(message) {
  const trouble = document.getElementById("trouble");
  trouble.textContent = message;
  trouble.hidden = false;
}

/** One of several choices: buttons side by side, the chosen one pressed. `choices` is a list of [value, text]. */
export function segments(label, choices, chosen, onchoose) {
  const group = el("div", { class: "segments", role: "group", "aria-label": label });
  for (const [value, text] of choices) {
    group.append(
      el("button", { type: "button", "data-value": value, "aria-pressed": String(value === chosen),
                     onclick: () => onchoose(value) }, text),
    );
  }
  return group;
}

/**
 * Make a group of buttons one stop of the Tab key, with the arrow keys going from one to its neighbour.
 * Up and down go by where the buttons stand, so that it serves rows, grids and tables alike.
 */
export function arrows(group, selector, first = null) {
  const items = [...group.querySelectorAll(selector)];
  const start = first ?? items[0];
  for (const item of items) item.tabIndex = item === start ? 0 : -1;
  if (group.dataset.arrows) return;
  group.dataset.arrows = "on";
  group.addEventListener("focusin", (event) => {
    const item = event.target.closest(selector);
    if (!item) return;
    for (const other of group.querySelectorAll(`:is(${selector})[tabindex="0"]`)) other.tabIndex = -1;
    item.tabIndex = 0;
  });
  group.addEventListener("keydown", (event) => {
    const next = neighbour([...group.querySelectorAll(selector)], event.target.closest(selector), event.key);
    if (!next) return;
    event.preventDefault();
    next.focus();
  });
}

function neighbour(items, from, key) {
  const at = items.indexOf(from);
  if (at < 0) return null;
  if (key === "ArrowRight") return items[at + 1];
  if (key === "ArrowLeft") return items[at - 1];
  if (key === "Home") return items[0];
  if (key === "End") return items[items.length - 1];
  if (key !== "ArrowDown" && key !== "ArrowUp") return null;
  const here = from.getBoundingClientRect();
  const sign = key === "ArrowDown" ? 1 : -1;
  let best = null;
  let least = Infinity;
  for (const item of items) {
    const there = item.getBoundingClientRect();
    const down = sign * (there.top - here.top);
    if (down < here.height / 2) continue;
    const far = down * 1000 + Math.abs(there.left - here.left); // the next row first, then the same column
    if (far < least) [best, least] = [item, far];
  }
  return best;
}

/** Small images as buttons in a grid: each of `images` with what stands under it and what a click does. */
export function thumbnails(images, { caption, name, onchoose, chosen = null, side = 96, label }) {
  const grid = el("ul", { class: "thumbnails", "aria-label": label });
  for (const image of images) {
    const src = image.picture ?? `/api/images/${image.image}?side=${side}`;
    const picture = el("img", { src, alt: "", loading: "lazy", onload: pixelated });
    const under = caption?.(image);
    grid.append(el("li", {}, el("button", {
      type: "button", "data-image": image.image, "aria-label": name(image),
      "aria-current": image.image === chosen ? "true" : null, onclick: () => onchoose(image),
    }, picture, under ? el("span", { class: "caption" }, under) : null)));
  }
  arrows(grid, "button", grid.querySelector("[aria-current]"));
  return grid;
}

/** Scroll the strip, and it alone, until the item is in its middle where it was not to be seen. */
export function bringIntoSight(strip, item) {
  const [outer, inner] = [strip.getBoundingClientRect(), item.getBoundingClientRect()];
  if (inner.left >= outer.left && inner.right <= outer.right) return;
  strip.scrollLeft += inner.left + inner.width / 2 - outer.left - outer.width / 2;
}

/** Bring what a click has opened into sight, unless it is there, or was opened by an address. */
export function reveal(opened, button) {
  if (!document.activeElement?.matches(button) || opened.getBoundingClientRect().top < innerHeight - 120) return;
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  opened.scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
}

/** Images of few pixels are enlarged square by square, so that the reader sees what the net is given. */
export function pixelated(event) {
  const image = event.target;
  image.classList.toggle("pixels", image.naturalWidth > 0 && Math.max(image.naturalWidth, image.naturalHeight) <= 80);
}

/** A fraction as a percentage with as many digits as make sense. */
export function percent(fraction) {
  const value = 100 * fraction;
  return `${value > 0 && value < 0.1 ? "< 0.1" : value.toFixed(value >= 99.95 ? 0 : 1)} %`;
}

/** A number in four figures at most. */
export function figures(value) {
  return Math.abs(value) >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}
