"use strict";

// Keeps the page up to date: when the server tells of a change, the page fetches itself and swaps what differs. A form
// that somebody fills in stays as it is.
(() => {
  const main = document.querySelector("main");
  if (main.querySelector("form")) return;
  const source = new EventSource(document.body.dataset.liveUrl);
  source.addEventListener("change", async () => {
    const answer = await fetch(location.href);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    main.replaceChildren(...page.querySelector("main").childNodes);
  });
  window.addEventListener("pagehide", () => source.close());
})();
