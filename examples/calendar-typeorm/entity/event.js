import { EntitySchema } from "typeorm";

export const Event = new EntitySchema({
  name: "Event",
  tableName: "events",
  columns: {
    id: { type: Number, primary: true, generated: "increment" },
    title: { type: String },
    day: { type: String },
    start: { type: String },
    notes: { type: String, default: "" },
    author: { type: String, nullable: true },
  },
  indices: [{ name: "events_by_time", columns: ["day", "start", "id"] }],
});
