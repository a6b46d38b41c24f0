/**
 * Topics: a log in partitions, read by any number of groups, whose order is the order of commits.
 *
 * <h2>The flow</h2>
 *
 * <p>Publishing. {@link Topic#publish} lets the {@link Partitioner} choose the partition and the
 * {@link Publisher} store the record, by {@link RecordStore}, in a transaction of its own or in the
 * caller's. It inserts and locks nothing: publishers never wait for each other. The record has an
 * id, but no offset yet, since nobody can know in which order transactions will commit.
 *
 * <p>Sequencing. After the commit {@link TopicEngine} wakes the {@link Tail} of the topic in this
 * process and, by {@link dev.trunkline.internal.db.Broadcast}, those in others. A tail asks the
 * {@link Sequencer}: under the topic's lock, {@link SequenceStore} compares two snapshots, the one
 * of the step before and the present one, and gives the next offsets to the records that only the
 * present one sees. One {@code segment} row holds the ids of up to 200 of them. Any process may do
 * it; whoever finds the lock taken has it done for him.
 *
 * <p>Reading. {@link LogReader} finds the segments of the wanted offsets ({@link SegmentStore}) and
 * then the records by their ids ({@link RecordStore}). What it answers never changes: a reader that
 * is past an offset never sees anything below it.
 *
 * <h2>Why this order is right</h2>
 *
 * <ul>
 *   <li>Nothing is lost: a transaction that commits late is not seen by the snapshot before its
 *       commit and is seen by the first one after it, so its records are in exactly one step.
 *   <li>Nothing stalls: a transaction that stays open is merely not seen yet.
 *   <li>A cause comes before its effect: if A had committed before B was published, every snapshot
 *       that sees B sees A. Either A was in an earlier step, or both are in one; inside a step the
 *       order is that of the ids, and B's was drawn later.
 * </ul>
 *
 * <h2>A crash at each arrow</h2>
 *
 * <ul>
 *   <li>publish: the answer was lost, the commit perhaps not. Publishing again may publish twice.
 *   <li>sequencing: not committed means not done; the lock goes with the transaction, and the next
 *       one finds the same records. Committed means on disk: an offset that was seen stays.
 *   <li>reading: changes nothing.
 * </ul>
 */
@NullMarked
package dev.trunkline.topic;

import org.jspecify.annotations.NullMarked;
