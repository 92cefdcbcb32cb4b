// The faults of a page, each as a sentence: names, landmarks, headings, contrast, width.
const faults = [];
const say = (what, element) => faults.push(`${what}: ${element ? element.outerHTML.slice(0, 160) : ""}`);
const seen = (element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest(".unseen, .skip");

if (!document.documentElement.lang) say("no language");
if (!document.title) say("no title");
if (document.querySelectorAll("h1").length !== 1) say(`${document.querySelectorAll("h1").length} h1`);
if (document.querySelectorAll("main").length !== 1) say("not one main");
if (!document.querySelector("header")) say("no header");
const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) say(`the id ${id} is there twice`);

let level = 0;
for (const heading of document.querySelectorAll("h1, h2, h3, h4")) {
  const now = Number(heading.tagName[1]);
  if (level && now > level + 1) say("a heading skips a level", heading);
  level = now;
}
const named = (element) =>
  (element.getAttribute("aria-label") || "").trim() ||
  (element.getAttribute("aria-labelledby") || "").split(" ").map((id) => document.getElementById(id)?.textContent || "").join("").trim() ||
  [...(element.labels || [])].map((label) => label.textContent).join("").trim() ||
  (["BUTTON", "A", "SUMMARY"].includes(element.tagName) ? element.textContent.trim() : "");
for (const element of document.querySelectorAll("input:not([type=hidden]), select, textarea, button, a[href], summary")) {
  if (!named(element)) say("a control has no name", element);
}
for (const element of document.querySelectorAll("[role=img], [role=region], nav")) {
  if (!named(element)) say("a part has no name", element);
}
for (const element of document.querySelectorAll("[aria-labelledby], [aria-describedby]")) {
  for (const name of ["aria-labelledby", "aria-describedby"]) {
    for (const id of (element.getAttribute(name) || "").split(" ").filter(Boolean)) {
      if (!document.getElementById(id)) say(`${name} names nothing`, element);
    }
  }
}
for (const cell of document.querySelectorAll("thead th")) if (cell.scope !== "col") say("a heading of a column has no scope", cell);
for (const bad of document.querySelectorAll("[style], [onclick], script:not([src])")) say("something stands in the page", bad);

// Contrast of all texts with what is behind them (WCAG 2.1).
const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const color = (text) => {
  paint.clearRect(0, 0, 1, 1);
  paint.fillStyle = text;
  paint.fillRect(0, 0, 1, 1);
  return [...paint.getImageData(0, 0, 1, 1).data];
};
const luminance = ([r, g, b]) => {
  const part = (value) => ((value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
};
const behind = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const found = color(getComputedStyle(at).backgroundColor);
    if (found[3] === 255) return found;
  }
  return [255, 255, 255, 255];
};
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const element = texts.currentNode.parentElement;
  if (!texts.currentNode.data.trim() || !seen(element) || element.closest("svg, option, datalist")) continue;
  const style = getComputedStyle(element);
  const [one, other] = [luminance(color(style.color)), luminance(behind(element))];
  const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700);
  if (ratio < (large ? 3 : 4.5)) say(`contrast ${ratio.toFixed(2)}`, element);
}

const width = document.documentElement.clientWidth;
if (document.documentElement.scrollWidth > width) {
  say(`${document.documentElement.scrollWidth} px wide in a window of ${width}`);
  for (const element of document.querySelectorAll("main *, header *")) {
    const right = element.getBoundingClientRect().right;
    if (right > width + 1 && seen(element) && !element.closest(".wide, .places")) say(`reaches to ${Math.round(right)}`, element);
  }
}
return faults;
