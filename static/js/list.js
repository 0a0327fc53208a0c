// Ticking rows of a list. What is ticked survives paging within one search; "all that match" is the server's to count.

const $ = (selector, within = document) => within.querySelector(selector);
const boxes = () => [...document.querySelectorAll("#selection input[name=key]")];

const picked = new Set();
let all = false;
let query = $("#results")?.dataset.query;
let last = null;
// Whoever keeps the traces after all finds them ticked as they were.
const KEPT = "dagy-selection";
const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
sessionStorage.removeItem(KEPT);
if (kept?.query === query && new URL(document.referrer || location.href).pathname.endsWith("/deletions/confirm/")) kept.keys.forEach((key) => picked.add(key));

function draw() {
  const bar = $("#selection .bar");
  if (!bar) return;
  for (const box of boxes()) {
    box.checked = all || picked.has(box.value);
    box.closest("tr").setAttribute("aria-selected", box.checked);
  }
  const page = $("[data-pick-page]");
  const ticked = boxes().filter((box) => box.checked).length;
  page.checked = ticked > 0 && ticked === boxes().length;
  page.indeterminate = ticked > 0 && !page.checked;
  bar.toggleAttribute("data-active", all || picked.size > 0);
  const everything = $("[data-select-all]", bar);
  const count = all ? everything.dataset.selectAll : picked.size.toLocaleString("en");
  const said = $("[data-selected]", bar);
  if (all || !picked.size) delete said.dataset.note;
  said.textContent = all ? `All ${count} that match`.replace("  ", " ") : `${count} selected${said.dataset.note ?? ""}`;
  if (everything) everything.hidden = all;
  $("[data-delete]", bar).textContent = `Delete ${count || "all"}…`;
}

function set(box, on) {
  if (all) {
    all = false;
    picked.clear();
    boxes().forEach((other) => picked.add(other.value));
    $("[data-selected]").dataset.note = " of this page, no longer all that match";
  }
  if (on) picked.add(box.value);
  else picked.delete(box.value);
}

document.addEventListener("click", (event) => {
  const { target } = event;
  if (target.matches("#selection input[name=key]")) {
    const line = boxes();
    const [from, to] = [line.indexOf(last), line.indexOf(target)].sort((a, b) => a - b);
    const range = event.shiftKey && from >= 0 ? line.slice(from, to + 1) : [target];
    range.forEach((box) => set(box, target.checked));
    last = target;
  } else if (target.matches("[data-pick-page]")) {
    boxes().forEach((box) => set(box, target.checked));
  } else if (target.closest("[data-select-all]")) {
    all = true;
  } else if (target.closest("[data-clear]")) {
    all = false;
    picked.clear();
    last = null;
  } else {
    return;
  }
  draw();
});

// The rows of other pages and "all" go along as hidden fields.
document.addEventListener("submit", ({ target }) => {
  if (target.id !== "selection") return;
  if (!all) sessionStorage.setItem(KEPT, JSON.stringify({ query, keys: [...picked] }));
  target.querySelectorAll("[data-extra]").forEach((extra) => extra.remove());
  const here = new Set(boxes().map((box) => box.value));
  const extras = all ? [["all", "1"]] : [...picked].filter((key) => !here.has(key)).map((key) => ["key", key]);
  for (const [name, value] of extras) {
    const extra = document.createElement("input");
    Object.assign(extra, { type: "hidden", name, value });
    extra.dataset.extra = "";
    target.append(extra);
  }
});

document.addEventListener("htmx:after:swap", () => {
  const results = $("#results");
  if (results && results.dataset.query !== query) {
    query = results.dataset.query;
    $("[data-search]").value = query;
    all = false;
    picked.clear();
  }
  last = null;
  draw();
});

// A browser that comes back to this page may have kept its ticks.
addEventListener("pageshow", () => {
  boxes().filter((box) => box.checked).forEach((box) => picked.add(box.value));
  draw();
});
