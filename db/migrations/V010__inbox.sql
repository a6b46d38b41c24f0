-- Inbox: which messages a consumer has handled, for handlers that write in transactions of their own.
--
-- A row is inserted by the transaction that does the work, so it is there if and only if the work was done; the primary
-- key decides between two that handle the same message at once. Rows are never updated; the maintenance deletes them in
-- steps when their time is over.
-- Old code does not know the table, and works on.

CREATE TABLE trunkline.inbox (
  forget_at timestamptz NOT NULL,
  consumer text NOT NULL COLLATE "C",
  key text NOT NULL COLLATE "C",
  PRIMARY KEY (consumer, key)
);

CREATE INDEX inbox_forget_idx ON trunkline.inbox (forget_at);

ALTER TABLE trunkline.inbox SET (
  autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_cost_delay = 0);

UPDATE trunkline.schema_version SET version = 10;
