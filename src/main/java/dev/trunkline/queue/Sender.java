package dev.trunkline.queue;

import dev.trunkline.error.PayloadTooLargeException;
import dev.trunkline.error.QueueNotFoundException;
import dev.trunkline.internal.db.Session;
import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Sends messages of any number by statements of bounded size. Thread-safe; the transaction around
 * it makes it atomic.
 */
final class Sender {
  private final QueueRow queue;
  private final Admission admission;
  private final boolean keyed;

  Sender(QueueRow queue) {
    this.queue = queue;
    this.admission = new Admission(queue);
    this.keyed = queue.config().ordering().isKeyed();
  }

  /**
   * What became of a send, for waking those who wait for it.
   *
   * @param ids in the order of the messages
   * @param ready the places in line of what is ready, per priority
   * @param soonestMs when the first scheduled message is due, in milliseconds from now
   */
  record Sent(List<MessageId> ids, List<Lanes.Announced> ready, Optional<Long> soonestMs) {}

  /**
   * Stores the messages.
   *
   * @throws PayloadTooLargeException before anything of the batch in question is stored; the
   *     transaction has to end
   * @throws QueueNotFoundException if the queue has been deleted
   */
  Sent send(Session session, Iterable<Message> messages) {
    Collector collector = new Collector(session);
    int position = 0;
    for (Message message : messages) {
      collector.add(message, position++);
    }
    return collector.finish(position);
  }

  /**
   * What a send of these would answer if all of them were sent before; empty if any was not. Stores
   * nothing, so it needs no room.
   */
  Optional<Sent> known(Session session, List<Message> messages) {
    Optional<Deduplication> deduplication = queue.config().sendRules().deduplication();
    if (deduplication.isEmpty()) {
      return Optional.empty();
    }
    List<@Nullable Fingerprint> fingerprints = new ArrayList<>(messages.size());
    for (Message message : messages) {
      admission.check(message);
      Optional<Fingerprint> fingerprint = Fingerprint.of(message, deduplication.get());
      if (fingerprint.isEmpty()) {
        return Optional.empty();
      }
      fingerprints.add(fingerprint.get());
    }
    List<Long> ids = RuledSendStore.known(session, queue.id(), fingerprints);
    return ids.size() == messages.size()
        ? Optional.of(
            new Sent(ids.stream().map(MessageId::new).toList(), List.of(), Optional.empty()))
        : Optional.empty();
  }

  private final class Collector {
    private final Session session;
    private final List<Long> ids = new ArrayList<>();
    private final long[] first = new long[Message.HIGHEST_PRIORITY + 1];
    private final long[] last = new long[Message.HIGHEST_PRIORITY + 1];
    private long soonestMs = Long.MAX_VALUE;
    private OutgoingBatch immediate = new OutgoingBatch(false);
    private OutgoingBatch delayed = new OutgoingBatch(true);

    Collector(Session session) {
      this.session = session;
    }

    void add(Message message, int position) {
      admission.check(message);
      if (isScheduled(message)) {
        if (delayed.isFullFor(message)) {
          store(delayed);
          delayed = new OutgoingBatch(true);
        }
        delayed.add(message, position);
      } else {
        if (immediate.isFullFor(message)) {
          store(immediate);
          immediate = new OutgoingBatch(false);
        }
        immediate.add(message, position);
      }
    }

    Sent finish(int count) {
      store(immediate);
      store(delayed);
      List<MessageId> inOrder = new ArrayList<>(count);
      ids.forEach(id -> inOrder.add(new MessageId(id)));
      List<Lanes.Announced> ready = new ArrayList<>();
      for (int priority = 0; priority < first.length; priority++) {
        if (first[priority] > 0) {
          ready.add(new Lanes.Announced(priority, first[priority], last[priority]));
        }
      }
      return new Sent(
          inOrder, ready, soonestMs == Long.MAX_VALUE ? Optional.empty() : Optional.of(soonestMs));
    }

    private void store(OutgoingBatch batch) {
      if (batch.isEmpty()) {
        return;
      }
      boolean ruled = admission.isRuled(batch);
      List<PublishStore.Stored> stored =
          new ArrayList<>(ruled ? RuledSendStore.store(session, queue, batch) : storePlain(batch));
      if (stored.isEmpty()) {
        throw new QueueNotFoundException(queue.name());
      }
      if (!ruled) {
        // RETURNING promises no order; ids were handed out in the order of the arrays.
        stored.sort(Comparator.comparingLong(PublishStore.Stored::id));
      }
      int[] runs = batch.runs();
      int newestRun = -1;
      for (int i = 0; i < stored.size(); i++) {
        keepId(batch.position(i), stored.get(i).id());
        if (stored.get(i).fresh()) {
          remember(batch, i, stored.get(i), keyed || runs[i] > newestRun);
          newestRun = Math.max(newestRun, runs[i]);
        }
      }
    }

    private List<PublishStore.Stored> storePlain(OutgoingBatch batch) {
      return keyed && !batch.isScheduled()
          ? KeyedPublishStore.store(session, queue.id(), batch)
          : PublishStore.store(session, queue.id(), batch);
    }

    private void keepId(int position, long id) {
      while (ids.size() <= position) {
        ids.add(0L);
      }
      ids.set(position, id);
    }

    private void remember(
        OutgoingBatch batch, int i, PublishStore.Stored stored, boolean beginsRun) {
      if (batch.isScheduled()) {
        soonestMs = Math.min(soonestMs, stored.dueInMs());
      } else if (beginsRun) {
        // A run's place in line is its first id; a key's arrival is at that of its first message.
        int priority = batch.priority(i);
        first[priority] = first[priority] == 0 ? stored.id() : first[priority];
        last[priority] = stored.id();
      }
    }
  }

  private static boolean isScheduled(Message message) {
    return message.deliverAt().isPresent()
        || message.delay().filter(d -> d.toMillis() > 0).isPresent();
  }
}
