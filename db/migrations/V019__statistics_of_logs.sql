-- A log that grows is analysed again and again, each time with all that its columns hold. Columns that no query looks
-- for, arrays above all, are left out, and tables that only grow are looked at when they have doubled.
-- Chunks are made with the same settings from now on (trunkline.add_chunk); those that are there keep theirs.
-- What holds one row a step is read from its end by plans that ask for no statistics.
--
-- Old code: it makes the same plans.

ALTER TABLE trunkline.segment
  ALTER COLUMN bytes SET STATISTICS 0,
  ALTER COLUMN ids SET STATISTICS 0;
ALTER TABLE trunkline.segment SET (autovacuum_analyze_scale_factor = 1, autovacuum_analyze_threshold = 1000);

ALTER TABLE trunkline.sequencing SET (autovacuum_analyze_threshold = 10000);
ALTER TABLE trunkline.compaction SET (autovacuum_analyze_threshold = 10000);
ALTER TABLE trunkline.group_commit SET (autovacuum_analyze_threshold = 10000);
ALTER TABLE trunkline.member_heartbeat SET (autovacuum_analyze_threshold = 10000);

UPDATE trunkline.schema_version SET version = 19;
