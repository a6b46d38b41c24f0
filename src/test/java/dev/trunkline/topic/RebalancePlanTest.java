package dev.trunkline.topic;

import static dev.trunkline.topic.RebalancePlan.NOBODY;
import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.topic.RebalancePlan.Place;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;

/** Random groups: members come, leave and die, handovers are made late or never. */
class RebalancePlanTest {
  private static final int STEPS = 60;

  private final Random random = new Random();
  private final List<Long> members = new ArrayList<>();
  private final Map<Integer, Place> places = new HashMap<>();
  private long newestMember;

  @RepeatedTest(200)
  void whatever_happens_shares_differ_by_one_and_nothing_moves_that_need_not() {
    long seed = random.nextLong();
    random.setSeed(seed);
    int partitions = 1 + random.nextInt(24);
    for (int i = 0; i < partitions; i++) {
      places.put(i, new Place(i, NOBODY, NOBODY));
    }
    for (int step = 0; step < STEPS; step++) {
      happen();
      List<Place> before = all();

      List<Place> changes = RebalancePlan.changes(List.copyOf(members), before);

      changes.forEach(change -> places.put(change.partition(), change));
      String story =
          "seed %d, step %d, members %s: %s to %s".formatted(seed, step, members, before, all());
      assertEveryPlaceIsSound(story);
      assertBalanced(story);
      assertNothingMovedThatNeedNot(before, story);
      assertThat(RebalancePlan.changes(List.copyOf(members), all()))
          .as("asked again: " + story)
          .isEmpty();
    }
  }

  @Test
  void a_join_takes_its_share_and_leaves_the_rest_alone() {
    List<Place> places =
        IntStream.range(0, 6).mapToObj(i -> new Place(i, i % 2 + 1, NOBODY)).toList();

    List<Place> changes = RebalancePlan.changes(List.of(1L, 2L, 3L), places);

    assertThat(changes).containsExactly(new Place(4, 1, 3), new Place(5, 2, 3));
  }

  @Test
  void what_a_dead_member_had_is_free_at_once() {
    List<Place> places =
        IntStream.range(0, 4).mapToObj(i -> new Place(i, i % 2 + 1, NOBODY)).toList();

    List<Place> changes = RebalancePlan.changes(List.of(2L), places);

    assertThat(changes).containsExactly(new Place(0, 2, NOBODY), new Place(2, 2, NOBODY));
  }

  @Test
  void a_handover_to_a_member_that_is_gone_is_called_off() {
    List<Place> places = List.of(new Place(0, 1, NOBODY), new Place(1, 1, 2));

    assertThat(RebalancePlan.changes(List.of(1L), places)).containsExactly(new Place(1, 1, NOBODY));
  }

  @Test
  void members_beyond_the_partitions_stand_by() {
    List<Place> places = List.of(new Place(0, 1, NOBODY), new Place(1, 2, NOBODY));

    assertThat(RebalancePlan.changes(List.of(1L, 2L, 3L, 4L), places)).isEmpty();
  }

  @Test
  void without_members_nobody_has_anything() {
    List<Place> places = List.of(new Place(0, 1, 2), new Place(1, NOBODY, NOBODY));

    assertThat(RebalancePlan.changes(List.of(), places))
        .containsExactly(new Place(0, NOBODY, NOBODY));
  }

  private void happen() {
    switch (random.nextInt(6)) {
      case 0, 1 -> members.add(++newestMember);
      case 2 -> {
        if (!members.isEmpty()) {
          members.remove(random.nextInt(members.size()));
        }
      }
      case 3 -> {
        int added = places.size();
        places.put(added, new Place(added, NOBODY, NOBODY));
      }
      default -> all().stream().filter(place -> random.nextBoolean()).forEach(this::handOver);
    }
  }

  private void handOver(Place place) {
    if (members.contains(place.holder()) && place.wantedBy() != NOBODY) {
      long holder = members.contains(place.wantedBy()) ? place.wantedBy() : NOBODY;
      places.put(place.partition(), new Place(place.partition(), holder, NOBODY));
    }
  }

  private void assertEveryPlaceIsSound(String story) {
    for (Place place : all()) {
      assertThat(members.isEmpty() ? List.of(NOBODY) : members).as(story).contains(place.holder());
      if (place.wantedBy() != NOBODY) {
        assertThat(members).as(story).contains(place.wantedBy());
        assertThat(place.wantedBy()).as(story).isNotEqualTo(place.holder());
      }
    }
  }

  private void assertBalanced(String story) {
    if (members.isEmpty()) {
      return;
    }
    List<Integer> counts = members.stream().map(this::target).sorted().toList();
    assertThat(counts.get(counts.size() - 1) - counts.get(0)).as(story).isBetween(0, 1);
  }

  /** As few moves as any balanced answer needs: the largest holdings keep the larger shares. */
  private void assertNothingMovedThatNeedNot(List<Place> before, String story) {
    List<Integer> held =
        members.stream()
            .map(m -> (int) before.stream().filter(p -> p.holder() == m).count())
            .sorted(Comparator.reverseOrder())
            .toList();
    int fewest = 0;
    for (int i = 0; i < held.size(); i++) {
      int share = before.size() / held.size() + (i < before.size() % held.size() ? 1 : 0);
      fewest += Math.max(0, held.get(i) - share);
    }
    long moved = all().stream().filter(place -> place.wantedBy() != NOBODY).count();
    assertThat(moved).as(story).isEqualTo(fewest);
    for (Place place : before) {
      if (members.contains(place.holder())) {
        assertThat(places.get(place.partition()).holder()).as(story).isEqualTo(place.holder());
      }
    }
  }

  private int target(long member) {
    return (int)
        all().stream()
            .filter(p -> (p.wantedBy() == NOBODY ? p.holder() : p.wantedBy()) == member)
            .count();
  }

  private List<Place> all() {
    return places.values().stream().sorted(Comparator.comparingInt(Place::partition)).toList();
  }
}
