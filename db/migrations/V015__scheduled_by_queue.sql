-- What is due is looked for in scheduled_due_idx. While little is scheduled, an older planner (14) thinks the index by
-- queue as good, although it would read it from end to end, and a plan that is kept goes on doing so. With a condition
-- that only the looks at one queue have (queue_id > 0 is true of each) it is no choice for the others.
-- Old code looks at one queue without that condition, and sorts what is scheduled: peeking and purging are slower for it.

DROP INDEX trunkline.scheduled_queue_idx;
CREATE INDEX scheduled_queue_idx ON trunkline.scheduled (queue_id, due_at, id) WHERE queue_id > 0;

UPDATE trunkline.schema_version SET version = 15;
