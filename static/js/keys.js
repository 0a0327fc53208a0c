// Keys of one letter, as GitHub and Linear have them. Real focus moves; nothing happens while somebody types.
// They can be turned off in the help (WCAG 2.1.4); the choice stays in this browser.

const $ = (selector, within = document) => within.querySelector(selector);
const STORE = "dagy-keys";
const stored = () => { try { return localStorage.getItem(STORE); } catch { return null; } };

const help = $("#help");
const keysSwitch = $("[data-keys-switch]");
if (keysSwitch) {
  keysSwitch.checked = stored() !== "off";
  keysSwitch.addEventListener("change", () => { try { localStorage.setItem(STORE, keysSwitch.checked ? "on" : "off"); } catch { /* private window: holds for this page */ } });
}

const typing = (element) => element.matches("input:not([type=checkbox]), textarea, select, [contenteditable]");
const rows = () => [...document.querySelectorAll("[data-row]")].filter((row) => row.checkVisibility());
const door = (row) => $("[data-open]", row);

function move(step) {
  const neighbour = $(step > 0 ? "[data-older]" : "[data-newer]");
  if (neighbour) return neighbour.click();
  const all = rows();
  const now = all.indexOf(document.activeElement.closest("[data-row]"));
  const next = all[now < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(Math.max(now + step, 0), all.length - 1)];
  if (next) door(next).focus();
}

function escape(event) {
  const search = document.activeElement.closest("[data-search]");
  if (search) {
    // The browser would empty the box, and the list would stay as it is.
    event.preventDefault();
    search.value = $("#results")?.dataset.query ?? search.value;
  }
  if (typing(document.activeElement)) return document.activeElement.blur();
  const clear = $("[data-active] [data-clear]");
  if (clear) return clear.click();
  $("[data-back]")?.click();
}

const actions = {
  "/": () => $("[data-search], [data-tree-search]")?.focus(),
  "?": () => help?.togglePopover(),
  j: () => move(1),
  k: () => move(-1),
  "]": () => $("[data-older]")?.click(),
  "[": () => $("[data-newer]")?.click(),
  x: () => $("input[name=key]", document.activeElement.closest("[data-row]") ?? document.createElement("i"))?.click(),
};

let goUntil = 0;
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.key === "Escape") {
    if (!$(":popover-open, dialog[open]")) escape(event);
    return;
  }
  if (typing(event.target) || keysSwitch?.checked === false) return;
  const going = Date.now() < goUntil;
  goUntil = 0;
  if (!going && event.key === "g") {
    goUntil = Date.now() + 1_200;
    return;
  }
  const action = going ? () => $(`[data-go="${CSS.escape(event.key)}"]`)?.click() : actions[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});
