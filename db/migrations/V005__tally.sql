-- Tally: how many messages are in each state of a queue, without counting them.
--
-- Every statement that moves messages adds one row with what it moved, in the same transaction: the sum over a queue's
-- rows is exact at any snapshot. The maintenance folds the rows of the last second into one per queue. Append-only: a
-- counter row would be a lock for all publishers and a chain of dead versions under a held snapshot.
-- Old code: there is none before this version.

CREATE TABLE trunkline.tally (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  sent bigint NOT NULL DEFAULT 0,
  acked bigint NOT NULL DEFAULT 0,
  queue_id integer NOT NULL,
  ready integer NOT NULL DEFAULT 0,
  scheduled integer NOT NULL DEFAULT 0,
  in_flight integer NOT NULL DEFAULT 0,
  dead integer NOT NULL DEFAULT 0
);

ALTER TABLE trunkline.tally SET (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);

UPDATE trunkline.schema_version SET version = 5, oldest_client = 5;
