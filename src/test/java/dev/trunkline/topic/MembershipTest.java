package dev.trunkline.topic;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.error.GroupBusyException;
import dev.trunkline.error.GroupConfigMismatchException;
import dev.trunkline.error.GroupNotFoundException;
import dev.trunkline.error.InstanceInUseException;
import dev.trunkline.retry.FailurePolicy;
import dev.trunkline.support.Awaits;
import dev.trunkline.topic.GroupPulseStore.Claim;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** Members, their partitions and their offsets, without a log. */
class MembershipTest extends GroupFixture {

  @Test
  void the_first_member_has_everything_and_more_than_partitions_stand_by() {
    Membership first = join(process());
    Awaits.until(() -> first.view().claims().size() == 6);

    for (int i = 0; i < 7; i++) {
      join(process());
    }

    Awaits.until(() -> handOverAll(first) || first.view().claims().size() == 1);
    assertThat(owners().values().stream().distinct()).hasSize(6);
    assertThat(database.number("SELECT count(*) FROM trunkline.group_member")).isEqualTo(8);
  }

  @Test
  void a_join_moves_only_its_share_and_only_when_the_owner_lets_go() {
    Membership first = join(process());
    Awaits.until(() -> first.view().claims().size() == 6);
    Map<Integer, Long> epochs = epochs(first);

    Membership second = join(process());

    Awaits.until(() -> wanted(first).size() == 3);
    assertThat(owners().values()).containsOnly(first.id());
    assertThat(second.view().claims()).isEmpty();
    handOverAll(first);
    Awaits.until(() -> second.view().claims().size() == 3 && first.view().claims().size() == 3);
    assertThat(epochs.entrySet()).containsAll(epochs(first).entrySet());
    assertThat(epochs(second).entrySet())
        .allMatch(entry -> entry.getValue() > epochs.get(entry.getKey()));
  }

  @Test
  void what_a_leaving_member_had_is_free_at_once() {
    GroupEngine here = process();
    Membership first = join(here);
    Membership second = join(process());
    Awaits.until(() -> handOverAll(first) || second.view().claims().size() == 3);
    Map<Integer, Long> kept = epochs(second);

    here.leave(first);

    assertThat(owners().values()).containsOnly(second.id());
    Awaits.until(() -> second.view().claims().size() == 6);
    assertThat(epochs(second).entrySet()).containsAll(kept.entrySet());
  }

  @Test
  void what_a_silent_member_had_goes_to_others_within_its_session_timeout() {
    GroupEngine dying = process();
    Membership first = join(dying);
    Membership second = join(process());
    Awaits.until(() -> handOverAll(first) || second.view().claims().size() == 3);

    dying.close();
    long begin = System.nanoTime();

    Awaits.until(() -> second.view().claims().size() == 6);
    assertThat(Duration.ofNanos(System.nanoTime() - begin))
        .isBetween(SESSION.minus(BEAT.multipliedBy(4)), SESSION.plusSeconds(3));
    assertThat(database.number("SELECT count(*) FROM trunkline.group_member")).isEqualTo(1);
  }

  @Test
  void a_stale_epoch_commits_nothing_and_releases_nothing() {
    Membership member = join(process());
    Awaits.until(() -> member.view().claims().size() == 6);
    GroupRow group = group(CONFIG);
    segments(3, 2);
    long epoch = epochs(member).get(3);

    assertThat(commit(group, member.id(), 3, epoch, 7)).containsExactly(3);
    assertThat(commit(group, member.id(), 3, epoch - 1, 8)).isEmpty();
    assertThat(commit(group, member.id() + 1, 3, epoch, 9)).isEmpty();
    assertThat(rebalancer().release(group, member.id(), positions(3, epoch - 1, 10))).isEmpty();

    assertThat(committed(group)).containsEntry(3, 7L);
    assertThat(owners()).containsEntry(3, member.id());
  }

