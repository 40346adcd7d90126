const storage = process.env.DATABASE_PATH ?? "development.sqlite3";

module.exports = {
  development: { dialect: "sqlite", storage },
  production: { dialect: "sqlite", storage, logging: false },
};
