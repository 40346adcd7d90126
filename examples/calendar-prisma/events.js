// The events, by way of Prisma.
import { PrismaBetterSQLite3 } from "@prisma/adapter-better-sqlite3";
import { PrismaClient } from "@prisma/client";

const prisma = new PrismaClient({ adapter: new PrismaBetterSQLite3({ url: process.env.DATABASE_URL }) });

export const open = () => prisma.$connect();
export const close = () => prisma.$disconnect();
export const list = () => prisma.event.findMany({ orderBy: [{ day: "asc" }, { start: "asc" }, { id: "asc" }] });
export const find = (id) => prisma.event.findUnique({ where: { id } });
export const create = (data) => prisma.event.create({ data });
export const update = (id, data) => prisma.event.update({ where: { id }, data });
export const remove = (id) => prisma.event.delete({ where: { id } });
