module.exports = {
  async up(queryInterface, Sequelize) {
    await queryInterface.createTable("events", {
      id: { type: Sequelize.INTEGER, primaryKey: true, autoIncrement: true },
      title: { type: Sequelize.STRING(120), allowNull: false },
      day: { type: Sequelize.STRING(10), allowNull: false },
      start: { type: Sequelize.STRING(5), allowNull: false },
      notes: { type: Sequelize.TEXT, allowNull: false, defaultValue: "" },
      author: { type: Sequelize.STRING(60) },
    });
    await queryInterface.addIndex("events", ["day", "start", "id"], { name: "events_by_time" });
  },

  async down(queryInterface) {
    await queryInterface.dropTable("events");
  },
};
