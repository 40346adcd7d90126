import "reflect-metadata";
import { DataSource } from "typeorm";
import { Event } from "./entity/event.js";

export default new DataSource({
  type: "better-sqlite3",
  database: "data/calendar.sqlite3",
  entities: [Event],
  migrations: ["migrations/*.js"],
});
