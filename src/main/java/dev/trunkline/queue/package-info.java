/**
 * Queues: how a message gets from a sender to a handler, and what happens when something breaks on
 * the way.
 *
 * <h2>The flow</h2>
 *
 * <p>Sending. {@link Queue#send} gives the messages to {@link Sender}, which cuts them into {@link
 * OutgoingBatch}es and, by {@link RunCutter}, into runs; {@link PublishStore} stores payload and
 * place in one statement, in a transaction of its own or in the caller's. After the commit {@link
 * Wakeups} tells those who wait in this process ({@link Signals}), the {@link Scheduler}, and, by
 * the {@link Announcer}, the other processes.
 *
 * <p>Sending by rules. Where duplicates are recognised, or messages expire, {@link Admission} sends
 * the batch through {@link RuledSendStore}: it remembers each {@link Fingerprint} and stores what
 * is the first of its kind. A named {@link Producer} holds its epoch ({@link ProducerStore}), looks
 * how far it has come, and stores message and sequence together. {@link SendPruning} forgets what
 * is over.
 *
 * <p>Claiming. A {@link Consumer} (push) or a {@link Receiver} (pull) asks its {@link Claimer} for
 * messages. Where the claim looks is said by {@link Lanes}, the low-water hints of the queue;
 * {@link ClaimStore} moves runs from ready into one {@link Lease}, whose id is the fencing token,
 * and answers the payloads. Each message becomes a {@link Delivery}.
 *
 * <p>Handling. Pushed deliveries wait in {@link dev.trunkline.internal.work.Prefetched} until one
 * of the {@link dev.trunkline.internal.loop.Workers} calls the {@link Handler}; {@link
 * dev.trunkline.internal.work.Renewals} keeps the leases of what waits and of what runs. The {@link
 * dev.trunkline.message.Outcome}, or the exception, becomes a {@link Verdict}.
 *
 * <p>Settling. {@link dev.trunkline.internal.work.SettleBuffer} gathers verdicts for a few
 * milliseconds; {@link Settler} carries them out by {@link SettleStore}: acked messages are
 * deleted, failed ones go to scheduled or to the dead letters, released ones back to ready. What
 * the lease no longer holds is reported. Pulled deliveries skip the buffer: {@link Delivery#ack}
 * returns when it is done.
 *
 * <p>By key. Where {@link Ordering} says so, messages wait in the lines of their keys: {@link
 * KeyedPublishStore} announces keys that are not known, {@link KeyedClaimer} takes turns by {@link
 * FifoClaimStore} or {@link FairClaimStore}, and closes what is empty by {@link KeyStore}. In a
 * FIFO queue a key has one baton: a turn, or its lease, or it is parked; whatever ends the lease
 * passes it on in the same transaction ({@link KeyedSettleStore}), and {@link KeyOrder} has the
 * deliveries of a lease handled one by one. The protocol is in {@code
 * docs/decisions/015-batons-for-keys.md}.
 *
 * <p>At most once. {@link Queue#receiveAndDelete} and {@link AtMostOnceHandling} have the claim
 * delete the messages ({@link AtMostOnceStore}): no lease, nothing to settle, nothing that comes
 * back.
 *
 * <p>In one transaction. {@link TransactionalHandling} gives each delivery a lease of its own
 * ({@link dev.trunkline.internal.work.Fence}), begins a transaction of ours, locks the lease, and
 * calls the {@link TransactionalHandler} with the connection. An ack deletes lease and message and
 * commits with the handler's SQL; anything else is rolled back, and becomes a verdict like any
 * other. A commit whose answer was lost becomes {@link Verdict.Unsure}: the settler looks whether
 * the lease still holds the message. {@link Delivery#ack(java.sql.Connection)} is the same for a
 * caller's transaction.
 *
 * <p>What expires. A claim answers how much of its time each message has left; {@link Claimer} and
 * {@link Consumer} give what is over to {@link Settler} ({@link ExpiryStore}), not to a handler.
 * {@link ExpirySweep} removes what expires in line. {@link Recall} takes a message that has not
 * been delivered out of its line again: {@link Queue#cancel}, {@link Queue#reschedule}.
 *
 * <p>Held up. A queue may have {@link FlowRules}. {@link BoundedSender} looks at the depth, which
 * the tally knows, before it stores; {@link FlowWatch} tells of pressure. {@link FlowGate} lets a
 * claim through only under the queue's advisory lock and as far as rate, cap and {@link Election}
 * allow: {@link FlowStore} asks, the claim takes, {@link FlowStore} says how much. {@link Ageing}
 * only changes the order in which a claim looks through the lanes.
 *
 * <p>What nobody settles. {@link LeaseReaper} takes back leases that have expired, and at once all
 * leases of a process that has fallen silent; {@link Scheduler} makes ready what is due. Both run
 * in every process and coordinate by row locks alone.
 *
 * <p>What keeps it going. {@link Pulse} is the heartbeat of the process ({@link ConsumerIdentity})
 * and, in the same statement, the look that finds whatever no notification told of. {@link
 * Housekeeping} folds the tally and clears up after deleted queues. {@link Engine} owns all of it,
 * one per process; {@link Queues} is how the facade reaches it.
 *
 * <h2>The states</h2>
 *
 * <pre>{@code
 *               send                      claim              ack
 * sender ------------------> ready -----------------> lease ------> gone
 *    |                       ^   ^                    | | |
 *    | delay             due |   '------ release -----' | | rejected, unreadable, not retryable,
 *    |                       |                          | | failed or lost for the last time
 *    '----> scheduled -------'                          | '-----> dead_letter --- purge --> gone
 *               ^                                       |              '-------- redrive --> ready
 *               '------- failed or lost: back-off ------'
 * }</pre>
 *
 * <p>Each state is a table, and each arrow one transaction: a delete here and an insert there. The
 * payload stays in {@code message}, which nobody updates; {@code dead_letter} alone holds a copy,
 * made by the statement that deletes the message.
 *
 * <h2>What is guaranteed</h2>
 *
 * <ul>
 *   <li>A message whose sender has committed is in exactly one state until it is acked, purged, or
 *       its dead letter is.
 *   <li>It is in one lease at a time. Whoever held it before finds its lease gone: {@link
 *       dev.trunkline.error.LeaseLostException}, and nothing is changed.
 *   <li>Failed and lost deliveries are counted in the transaction that takes the message out of its
 *       lease; at the queue's limit that same transaction makes it a dead letter. Released ones are
 *       not counted.
 *   <li>Nothing correct rests on a hint, a signal or a notification. Without all of them a message
 *       is found by the next pulse.
 * </ul>
 *
 * <h2>A crash at each arrow</h2>
 *
 * <p>A transaction that had not committed has not happened; the message is where it was. Beyond
 * that:
 *
 * <ul>
 *   <li>send: the answer was lost, the commit perhaps not. Sending again may send twice.
 *   <li>claim: if it had committed, the lease belongs to a dead process. Its heartbeats stop, and
 *       the reaper of another process, or of the next one to start, takes it back.
 *   <li>while handling: as after a claim. What the handler has done outside stays done, and is
 *       repeated with the next delivery.
 *   <li>ack: as while handling, if it had not committed: done, and delivered again.
 *   <li>claim at most once: what was claimed is gone, and lost if it was not handled.
 *   <li>a handler's transaction: rolled back by the server, with the ack in it; the lease is there,
 *       as while handling, and what the handler did is not.
 *   <li>failure to scheduled, ready or dead_letter: the lease is still there if it had not
 *       committed, and counts as lost.
 *   <li>due, reaping, redrive: another process finds the same rows and does it.
 * </ul>
 *
 * <p>If it is the server that crashes, publishes that returned are there. Claims, renewals and
 * settles of its last moments may be undone, since they commit with {@code synchronous_commit} off;
 * each is undone as a whole, and means a redelivery. {@code docs/lifecycle.md} names the statement
 * of each arrow.
 */
@NullMarked
package dev.trunkline.queue;

import org.jspecify.annotations.NullMarked;