  @Test
  void a_commit_under_way_holds_the_rebalance_of_its_partition_off_and_of_no_other()
      throws Exception {
    GroupEngine dying = process();
    Membership first = join(dying);
    Awaits.until(() -> first.view().claims().size() == 6);
    dying.close();
    try (java.sql.Connection committing = database.connect()) {
      committing.setAutoCommit(false);
      committing
          .createStatement()
          .execute("SELECT FROM trunkline.group_partition WHERE partition = 2 FOR SHARE");
      Membership second = join(process());
      Awaits.until(() -> second.view().claims().size() == 5);
      assertThat(owners()).containsEntry(2, first.id());

      committing.commit();

      Awaits.until(() -> second.view().claims().size() == 6);
    }
  }

  @Test
  void a_member_that_was_taken_for_dead_joins_again_with_nothing() {
    Membership member = join(process());
    Awaits.until(() -> member.view().claims().size() == 6);
    long before = member.id();
    Map<Integer, Long> epochs = epochs(member);

    database.execute("DELETE FROM trunkline.group_member");

    Awaits.until(() -> member.id() != before && member.view().claims().size() == 6);
    assertThat(epochs(member).entrySet())
        .allMatch(entry -> entry.getValue() > epochs.get(entry.getKey()));
    assertThat(Membership.difference(member.view(), before, epochs, Map.of()).lost()).hasSize(6);
  }

  @Test
  void partitions_that_the_topic_grows_by_are_shared_out_from_their_beginning() {
    Membership member = join(process());
    Awaits.until(() -> member.view().claims().size() == 6);

    addPartitions(topicId, 8);

    Awaits.until(() -> member.view().claims().size() == 8);
    assertThat(committed(group(CONFIG))).containsEntry(7, 0L);
  }

  @Test
  void a_static_member_that_closes_has_its_partitions_back_and_nobody_else_is_disturbed() {
    GroupEngine here = process();
    Membership fixed = join(here, MemberConfig.defaults().withInstanceId("one"));
    Membership other = join(process());
    Awaits.until(() -> handOverAll(fixed) || other.view().claims().size() == 3);
    Awaits.until(() -> fixed.view().claims().size() == 3);
    List<Claim> others = other.view().claims();
    Map<Integer, Long> mine = epochs(fixed);

    here.leave(fixed);
    assertThat(owners().values().stream().filter(owner -> owner == fixed.id())).hasSize(3);
    Membership again = join(process(), MemberConfig.defaults().withInstanceId("one"));

    Awaits.until(() -> again.view().claims().size() == 3);
    assertThat(epochs(again).keySet()).isEqualTo(mine.keySet());
    assertThat(epochs(again).entrySet())
        .allMatch(entry -> entry.getValue() == mine.get(entry.getKey()) + 1);
    assertThat(other.view().claims()).isEqualTo(others);
    assertThat(again.id()).isNotEqualTo(fixed.id());
  }

  @Test
  void a_static_member_that_was_killed_is_followed_within_its_session() {
    GroupEngine dying = process();
    Membership killed = join(dying, MemberConfig.defaults().withInstanceId("one"));
    Awaits.until(() -> killed.view().claims().size() == 6);
    dying.close();

    Membership again = join(process(), MemberConfig.defaults().withInstanceId("one"));

    Awaits.until(() -> again.view().claims().size() == 6);
    assertThat(database.number("SELECT count(*) FROM trunkline.group_member")).isEqualTo(1);
  }

  @Test
  void a_second_static_member_of_the_same_id_is_refused_while_the_first_one_lives() {
    Membership first = join(process(), MemberConfig.defaults().withInstanceId("one"));
    Awaits.until(() -> first.view().claims().size() == 6);

    assertThatThrownBy(() -> join(process(), MemberConfig.defaults().withInstanceId("one")))
        .isInstanceOf(InstanceInUseException.class)
        .hasMessageContaining("\"one\"")
        .hasMessageContaining(String.valueOf(ProcessHandle.current().pid()));

    assertThat(owners().values()).containsOnly(first.id());
  }

