/**
 * Topics: a log in partitions, read by any number of groups, whose order is the order of commits.
 *
 * <h2>The flow</h2>
 *
 * <p>Publishing. {@link Topic#publish} lets the {@link Partitioner} choose the partition and the
 * {@link Publisher} store the record, by {@link RecordStore}, in a transaction of its own or in the
 * caller's. It inserts and locks nothing: publishers never wait for each other. The record has an
 * id, but no offset yet, since nobody can know in which order transactions will commit. Records
 * that one statement puts into one partition are a batch; the first of them stands for it.
 *
 * <p>Sequencing. After the commit {@link TopicEngine} wakes the {@link Tail} of the topic in this
 * process and, by {@link dev.trunkline.internal.db.Broadcast}, those in others. A tail asks the
 * {@link Sequencer}: under the topic's lock, {@link SequenceStore} compares two snapshots, the one
 * of the step before and the present one, and gives the next offsets to the records that only the
 * present one sees. One {@code segment} row holds the ids of up to 200 of them. Any process may do
 * it; whoever finds the lock taken has it done for him.
 *
 * <p>Reading. {@link LogReader} finds the segments of the wanted offsets ({@link SegmentStore}) and
 * then the records by their ids ({@link RecordReader}). What it answers never changes: a reader
 * that is past an offset never sees anything below it.
 *
 * <h2>Why this order is right</h2>
 *
 * <ul>
 *   <li>Nothing is lost: a transaction that commits late is not seen by the snapshot before its
 *       commit and is seen by the first one after it, so its records are in exactly one step.
 *   <li>Nothing stalls: a transaction that stays open is merely not seen yet.
 *   <li>A cause comes before its effect: if A had committed before B was published, every snapshot
 *       that sees B sees A. Either A was in an earlier step, or both are in one; inside a step the
 *       order is that of the batches' first ids, and all of B's were drawn later.
 * </ul>
 *
 * <h2>Groups</h2>
 *
 * <p>Joining. {@link Topic#subscribe} and {@link Topic#join} declare the group ({@link Groups}) and
 * make this process a member of it: {@link GroupEngine}. The {@link Rebalancer}, under the lock of
 * the group's row, asks the {@link RebalancePlan} who is to have what: shares differ by one at
 * most, and everybody keeps what he has up to his share. What nobody living has is given away at
 * once; what somebody has is promised to the other one.
 *
 * <p>Living. The {@link GroupPulse}, one statement a second for all members of the process, beats,
 * and brings each {@link Membership} a view of what it has. It finds silent members, partitions
 * without an owner and shares that are not even, and has them rebalanced. Handlers have no part in
 * it. A NOTIFY makes others look at once; without any, everything takes a second longer.
 *
 * <p>Reading. The consumer compares the view with its {@link Holdings} in its own time: a {@link
 * GroupConsumer} when it is polled, a {@link Subscription} in its dispatcher, which gives each
 * {@link PartitionFlow} with something to do to a worker; what has just come the {@link Tail} gives
 * to one itself. {@link PartitionPages} are read by {@link LogReader}: a look into the segments,
 * and their records; or the records alone, if they are of the segment that the tail has just made.
 * One partition is with one worker at a time.
 *
 * <p>Committing. The {@link Committer} appends positions by {@link CommitStore}, if the partition
 * is the member's under the epoch it names: that is the fence. {@link Transactions} call a handler
 * inside the transaction of its offset.
 *
 * <p>Failing. The {@link FailureDesk} counts attempts, and makes a record a dead letter in the
 * statement that takes the group past it; with {@link dev.trunkline.retry.FailurePolicy#PARK} later
 * ones of its key go along. {@link GroupDeadLetters} send them back as redeliveries, which go
 * before newer records.
 *
 * <pre>{@code
 *              join, leave, silence              the owner finishes the record in hand,
 *                 (epoch + 1)                     commits, lets go (epoch + 1)
 * nobody's ------------------------> owner's ----------------------------------------> other owner's
 *     ^                                 |  ^
 *     |        owner silent             |  | promise taken back
 *     '------ (epoch + 1) --------------'  '-------- promised to another (owner goes on)
 * }</pre>
 *
 * <ul>
 *   <li>A partition has one owner at any time, in the database. A process that was silent for
 *       longer than its session timeout begins no further record until it has heard that it still
 *       is one; the record it has in hand may be handled by two, and only one of them can commit.
 *   <li>A crash before a commit means that what was handled since the last one is handled again. In
 *       a transactional subscription effect and offset are one commit: neither, or both.
 *   <li>If the answer to a COMMIT is lost, the row of the commit is looked for, after the
 *       transaction has ended for certain, before anything else is done.
 *   <li>A killed member's partitions are given away when its session is over; a closed one's at
 *       once; a static member's stay its own until its session is over.
 * </ul>
 *
 * <h2>Shared groups</h2>
 *
 * <p>A {@link SharedGroup} takes the topic record by record, like a queue. Beyond the cursor of a
 * partition, which is the group's newest commit, every record is ready by itself; nothing is
 * written for it until it is claimed. {@link SharedClaimer} takes what waits and is due, then the
 * next records of a partition that nobody else has locked: {@link SharedClaimStore} writes one
 * lease, whose id is the fencing token, and the new cursor. Each record becomes a {@link
 * SharedDelivery}, pulled by {@link SharedReceiver} or pushed by a {@link SharedConsumer}. {@link
 * SharedSettler} carries out what was decided; failed and released records wait. {@link
 * SharedTransactionalHandling} gives each record a lease of its own, locks it, and has the ack
 * commit with the handler's SQL ({@link dev.trunkline.internal.work.HandlersTransactions}); a
 * commit whose answer was lost becomes {@link Verdict.Unsure}: failed, if the lease still holds the
 * record. {@link SharedDelivery#ack(java.sql.Connection)} is the same for a caller's transaction. A
 * claim asks whether the group is paused, and takes nothing then. {@link SharedPulse} says that the
 * members of this process are alive and looks for what was missed, {@link SharedReaper} takes back
 * what has expired and what silent members hold. {@link SharedEngine} owns them.
 *
 * <pre>{@code
 *            claim             ack
 * log ----------------> lease -----> done with
 *  (cursor moves)       ^   | |
 *                   due |   | | rejected, unreadable, not retryable, failed or lost for the last time
 *                       |   | '------> dead_letter (a copy) --- replay --> waiting (with its copy)
 *                   waiting <
 *                           '- released, failed or lost: back-off
 * }</pre>
 *
 * <p>Each arrow is one transaction. Claims and settles may be undone by a crash of the server, each
 * as a whole and the last ones first, which means a redelivery. Retention takes for unread what is
 * beyond the cursor, in a lease or waiting ({@code trunkline.unread_in_chunk}).
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
