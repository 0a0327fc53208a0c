// A log that is followed stays at its end while lines come, unless the person has scrolled away from it.

const log = document.querySelector("[data-log]");
const follow = document.querySelector("[data-follow]");

function toTheEnd() {
  log.scrollTop = log.scrollHeight;
}

function isAtEnd() {
  return log.scrollHeight - log.scrollTop - log.clientHeight < 40;
}

if (log) {
  const marked = log.querySelector(".marked");
  if (marked) marked.scrollIntoView({ block: "center" });
  else if (!location.search.includes("after=")) toTheEnd();
  if (follow) {
    log.addEventListener("scroll", () => { follow.checked = isAtEnd(); });
    follow.addEventListener("change", () => { if (follow.checked) toTheEnd(); });
    new MutationObserver(() => { if (follow.checked) toTheEnd(); }).observe(log, { childList: true });
  }
}