  @Test
  void a_static_member_that_has_been_followed_ends_when_it_wakes() {
    Membership first = join(process(), MemberConfig.defaults().withInstanceId("one"));
    Awaits.until(() -> first.view().claims().size() == 6);

    // As its follower does it, in one transaction.
    database.execute(
        """
        DELETE FROM trunkline.group_member;
        INSERT INTO trunkline.group_member (group_id, instance_id, host, pid, session_timeout)
        SELECT id, 'one', 'elsewhere', 1, interval '1 hour' FROM trunkline.consumer_group
        """);

    Awaits.until(() -> first.end() != null);
    assertThat(first.end()).isInstanceOf(InstanceInUseException.class);
    assertThat(first.view().claims()).isEmpty();
    database.execute("UPDATE trunkline.group_partition SET member_id = NULL, wanted_by = NULL");
  }

  @Test
  void a_group_begins_where_it_was_told_to() {
    segments(0, 5);
    database.execute(
        """
        UPDATE trunkline.topic_partition SET log_start = 20 WHERE partition = 0;
        DELETE FROM trunkline.segment WHERE partition = 0 AND base_offset < 20
        """);
    Map<String, StartFrom> starts =
        Map.of(
            "earliest", StartFrom.earliest(),
            "latest", StartFrom.latest(),
            "offset", StartFrom.offset(33),
            "below", StartFrom.offset(1),
            "beyond", StartFrom.offset(1_000),
            "time", StartFrom.timestamp(Instant.parse("2024-01-01T00:00:02.500Z")),
            "early", StartFrom.timestamp(Instant.MIN),
            "late", StartFrom.timestamp(Instant.MAX),
            "ago", StartFrom.ago(Duration.ZERO));
    Map<String, Long> begun =
        starts.entrySet().stream()
            .collect(
                Collectors.toMap(
                    Map.Entry::getKey,
                    each ->
                        committed(
                                groups()
                                    .declare(
                                        each.getKey(),
                                        GroupKind.ORDERED,
                                        GroupConfig.from(each.getValue())))
                            .get(0)));

    assertThat(begun)
        .isEqualTo(
            Map.of(
                "earliest", 20L,
                "latest", 50L,
                "offset", 33L,
                "below", 20L,
                "beyond", 50L,
                "time", 30L,
                "early", 20L,
                "late", 50L,
                "ago", 50L));
  }

  @Test
  void a_group_that_exists_goes_on_where_it_is() {
    segments(0, 5);
    group(CONFIG);

    GroupRow again = group(GroupConfig.from(StartFrom.latest()).withSessionTimeout(SESSION));

    assertThat(committed(again)).containsEntry(0, 0L);
  }

  @Test
  void another_configuration_is_refused_unless_it_is_altered() {
    group(CONFIG);
    GroupConfig other = CONFIG.withFailurePolicy(FailurePolicy.PARK);

    assertThatThrownBy(() -> group(other))
        .isInstanceOf(GroupConfigMismatchException.class)
        .hasMessageContaining("PARK")
        .hasMessageContaining("BLOCK");
    GroupRow altered = groups().alter("billing", GroupKind.ORDERED, other);

    assertThat(altered.agreed().failurePolicy()).isEqualTo(FailurePolicy.PARK);
    assertThat(group(other)).isEqualTo(altered);
    assertThatThrownBy(() -> groups().alter("billing", GroupKind.SHARED, other))
        .isInstanceOf(GroupConfigMismatchException.class);
  }

  @Test
  void a_group_is_reset_only_while_nobody_runs() {
    segments(0, 5);
    GroupEngine here = process();
    Membership member = join(here);
    GroupRow group = group(CONFIG);

    assertThatThrownBy(() -> groups().reset(group, rebalancer(), StartFrom.latest()))
        .isInstanceOf(GroupBusyException.class)
        .hasMessageContaining("1 running");
    here.leave(member);
    groups().reset(group, rebalancer(), StartFrom.latest());

    assertThat(committed(group)).containsEntry(0, 50L).containsEntry(1, 0L);
  }

