// Keeps a page up to date: the server tells of a change, and the page fetches itself again.
(() => {
  const connect = () => {
    const socket = new WebSocket(`${location.origin.replace("http", "ws")}/live`);
    socket.onmessage = async () => {
      if (document.querySelector("form")) return; // somebody may be typing
      const page = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
      document.querySelector("main").replaceWith(page.querySelector("main"));
    };
    socket.onclose = () => setTimeout(connect, 3000);
  };
  connect();
})();
