import { Table } from "typeorm";

export class Events1763900000000 {
  async up(runner) {
    await runner.createTable(
      new Table({
        name: "events",
        columns: [
          { name: "id", type: "integer", isPrimary: true, isGenerated: true, generationStrategy: "increment" },
          { name: "title", type: "varchar" },
          { name: "day", type: "varchar" },
          { name: "start", type: "varchar" },
          { name: "notes", type: "varchar", default: "''" },
          { name: "author", type: "varchar", isNullable: true },
        ],
        indices: [{ name: "events_by_time", columnNames: ["day", "start", "id"] }],
      }),
    );
  }

  async down(runner) {
    await runner.dropTable("events");
  }
}