  @Test
  void a_group_that_is_deleted_leaves_nothing_behind_and_its_members_end() {
    Membership member = join(process());
    Awaits.until(() -> member.view().claims().size() == 6);

    assertThat(groups().delete(group(CONFIG).id())).isTrue();

    Awaits.until(() -> member.end() != null);
    assertThat(member.end()).isInstanceOf(GroupNotFoundException.class);
    for (String table :
        List.of("consumer_group", "group_member", "group_partition", "group_commit")) {
      assertThat(database.number("SELECT count(*) FROM trunkline." + table)).as(table).isZero();
    }
  }

  @Test
  void heartbeats_and_commits_that_were_replaced_are_pruned_and_the_newest_stay() {
    Membership member = join(process());
    Awaits.until(() -> member.view().claims().size() == 6);
    GroupRow group = group(CONFIG);
    segments(0, 2);
    for (int i = 1; i <= 20; i++) {
      commit(group, member.id(), 0, epochs(member).get(0), i);
    }
    database.execute(
        "INSERT INTO trunkline.member_heartbeat SELECT ?, now() - n * interval '1 minute' FROM generate_series(2, 9) n",
        member.id());
    database.execute(
        "INSERT INTO trunkline.member_heartbeat VALUES (-1, now() - interval '1 hour')");

    // The member's own process does the same, and may have been quicker with some.
    assertThat(this.<Integer>run(MemberStore::pruneHeartbeats)).isLessThanOrEqualTo(9);
    assertThat(this.<Integer>run(session -> CommitStore.prune(session, 15)))
        .isLessThanOrEqualTo(15);
    run(session -> CommitStore.prune(session, 15));

    assertThat(
            database.number(
                """
                SELECT count(*)
                FROM trunkline.member_heartbeat
                WHERE beat_at < now() - interval '1 minute' OR member_id = -1
                """))
        .isZero();
    assertThat(database.number("SELECT count(*) FROM trunkline.member_heartbeat")).isPositive();
    assertThat(database.number("SELECT count(*) FROM trunkline.group_commit"))
        .as("one for each partition")
        .isEqualTo(6);
    assertThat(committed(group)).containsEntry(0, 20L).containsEntry(1, 0L);
  }

  @Test
  void a_session_shorter_than_three_beats_is_refused() {
    GroupEngine slow = new GroupEngine(library(), Duration.ofSeconds(1), false);

    assertThatThrownBy(() -> join(slow))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("sessionTimeout")
        .hasMessageContaining("PT0.6S");
  }

  /** As a consumer without a record in hand does it. Answers whether there was anything. */
  private boolean handOverAll(Membership member) {
    List<Claim> wanted = wanted(member);
    for (Claim claim : wanted) {
      rebalancer()
          .release(member.group(), member.id(), positions(claim.partition(), claim.epoch(), -1));
    }
    return false;
  }

  private <T> T run(dev.trunkline.internal.db.Work<T> work) {
    return library().run(work);
  }

  private Rebalancer rebalancer() {
    return new Rebalancer(library(), true, () -> {});
  }

  private static List<Claim> wanted(Membership member) {
    return member.view().claims().stream().filter(Claim::wanted).toList();
  }

  private static Map<Integer, Long> epochs(Membership member) {
    return member.view().claims().stream()
        .collect(Collectors.toMap(Claim::partition, Claim::epoch));
  }

  private List<Integer> commit(
      GroupRow group, long memberId, int partition, long epoch, long offset) {
    return library()
        .run(
            session ->
                CommitStore.commit(
                    session, group.id(), memberId, positions(partition, epoch, offset)));
  }

  private static CommitStore.Positions positions(int partition, long epoch, long offset) {
    return new CommitStore.Positions(
        new int[] {partition}, new long[] {epoch}, new long[] {offset});
  }

  private Map<Integer, Long> committed(GroupRow group) {
    int[] all =
        database.texts("SELECT partition FROM trunkline.topic_partition").stream()
            .mapToInt(text -> Integer.parseInt(String.valueOf(text)))
            .toArray();
    return library().run(session -> CommitStore.committed(session, group.id(), all));
  }
}
