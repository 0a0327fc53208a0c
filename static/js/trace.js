// Reading one trace: search and fold the JSON tree, copy a path or a value, mark the section that is in view.

const $ = (selector, within = document) => within.querySelector(selector);
const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

// --- fold and unfold
document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-fold-all]");
  if (!button) return;
  const parts = $$(button.dataset.foldAll);
  const open = button.dataset.fold ? button.dataset.fold === "open" : parts.some((part) => !part.open);
  parts.forEach((part) => (part.open = open));
});
document.addEventListener(
  "toggle",
  () => {
    for (const button of $$("[data-fold-all]:not([data-fold])")) {
      const allOpen = $$(button.dataset.foldAll).every((part) => part.open);
      button.textContent = allOpen ? "Fold library frames" : "Show all frames";
    }
  },
  true,
);

// --- search the tree: what matches is marked, its parents unfold, the rest is hidden
const tree = $(".tree");
const search = $("[data-tree-search]");
const counter = $("[data-tree-count]");
const own = (item) => $(":scope > .tree-line, :scope > details > .tree-line", item);

function find(words) {
  const items = $$("li", tree);
  const wanted = words.trim().toLowerCase();
  let hits = 0;
  items.forEach((item) => item.classList.remove("hit", "miss"));
  counter.textContent = "";
  if (!wanted) return;
  const kept = new Set();
  for (const item of items) {
    const line = own(item);
    const isHit = line.textContent.toLowerCase().includes(wanted) || item.dataset.path.toLowerCase() === wanted;
    if (!isHit) continue;
    hits += 1;
    item.classList.add("hit");
    for (let parent = item; parent && parent !== tree; parent = parent.parentElement) {
      if (parent.tagName === "LI") kept.add(parent);
      if (parent.tagName === "DETAILS" && parent.parentElement !== item) parent.open = true;
    }
    $$("li", item).forEach((child) => kept.add(child));
  }
  items.forEach((item) => item.classList.toggle("miss", !kept.has(item)));
  counter.textContent = hits === 1 ? "1 match" : `${hits} matches`;
}
let waiting;
search?.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => find(search.value), 150);
});

// --- copy a path or a value: two buttons on the line that is pointed at or has focus
const tools = document.createElement("span");
tools.className = "tree-tools";
for (const [name, label] of [["path", "Copy path"], ["value", "Copy value"]]) {
  const button = document.createElement("button");
  Object.assign(button, { type: "button", className: "copy", textContent: label });
  button.dataset.tool = name;
  tools.append(button);
}

function offer({ target }) {
  const item = target.closest?.(".tree li");
  if (!item || target.closest(".tree-tools") || tools.parentElement === item) return;
  const value = $(".tree-value", own(item)).textContent;
  const isText = value.startsWith('"') && value.endsWith('"');
  $("[data-tool=path]", tools).dataset.copy = item.dataset.path;
  const copyValue = $("[data-tool=value]", tools);
  copyValue.hidden = Boolean($(":scope > details", item));
  copyValue.dataset.copy = isText ? value.slice(1, -1) : value;
  tools.parentElement?.classList.remove("focused");
  item.append(tools);
  item.classList.add("focused");
}
$$("span.tree-line", tree ?? document.createElement("i")).forEach((line) => (line.tabIndex = 0));
tree?.addEventListener("pointerover", offer);
tree?.addEventListener("focusin", offer);
tree?.addEventListener("click", offer);

// --- which section is in view
const tabs = $$(".tabs a");
const parts = tabs.map((tab) => $(tab.hash)).filter(Boolean);
// Near its end a page can't scroll as far as the section that was asked for: it counts until somebody scrolls.
let asked = location.hash;

function mark() {
  const seen = parts.filter((part) => part.getBoundingClientRect().top <= innerHeight * 0.3).at(-1) ?? parts[0];
  const hash = tabs.some((tab) => tab.hash === asked) ? asked : `#${seen?.id}`;
  tabs.forEach((tab) => (tab.hash === hash ? tab.setAttribute("aria-current", "true") : tab.removeAttribute("aria-current")));
}
addEventListener("hashchange", () => { asked = location.hash; mark(); });
for (const moved of ["wheel", "touchmove", "keydown"]) addEventListener(moved, () => (asked = ""), { passive: true });
addEventListener("scroll", mark, { passive: true });
mark();
