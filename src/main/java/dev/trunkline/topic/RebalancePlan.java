package dev.trunkline.topic;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Who gets which partition: a pure function of the members and of what each of them has now.
 *
 * <p>Afterwards the members' shares differ by one at most, and nothing has moved that need not:
 * each keeps what it has, up to its share. Shares that are larger by one go to those who have most.
 * Asked again before the moves are made, it answers the same.
 */
final class RebalancePlan {
  /** No member. */
  static final long NOBODY = 0;

  private RebalancePlan() {}

  /**
   * A partition, who has it, and to whom it is to be handed over. {@link #NOBODY} where there is
   * none.
   */
  record Place(int partition, long holder, long wantedBy) {}

  /** How much a member has, and how much it will have when all handovers are made. */
  private record Share(long member, int held, int coming) {}

  /**
   * The places that change: a partition without a living holder gets its new holder at once, one
   * with a living holder gets, or loses, the mark of the member it is to be handed over to.
   *
   * @param members all living members, oldest first
   * @param places all partitions of the topic; holders that are not among the members count as gone
   */
  static List<Place> changes(List<Long> members, List<Place> places) {
    Set<Long> living = new HashSet<>(members);
    Map<Long, Integer> room = shares(members, places);
    Map<Integer, Long> target = new HashMap<>();

    // Each keeps what it has, up to its share; what is promised to others is given up first.
    places.stream()
        .filter(place -> living.contains(place.holder()))
        .sorted(
            Comparator.comparing((Place place) -> living.contains(place.wantedBy()))
                .thenComparing(Place::partition))
        .filter(place -> take(room, place.holder()))
        .forEach(place -> target.put(place.partition(), place.holder()));
    // Promises are kept where there is room.
    places.stream()
        .filter(
            place -> !target.containsKey(place.partition()) && living.contains(place.wantedBy()))
        .filter(place -> take(room, place.wantedBy()))
        .forEach(place -> target.put(place.partition(), place.wantedBy()));
    List<Long> slots = new ArrayList<>();
    members.forEach(
        member -> {
          while (take(room, member)) {
            slots.add(member);
          }
        });
    int next = 0;
    List<Place> changes = new ArrayList<>();
    for (Place place : places) {
      Long owner = target.get(place.partition());
      if (owner == null) {
        owner = members.isEmpty() ? NOBODY : slots.get(next++);
      }
      Place planned = planned(place, living.contains(place.holder()), owner);
      if (!planned.equals(place)) {
        changes.add(planned);
      }
    }
    return changes;
  }

  private static Place planned(Place place, boolean held, long owner) {
    if (!held) {
      return new Place(place.partition(), owner, NOBODY);
    }
    return new Place(place.partition(), place.holder(), owner == place.holder() ? NOBODY : owner);
  }

  /**
   * How much each member shall have. Whoever has more than the smaller share now comes first: it
   * would have to give up one more. Then whoever would have most when all handovers were made, so
   * that an answer is not taken back.
   */
  private static Map<Long, Integer> shares(List<Long> members, List<Place> places) {
    Map<Long, Integer> room = new HashMap<>();
    if (members.isEmpty()) {
      return room;
    }
    int smaller = places.size() / members.size();
    int larger = places.size() % members.size();
    Set<Long> living = new HashSet<>(members);
    List<Share> byNeed =
        members.stream()
            .map(member -> share(member, living, places))
            .sorted(
                Comparator.comparing((Share share) -> share.held() > smaller)
                    .thenComparingInt(Share::coming)
                    .reversed()
                    .thenComparingLong(Share::member))
            .toList();
    for (Share share : byNeed) {
      room.put(share.member(), smaller + (larger-- > 0 ? 1 : 0));
    }
    return room;
  }

  private static Share share(long member, Set<Long> living, List<Place> places) {
    int held = 0;
    int coming = 0;
    for (Place place : places) {
      held += place.holder() == member ? 1 : 0;
      coming +=
          (living.contains(place.wantedBy()) ? place.wantedBy() : place.holder()) == member ? 1 : 0;
    }
    return new Share(member, held, coming);
  }

  private static boolean take(Map<Long, Integer> room, long member) {
    int left = room.getOrDefault(member, 0);
    if (left == 0) {
      return false;
    }
    room.put(member, left - 1);
    return true;
  }
}
