// The events, by way of Sequelize.
import { DataTypes, Sequelize } from "sequelize";
import config from "./config/config.cjs";

const sequelize = new Sequelize(config[process.env.NODE_ENV ?? "development"]);
const Event = sequelize.define(
  "Event",
  {
    title: { type: DataTypes.STRING(120), allowNull: false },
    day: { type: DataTypes.STRING(10), allowNull: false },
    start: { type: DataTypes.STRING(5), allowNull: false },
    notes: { type: DataTypes.TEXT, allowNull: false, defaultValue: "" },
    author: DataTypes.STRING(60),
  },
  { tableName: "events", timestamps: false },
);

export const open = () => sequelize.authenticate();
export const close = () => sequelize.close();
export const list = () => Event.findAll({ order: ["day", "start", "id"] });
export const find = (id) => Event.findByPk(id);
export const create = (event) => Event.create(event);
export const update = async (id, event) => (await Event.findByPk(id)).update(event);
export const remove = (id) => Event.destroy({ where: { id } });
