"use strict";

// Keeps a page with data-live-url up to date: the server tells of a change, the page fetches
// itself again and swaps its <main>.
(() => {
  const url = document.body.dataset.liveUrl;
  if (!url) return;

  const RETRY_MS = 5000;
  const HIDDEN_MS = 60000;
  let source = null;
  let retryTimer = 0;
  let hiddenTimer = 0;
  let refreshing = false;
  let stale = false;

  async function refresh() {
    stale = true;
    if (refreshing) return;
    refreshing = true;
    try {
      while (stale) {
        stale = false;
        await swapMain();
      }
    } catch {
      // Not reachable just now; the next message or reconnection refreshes again.
      stale = true;
    } finally {
      refreshing = false;
    }
  }

  async function swapMain() {
    const response = await fetch(location.href, { headers: { "X-Background-Refresh": "1" } });
    if (response.redirected || !(response.ok || response.status === 404)) return;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const fresh = page.querySelector("main");
    const current = document.querySelector("main");
    if (fresh && fresh.innerHTML !== current.innerHTML) {
      const focused = document.activeElement.getAttribute("href");
      current.innerHTML = fresh.innerHTML;
      document.title = page.title;
      if (focused) current.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
    }
  }

  function open() {
    clearTimeout(retryTimer);
    if (source) return;
    let opened = false;
    source = new EventSource(url);
    source.addEventListener("change", refresh);
    source.addEventListener("open", () => {
      document.body.dataset.live = "on";
      // Changes made while there was no connection went unheard.
      if (opened || stale) refresh();
      opened = true;
    });
    source.addEventListener("error", () => {
      document.body.dataset.live = "off";
      opened = true;
      if (source.readyState !== EventSource.CLOSED) return;
      // After an error answer the browser gives up, so try again from here.
      close();
      retryTimer = setTimeout(open, RETRY_MS);
    });
  }

  function close() {
    clearTimeout(retryTimer);
    source?.close();
    source = null;
    stale = true;
  }

  // A browser allows few connections to one server, so long hidden pages give theirs back.
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hiddenTimer);
    if (document.hidden) hiddenTimer = setTimeout(close, HIDDEN_MS);
    else open();
  });
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", open);
})();
