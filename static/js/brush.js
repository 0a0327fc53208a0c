// A stretch of the chart: dragged over, or chosen with the arrow keys (shift widens it), then Enter.

const bars = (chart) => [...chart.querySelectorAll("a")];
// Of a bar's own address, which is the search for its minutes.
const edge = (bar, key) => new URLSearchParams(bar.getAttribute("href").split("?")[1]).get("q").match(new RegExp(`(?:^| )${key}:(\\S+)`))[1];
let anchor = -1;
let end = -1;

function draw(chart) {
  const [from, to] = [anchor, end].sort((a, b) => a - b);
  bars(chart).forEach((bar, at) => bar.classList.toggle("brushed", anchor >= 0 && at >= from && at <= to));
  chart.dataset.said = anchor < 0 ? "" : `${edge(bars(chart)[from], "after")} to ${edge(bars(chart)[to], "before")}`;
  const said = chart.closest("figure").querySelector("[data-brushed]");
  if (said) said.textContent = chart.dataset.said;
}

function go(chart) {
  const [from, to] = [anchor, end].sort((a, b) => a - b).map((at) => bars(chart)[at]);
  const query = [chart.dataset.rest, `after:${edge(from, "after")}`, `before:${edge(to, "before")}`].filter(Boolean).join(" ");
  location.assign(`${chart.dataset.url}?${new URLSearchParams({ q: query })}`);
}

const chartOf = (event) => event.target.closest?.("[data-brush]");
const at = (chart, event) => bars(chart).indexOf(event.target.closest("a"));

document.addEventListener("pointerdown", (event) => {
  const chart = chartOf(event);
  if (!chart || event.button || event.pointerType === "touch") return;
  anchor = end = at(chart, event);
});
document.addEventListener("pointermove", (event) => {
  const chart = chartOf(event);
  if (!chart || !event.buttons || anchor < 0 || at(chart, event) < 0) return;
  end = at(chart, event);
  if (end !== anchor) draw(chart);
});
document.addEventListener("pointerup", (event) => {
  const chart = chartOf(event);
  if (chart && anchor >= 0 && end !== anchor) {
    chart.addEventListener("click", (click) => { click.preventDefault(); click.stopPropagation(); }, { capture: true, once: true });
    go(chart);
  }
  anchor = end = -1;
});
document.addEventListener("dragstart", (event) => chartOf(event) && event.preventDefault());

document.addEventListener("keydown", (event) => {
  const chart = event.target.matches?.("[data-brush]") ? event.target : null;
  if (!chart) return;
  const last = bars(chart).length - 1;
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (event.key === "Enter" && anchor >= 0) return go(chart);
  if (event.key === "Escape") anchor = end = -1;
  else if (step) {
    end = end < 0 ? last : Math.min(Math.max(end + step, 0), last);
    if (anchor < 0 || !event.shiftKey) anchor = end;
  } else return;
  event.preventDefault();
  event.stopPropagation();
  draw(chart);
}, true);
