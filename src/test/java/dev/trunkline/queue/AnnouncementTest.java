package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AnnouncementTest {

  @Test
  void what_is_told_is_understood() {
    List<Announcement> told =
        List.of(
            new Announcement.Ready(7, new Lanes.Announced(9, 1, Long.MAX_VALUE - 1)),
            new Announcement.Due(1_500),
            new Announcement.Ready(8, new Lanes.Announced(0, 5, 5)));

    List<String> payloads = Announcement.payloads(told);

    assertThat(payloads).containsExactly("r,7,9,1,9223372036854775806;d,1500;r,8,0,5,5");
    assertThat(Announcement.parse(payloads.get(0))).isEqualTo(told);
  }

  @Test
  void any_number_fits_into_payloads_that_the_server_takes() {
    List<Announcement> told = new ArrayList<>();
    IntStream.range(0, 2_000)
        .forEach(
            i ->
                told.add(
                    new Announcement.Ready(
                        Integer.MAX_VALUE - i,
                        new Lanes.Announced(9, Long.MAX_VALUE - 1, Long.MAX_VALUE - 1))));

    List<String> payloads = Announcement.payloads(told);

    assertThat(payloads)
        .allSatisfy(
            payload ->
                assertThat(payload.getBytes(StandardCharsets.UTF_8).length).isLessThan(8_000));
    assertThat(payloads.stream().flatMap(payload -> Announcement.parse(payload).stream()))
        .isEqualTo(told);
    assertThat(Announcement.payloads(List.of())).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        ";",
        ",,,,",
        "hello",
        "r",
        "r,1,5,3",
        "r,1,10,3,3",
        "r,1,-1,3,3",
        "r,x,5,3,3",
        "r,1,5,99999999999999999999,3",
        "d",
        "d,soon",
        "z,1,2,3,4"
      })
  void what_another_version_or_another_program_says_is_left_out(String payload) {
    assertThat(Announcement.parse(payload)).isEmpty();
    assertThat(Announcement.parse(payload + ";d,5")).containsExactly(new Announcement.Due(5));
  }
}
