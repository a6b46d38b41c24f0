package dev.trunkline.topic;

import static org.assertj.core.api.Assertions.assertThat;

import com.zaxxer.hikari.HikariDataSource;
import dev.trunkline.Trunkline;
import dev.trunkline.crash.Hushed;
import dev.trunkline.error.TrunklineException;
import dev.trunkline.support.Awaits;
import dev.trunkline.support.ExpectsErrors;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ThreadLocalRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * Who has which partition while members come, leave, and are cut off, by lot. The seed of what
 * fails is told.
 */
@ExpectsErrors
class PartitionOwnersTest extends GroupsFixture {
  private static final int MOST = 7;
  private static final int BATCH = 20;
  private static final Duration BETWEEN_MOVES = Duration.ofMillis(250);

  private static final Duration BUSY = Duration.ofMillis(300);

  private static final GroupConfig QUICK =
      GroupConfig.from(StartFrom.earliest()).withSessionTimeout(Duration.ofSeconds(3));

  private final Hushed hushed = Hushed.connectionTrouble();
  private final Owners owners = new Owners();
  private final List<Member> all = new ArrayList<>();
  private int published;

  @AfterEach
  void speak() {
    hushed.close();
  }

  /** What all members say at the moment when it happens to them. */
  private static final class Owners {
    private final Map<Integer, Member> owners = new HashMap<>();
    private final Map<Integer, Long> next = new HashMap<>();
    private final List<String> complaints = new CopyOnWriteArrayList<>();
    private long delivered;

    synchronized void assigned(Member member, Set<Integer> partitions) {
      for (int partition : partitions) {
        Member before = owners.put(partition, member);
        if (before != null && !before.cut) {
          complaints.add(
              "%s was given %d, which %s has".formatted(member.name, partition, before.name));
        }
      }
    }

    synchronized void gone(Member member, Set<Integer> partitions) {
      for (int partition : partitions) {
        if (!owners.remove(partition, member) && !member.cut) {
          complaints.add("%s gave up %d, which it had not".formatted(member.name, partition));
        }
      }
    }

    /** One after the other from the beginning on, some of them again after a change of owners. */
    synchronized void delivered(Member member, List<TopicRecord> records) {
      for (TopicRecord record : records) {
        long expected = next.getOrDefault(record.partition(), 0L);
        Member owner = owners.get(record.partition());
        if (owner != member || record.offset() > expected) {
          complaints.add(
              "%s was given %s, which is %s's, before %d"
                  .formatted(member.name, record, owner == null ? "nobody" : owner.name, expected));
        }
        if (record.offset() == expected) {
          next.put(record.partition(), expected + 1);
          delivered++;
        }
      }
    }

    synchronized long delivered() {
      return delivered;
    }

    synchronized int owned() {
      return (int) owners.values().stream().filter(owner -> !owner.cut).count();
    }
  }

  /** One with a process and a pool of its own, that polls all the time. */
  private final class Member implements PartitionListener {
    private final String name;
    private final HikariDataSource pool = database.pool(config -> config.setMaximumPoolSize(4));
    private final Trunkline process = Trunkline.open(pool, OPENED);
    private final Thread thread;
    private volatile boolean leaves;
    private volatile boolean cut;

    Member(String name) {
      this.name = name;
      this.thread = new Thread(this::work, name);
      thread.start();
    }

    private void work() {
      try (GroupConsumer consumer = process.topic("orders").join("billing", QUICK, this)) {
        while (!leaves) {
          owners.delivered(this, consumer.poll(Duration.ofMillis(50)));
          // Busy: whoever waits for a partition of its has to wait until it polls again.
          long end = System.nanoTime() + ThreadLocalRandom.current().nextLong(BUSY.toNanos());
          Awaits.until(() -> System.nanoTime() > end);
        }
      } catch (TrunklineException e) {
        if (!cut) {
          owners.complaints.add(name + ": " + e);
        }
      } finally {
        process.close();
        pool.close();
      }
    }

    @Override
    public void onAssigned(GroupConsumer consumer, Set<Integer> partitions) {
      owners.assigned(this, partitions);
    }

    @Override
    public void onRevoked(GroupConsumer consumer, Set<Integer> partitions) {
      owners.gone(this, partitions);
    }

    @Override
    public void onLost(GroupConsumer consumer, Set<Integer> partitions) {
      owners.gone(this, partitions);
    }

    void leave() {
      leaves = true;
    }

    /** Nothing of what it does from now on arrives. */
    void cutOff() {
      synchronized (owners) {
        cut = true;
      }
      pool.close();
      leaves = true;
    }

    void end() {
      try {
        thread.join();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }

  @Test
  void each_partition_has_one_owner_at_a_time_whoever_comes_leaves_and_is_cut_off() {
    play(1, 12);
  }

  @Test
  @Tag("torture")
  void the_same_for_many_moves() {
    play(ThreadLocalRandom.current().nextLong(1L << 40), 300);
  }

  private void play(long seed, int moves) {
    SplittableRandom random = new SplittableRandom(seed);
    List<Member> members = new ArrayList<>();
    try {
      for (int move = 0; move < moves; move++) {
        publish(published, BATCH);
        published += BATCH;
        int lot = random.nextInt(4);
        if (members.isEmpty() || (lot < 2 && members.size() < MOST)) {
          members.add(join());
        } else {
          Member chosen = members.remove(random.nextInt(members.size()));
          if (lot == 3) {
            chosen.cutOff();
          } else {
            chosen.leave();
          }
        }
        long end = System.nanoTime() + random.nextLong(BETWEEN_MOVES.toNanos() * 2);
        Awaits.until(() -> System.nanoTime() > end);
      }
      members.add(join());
      Awaits.untilAsserted(
          () -> {
            assertThat(owners.complaints).as("seed %d", seed).isEmpty();
            assertThat(owners.delivered()).as("seed %d", seed).isEqualTo(published);
            assertThat(owners.owned()).as("seed %d", seed).isEqualTo(4);
          });
    } finally {
      members.forEach(Member::leave);
      all.forEach(Member::end);
    }
    assertThat(owners.complaints).as("seed %d", seed).isEmpty();
    assertThat(owners.owned()).as("given up at the end").isZero();
  }

  private Member join() {
    Member member = new Member("member-" + all.size());
    all.add(member);
    return member;
  }
}
