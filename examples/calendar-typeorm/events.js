// The events, by way of TypeORM.
import source from "./data-source.js";
import { Event } from "./entity/event.js";

const events = source.getRepository(Event);

export const open = () => source.initialize();
export const close = () => source.destroy();
export const list = () => events.find({ order: { day: "ASC", start: "ASC", id: "ASC" } });
export const find = (id) => events.findOneBy({ id });
export const create = (event) => events.save(event);
export const update = (id, event) => events.save({ id, ...event });
export const remove = (id) => events.delete(id);
