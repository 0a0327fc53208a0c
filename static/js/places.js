// Where one was: focus and scrolling survive a step of the list and the way back from what it opened.

const $ = (selector, within = document) => within.querySelector(selector);
const OPENED = "dagy-opened";
const named = (element) => element?.getAttribute("aria-label") || element?.title || element?.textContent.trim();

// --- back from a row that was opened: on to the next from there
document.addEventListener("click", ({ target }) => {
  const door = target.closest("[data-open]");
  if (door?.href) sessionStorage.setItem(OPENED, JSON.stringify([location.pathname, door.getAttribute("href")]));
});

function back() {
  const [path, href] = JSON.parse(sessionStorage.getItem(OPENED) ?? "[]");
  const [entry] = performance.getEntriesByType("navigation");
  const came = new URL(document.referrer || location.href).pathname !== path || entry?.type === "back_forward";
  sessionStorage.removeItem(OPENED);
  const door = path === location.pathname && came ? $(`[data-open][href="${CSS.escape(href)}"]`) : null;
  door?.closest("tr")?.classList.add("shown");
  door?.focus();
}
addEventListener("pageshow", back);

// --- a step within the list: the same link has focus again, and what changed is in view
let left = null;
document.addEventListener("htmx:before:request", ({ detail }) => {
  const source = detail.ctx.sourceElement;
  left = source?.closest("#results") && !source.closest("[data-quiet]") ? named(source) : null;
});
document.addEventListener("htmx:after:swap", () => {
  const results = $("#results");
  if (!left || !results) return;
  const again = [...results.querySelectorAll("a[hx-get]")].find((link) => named(link) === left || named(link)?.startsWith(`${left}, `));
  left = null;
  if (results.getBoundingClientRect().top < 0) results.scrollIntoView();
  const shown = again?.checkVisibility() ? again : $(".summary", results);
  shown?.focus({ preventScroll: true });
});
