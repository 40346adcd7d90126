CREATE TABLE "events" (
    "id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "title" TEXT NOT NULL,
    "day" TEXT NOT NULL,
    "start" TEXT NOT NULL,
    "notes" TEXT NOT NULL DEFAULT '',
    "author" TEXT
);

CREATE INDEX "events_day_start_id_idx" ON "events"("day", "start", "id");
