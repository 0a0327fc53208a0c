// What every page needs and HTML can't do: times, toasts, errors of htmx, copying, keys that go somewhere.

const root = document.documentElement;
const $ = (selector, within = document) => within.querySelector(selector);
const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

// --- times: keep "2 min" true, and turn exact ones to local time where the person chose so
const steps = [[60, 1, "s"], [3600, 60, "min"], [86400, 3600, "h"], [60 * 86400, 86400, "d"], [365 * 86400, 30 * 86400, "mo"], [Infinity, 365 * 86400, "y"]];

const clock = (date) => `${date.toDateString() === new Date().toDateString() ? "" : `${pad(date.getMonth() + 1)}-${pad(date.getDate())} `}${pad(date.getHours())}:${pad(date.getMinutes())}`;
const isLocal = () => root.dataset.time === "local";

function ago(date) {
  const seconds = (Date.now() - date) / 1000;
  const span = Math.abs(seconds);
  if (span < 5) return "just now";
  const [, size, unit] = steps.find(([limit]) => span < limit);
  const text = `${Math.floor(span / size)} ${unit}`;
  return seconds > 0 ? text : `in ${text}`;
}

const pad = (number, length = 2) => String(number).padStart(length, "0");

function local(date, toTheMinute = false) {
  const zone = new Intl.DateTimeFormat("en", { timeZoneName: "shortOffset" }).formatToParts(date).find((part) => part.type === "timeZoneName").value;
  const fraction = date.getMilliseconds() ? `.${pad(date.getMilliseconds(), 3)}` : "";
  const seconds = toTheMinute ? "" : `:${pad(date.getSeconds())}${fraction}`;
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ${pad(date.getHours())}:${pad(date.getMinutes())}${seconds} ${zone}`;
}

function writeTimes(within = document) {
  for (const time of $$("time[datetime]", within)) {
    const date = new Date(time.dateTime);
    if (Number.isNaN(date.getTime())) continue;
    if (isLocal()) time.title = local(date, time.dataset.exact === "minute");
    if ("clock" in time.dataset) {
      if (isLocal()) time.firstChild.data = `${clock(date)} `;
      time.lastChild.textContent = ago(date);
      continue;
    }
    const exact = "exact" in time.dataset;
    const text = exact ? time.title : ago(date);
    if ((!exact || isLocal()) && time.textContent !== text) time.textContent = text;
  }
  if (isLocal()) $$("svg title", within).forEach((title) => (title.textContent = title.textContent.replace(/(\d{4}-\d\d-\d\d) (\d\d:\d\d) UTC/g, (_, day, minute) => local(new Date(`${day}T${minute}Z`), true))));
}
writeTimes();
setInterval(() => document.hidden || writeTimes(), 20_000);

// --- words to the person: a toast that is seen, a line that is only heard
function announce(text) {
  const line = $("#announce");
  if (line && text && line.textContent !== text) line.textContent = text;
}

function toast(text) {
  const copy = $("#toast-template").content.cloneNode(true);
  $("p", copy).textContent = text;
  $("#toasts").append(copy);
}
for (const shown of $$("[data-toast]:not(.error, .warning)")) setTimeout(() => shown.remove(), 8_000);

// --- htmx: an error never lands in the middle of a page, except where a form answers 422 with itself
function failure({ status, headers }) {
  const id = headers.get("X-Request-Id");
  const said = { 401: "Your session has ended. Sign in again; what you see is still here.", 403: "You may not do this. Nothing was changed.", 404: "This is gone, or you may not see it.",
    429: "Too many requests. Wait a minute and try again.", 503: "A part of the console does not answer. Nothing was lost; try again in a minute." }[status];
  return `${said ?? `The console answered with an error (${status}). Try again.`}${id ? ` Request ${id}` : ""}`;
}
document.addEventListener("htmx:before:response", (event) => {
  const { raw, status, headers } = event.detail.ctx.response;
  if (raw.redirected && new URL(raw.url).pathname !== new URL(event.detail.ctx.request.action, location.href).pathname) {
    event.preventDefault();
    location.assign(raw.url);
  } else if (status >= 400 && status !== 422 && !headers.has("HX-Redirect")) {
    event.preventDefault();
    if (!isQuiet(event.detail.ctx)) toast(failure({ status, headers }));
  }
});
// What a page asks for by itself is asked for again.
const isQuiet = (ctx) => Boolean(ctx.sourceElement?.closest("[data-quiet]"));
document.addEventListener("htmx:error", ({ detail }) => detail.ctx && !isQuiet(detail.ctx) && toast("The console can't be reached. Nothing was lost; try again."));
document.addEventListener("htmx:after:swap", () => {
  writeTimes();
  const results = $("[data-announce]");
  announce(results?.dataset.announce);
  const titled = $("[data-title]");
  if (titled) document.title = titled.dataset.title;
});

// --- clicks: copy, dismiss
document.addEventListener("click", async ({ target }) => {
  target.closest("[data-dismiss]")?.closest("[data-toast]").remove();
  const button = target.closest("[data-copy], [data-copy-from]");
  if (!button) return;
  const text = button.dataset.copy ?? $(button.dataset.copyFrom).textContent;
  const copied = await navigator.clipboard.writeText(text).then(() => true, () => false);
  announce("");
  announce(copied ? "Copied" : "The browser does not allow copying: select the text instead");
  const label = button.textContent;
  button.textContent = copied ? "Copied" : "Not allowed";
  setTimeout(() => (button.textContent = label), 1_200);
});
