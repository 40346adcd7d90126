// A small shared calendar. It knows nothing of tenants: it is at "/", and its database is its own.
import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import cookieSession from "cookie-session";
import express from "express";
import { WebSocketServer } from "ws";
import * as events from "./events.js";

const app = express();
const server = createServer(app);
const live = new WebSocketServer({ server, path: "/live" });

app.set("view engine", "ejs");
app.disable("x-powered-by");
app.use(express.static("public"));
app.use(cookieSession({ name: "calendar", keys: [process.env.SESSION_SECRET ?? "development"], sameSite: "lax" }));
app.use(express.urlencoded({ extended: false }));

// Every form carries a token that only the session knows.
app.use((request, response, next) => {
  request.session.token ??= randomBytes(16).toString("hex");
  const { token, name } = request.session;
  Object.assign(response.locals, { token, name, title: process.env.CALENDAR_TITLE ?? "Calendar" });
  if (request.method === "POST" && request.body?.token !== token) {
    return response.status(403).render("message", { text: "This form was not accepted. Go back and try again." });
  }
  next();
});

const tellEverybody = (change) => {
  for (const client of live.clients) client.send(JSON.stringify(change));
};

// What a form said, and what is wrong with it.
const read = ({ title = "", day = "", start = "", notes = "" }) => {
  const event = { title: title.trim().slice(0, 120), day, start, notes: notes.trim() };
  const isDay = /^\d{4}-\d\d-\d\d$/.test(day) && !Number.isNaN(Date.parse(day));
  const problem = !event.title ? "Give the event a title." : !isDay ? "Choose a day." : !/^([01]\d|2[0-3]):[0-5]\d$/.test(start) ? "Choose a time." : "";
  return { event, problem };
};

const saving = (store) => async (request, response) => {
  const { event, problem } = read(request.body);
  if (problem) return response.status(422).render("form", { event, problem, action: request.path });
  const saved = await store(request, event);
  tellEverybody({ saved: saved.id });
  response.redirect(303, `/events/${saved.id}`);
};

app.param("id", async (request, response, next, id) => {
  request.event = await events.find(Number(id));
  if (request.event) return next();
  response.status(404).render("message", { text: "There is no such event." });
});

app.get("/up", (request, response) => response.type("text").send("ok"));
app.get("/", async (request, response) => {
  response.render("list", { events: await events.list() });
});
app.get("/api/events", async (request, response) => response.json(await events.list()));
app.get("/events/new", (request, response) => {
  const day = new Date().toISOString().slice(0, 10);
  response.render("form", { event: { day, start: "09:00" }, problem: "", action: "/events" });
});
app.post("/events", saving((request, event) => events.create({ ...event, author: request.session.name ?? null })));
app.get("/events/:id", (request, response) => response.render("event", { event: request.event }));
app.get("/events/:id/edit", (request, response) => {
  response.render("form", { event: request.event, problem: "", action: `/events/${request.event.id}` });
});
app.post("/events/:id", saving((request, event) => events.update(request.event.id, event)));
app.post("/events/:id/delete", async (request, response) => {
  await events.remove(request.event.id);
  tellEverybody({ deleted: request.event.id });
  response.redirect(303, "/");
});
app.get("/sign-in", (request, response) => response.render("sign-in"));
app.post("/sign-in", (request, response) => {
  request.session.name = request.body.name.trim().slice(0, 60);
  response.redirect(303, "/");
});
app.use((request, response) => response.status(404).render("message", { text: "There is nothing here." }));

await events.open();
server.listen(process.env.PORT ?? 3000);
process.once("SIGTERM", () => {
  for (const client of live.clients) client.terminate();
  server.close(() => events.close());
  server.closeIdleConnections();
});
