// Reading one trace: fold and unfold its parts, mark the section that is in view.

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
