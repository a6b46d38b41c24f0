/**
 * Inboxes: what a consumer has handled already, for handlers that write in a transaction of their
 * own.
 *
 * <p>{@link dev.trunkline.inbox.Inbox#firstTime(java.sql.Connection,
 * dev.trunkline.message.MessageId)} inserts a row into {@code trunkline.inbox} on the handler's
 * connection. It is there if and when the handler's work is: they commit together. Two that handle
 * the same message at the same time meet at the primary key: the second waits until the first has
 * committed (and is told: not the first time) or rolled back (the first time).
 *
 * <p>A crash before that commit leaves neither row nor work: the next delivery is the first time. A
 * crash after it, before the ack, leaves both: the next delivery is not, and is acked.
 *
 * <p>{@link dev.trunkline.inbox.InboxPruning} deletes what is older than its retention, in bounded
 * steps; the maintenance of the queues runs it once a minute.
 */
@NullMarked
package dev.trunkline.inbox;

import org.jspecify.annotations.NullMarked;
