package dev.trunkline.queue;

import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.loop.DueTime;
import dev.trunkline.internal.loop.ProbeBudget;
import dev.trunkline.internal.loop.Step;
import java.time.Duration;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Once a second: says that this process is alive, and looks whether anything was missed. This is
 * what correctness rests on when every notification is lost. An idle process runs this statement
 * and no other.
 */
final class Pulse implements Step {
  private static final Logger LOG = LoggerFactory.getLogger(Pulse.class);
  private static final int PRIORITIES = 10;
  private static final int ROWS_WORTH_A_FOLD = 500;

  private final Database database;
  private final ConsumerIdentity consumer;
  private final Signals signals;
  private final Announcer announcer;
  private final DueTime due;
  private final DueTime expiry;
  private final DueTime over;
  private final Runnable tallyHasGrown;
  private final Duration interval;
  private final ProbeBudget budget = new ProbeBudget(System::nanoTime);
  private volatile boolean deadAreMany;
  private long tallySeen;

  /** What the pulse tells of what it finds. */
  record Listeners(
      Signals signals,
      Announcer announcer,
      DueTime due,
      DueTime expiry,
      DueTime over,
      Runnable tallyHasGrown) {}

  Pulse(Database database, ConsumerIdentity consumer, Listeners listeners, Duration interval) {
    this.database = database;
    this.consumer = consumer;
    this.signals = listeners.signals();
    this.announcer = listeners.announcer();
    this.due = listeners.due();
    this.expiry = listeners.expiry();
    this.over = listeners.over();
    this.tallyHasGrown = listeners.tallyHasGrown();
    this.interval = interval;
  }

  @Override
  public Duration runOnce() {
    List<Signals.Watched> watched = signals.watched();
    boolean everything = budget.allows();
    PulseStore.LanesToSee lanes = lanes(watched, everything);
    long begin = System.nanoTime();
    PulseStore.Found found =
        database.run(session -> PulseStore.look(session, consumer.id(), true, everything, lanes));
    if (everything) {
      budget.spent(Duration.ofNanos(System.nanoTime() - begin));
    }
    deadAreMany = !budget.allows();
    if (!found.registered()) {
      LOG.warn(
          "this process was silent for too long and has been declared dead: it registers again");
      consumer.register();
    }
    announcer.alone(found.consumers() <= 1);
    found.dueInMs().ifPresent(due::in);
    found.expiresInMs().ifPresent(expiry::in);
    found.overInMs().ifPresent(over::in);
    if (found.silent()) {
      expiry.in(0);
    }
    if (found.newestTally() - tallySeen > ROWS_WORTH_A_FOLD) {
      tallySeen = found.newestTally();
      tallyHasGrown.run();
    }
    tell(watched, found.firstReady());
    return interval;
  }

  /**
   * Whether an old snapshot keeps so much that died that looks should begin where the hints say.
   */
  boolean deadAreMany() {
    return deadAreMany;
  }

  /**
   * There is a ready run at this place, and perhaps more after it. If claims begin further up, they
   * look here once.
   */
  private void tell(List<Signals.Watched> watched, long[] firstReady) {
    for (int i = 0; i < watched.size(); i++) {
      for (int priority = 0; priority < PRIORITIES; priority++) {
        long first = firstReady[i * PRIORITIES + priority];
        if (first >= 0) {
          signals.appeared(
              watched.get(i).queueId(), new Lanes.Announced(priority, first, Long.MAX_VALUE - 1));
        }
      }
    }
  }

  private static PulseStore.LanesToSee lanes(List<Signals.Watched> watched, boolean everything) {
    int count = watched.size() * PRIORITIES;
    PulseStore.LanesToSee lanes =
        new PulseStore.LanesToSee(new int[count], new short[count], new long[count]);
    for (int i = 0; i < watched.size(); i++) {
      long[] floors = watched.get(i).lanes().floors();
      for (int priority = 0; priority < PRIORITIES; priority++) {
        int at = i * PRIORITIES + priority;
        lanes.queueIds()[at] = watched.get(i).queueId();
        lanes.priorities()[at] = (short) priority;
        lanes.froms()[at] = everything ? 0 : floors[priority];
      }
    }
    return lanes;
  }
}
