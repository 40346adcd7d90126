const url = new URL(document.body.dataset.liveUrl, location.href);
url.protocol = url.protocol.replace("http", "ws");
new WebSocket(url).addEventListener("message", () => location.reload());
