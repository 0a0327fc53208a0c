// Reading a list: focus and scrolling survive a step of it and the way back from what it opened; repeats unfold; times are
// written in the zone that they are read in.

const $ = (selector, within = document) => within.querySelector(selector);
const OPENED = "dagy-opened";
const named = (element) => element?.dataset.again || element?.getAttribute("aria-label") || element?.title || element?.textContent.trim();

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
  shown?.focus({ preventScroll: !shown.dataset.again });
});

// --- repeats of a group
document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-unfold]");
  if (!button) return;
  const repeats = [...document.querySelectorAll(`[data-run="${button.dataset.unfold}"]`)];
  repeats.forEach((row) => row.classList.add("shown"));
  button.closest("tr").remove();
  $("[data-open]", repeats[0])?.focus();
});

// --- Who reads local time writes it: a time without a zone gets its offset on the way, so that the address says it all.
const two = (number) => String(number).padStart(2, "0");
const naive = /\b(after|before):(\d{4}-\d\d-\d\d)(T\d\d:\d\d(?::\d\d)?)?(?=\s|$)/g;

function zoned(key, day, time = "T00:00") {
  const minutes = -new Date(`${day}${time}`).getTimezoneOffset();
  const offset = `${minutes < 0 ? "-" : "+"}${two(Math.floor(Math.abs(minutes) / 60))}:${two(Math.abs(minutes) % 60)}`;
  return Number.isNaN(minutes) ? `${key}${day}${time}` : `${key}${day}${time}${offset}`;
}
document.addEventListener("submit", ({ target }) => {
  if (document.documentElement.dataset.time !== "local" || target.method !== "get") return;
  const { q, after, before } = target.elements;
  if (q) q.value = q.value.replace(naive, (_, key, day, time) => zoned(`${key}:`, day, time));
  for (const field of [after, before]) if (field) field.value = `${field.name}:${field.value}`.replace(naive, (_, key, day, time) => zoned(`${key}:`, day, time)).slice(field.name.length + 1);
}, true);
