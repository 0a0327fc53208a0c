// The JSON of one trace as a tree: searched, and its paths and values copied.

const $ = (selector, within = document) => within.querySelector(selector);
const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

// --- search the tree: the words that match are marked (whole lines where that is not known), their parents unfold, the
// rest is hidden
const tree = $(".tree");
const search = $("[data-tree-search]");
const counter = $("[data-tree-count]");
const marks = globalThis.Highlight ? new Highlight() : null;
if (marks) CSS.highlights.set("found", marks);
const own = (item) => $(":scope > .tree-line, :scope > details > .tree-line", item);

function markWords(line, wanted) {
  const texts = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const { currentNode: node } = texts;
    const text = node.data.toLowerCase();
    // A letter that becomes two in lower case would move what follows.
    if (text.length !== node.length) continue;
    for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) {
      marks?.add(new StaticRange({ startContainer: node, startOffset: at, endContainer: node, endOffset: at + wanted.length }));
    }
  }
}

function find(words) {
  const items = $$("li", tree);
  const wanted = words.trim().toLowerCase();
  let hits = 0;
  items.forEach((item) => item.classList.remove("hit", "whole", "miss"));
  marks?.clear();
  counter.textContent = "";
  if (!wanted) return;
  const kept = new Set();
  for (const item of items) {
    const line = own(item);
    const isHit = line.textContent.toLowerCase().includes(wanted) || item.dataset.path.toLowerCase() === wanted;
    if (!isHit) continue;
    hits += 1;
    const before = marks?.size;
    markWords(line, wanted);
    // A path, or words that begin in the key and end in the value, are no one text.
    item.classList.add("hit");
    item.classList.toggle("whole", marks?.size === before);
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
