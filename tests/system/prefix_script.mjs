// Runs the script for scripts in a window that only notes what it is asked: a line of JSON per call.
import { readFileSync } from "node:fs";
import vm from "node:vm";

const notes = [];
const noting = (name) => function (...words) { notes.push([name, ...words.map(String)]); };
const klass = (name) => class { constructor(...words) { notes.push([name, ...words.map(String)]); } };
const methods = (names) => {
  const made = class {};
  for (const name of names) made.prototype[name] = noting(name);
  return made;
};
class HTMLAnchorElement {
  constructor(attributes) { this.attributes = attributes; }
  hasAttribute(name) { return name in this.attributes; }
  getAttribute(name) { return this.attributes[name] ?? null; }
  setAttribute(name, value) { this.attributes[name] = value; }
}
class Document {
  get cookie() { return "read=1"; }
  set cookie(text) { notes.push(["cookie", text]); }
}
const listeners = {};
const window = {
  URL, HTMLAnchorElement, Document, Proxy, Reflect, Object, String,
  location: new URL("https://shows.example:8443/a/2025/x/events/3"),
  document: Object.assign(new Document(), {
    baseURI: "https://shows.example:8443/a/2025/x/events/3",
    currentScript: { src: "https://shows.example:8443/a/2025/x/_atc/prefix.js" },
  }),
  addEventListener: (name, listener) => { listeners[name] = listener; },
  fetch: noting("fetch"), open: noting("window.open"),
  XMLHttpRequest: methods(["open"]), History: methods(["pushState", "replaceState"]), Navigator: methods(["sendBeacon"]),
  ServiceWorkerContainer: class { register(url, options) { notes.push(["register", url, options?.scope ?? ""]); } },
  Request: klass("Request"), EventSource: klass("EventSource"), WebSocket: klass("WebSocket"), Worker: klass("Worker"),
};
window.WebSocket.OPEN = 1;
window.window = window;
vm.runInNewContext(readFileSync(process.argv[2], "utf8"), window);

const element = (attributes) => new HTMLAnchorElement(attributes);
const clicked = (attributes) => {
  const link = element(attributes);
  listeners.click({ composedPath: () => [{}, link] });
  return link.attributes.href;
};
const sent = (form, button) => {
  const [target, submitter] = [element(form), button && element(button)];
  listeners.submit({ target, submitter });
  return [target.attributes.action ?? null, submitter?.attributes.formaction ?? null];
};
const say = eval(readFileSync(0, "utf8"));
console.log(JSON.stringify({ notes, said: say(window, { clicked, sent }) }));
