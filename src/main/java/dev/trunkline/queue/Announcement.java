package dev.trunkline.queue;

import java.util.ArrayList;
import java.util.List;

/**
 * What one process tells the others: runs that became ready, that something is due soon, or that a
 * queue looks for its active consumer. As text in a notification: {@code
 * r,<queue>,<priority>,<first>,<last>} or {@code d,<milliseconds>}, {@code v,<queue>}, joined by
 * semicolons.
 */
sealed interface Announcement {
  /** A notification's payload is at most 8,000 bytes; ours are ASCII. */
  int MAX_PAYLOAD_CHARS = 7_500;

  /** Runs of a queue are ready. */
  record Ready(int queueId, Lanes.Announced runs) implements Announcement {
    @Override
    public String text() {
      return "r,%d,%d,%d,%d".formatted(queueId, runs.priority(), runs.first(), runs.last());
    }
  }

  /** A scheduled message is due in so many milliseconds. */
  record Due(long millis) implements Announcement {
    @Override
    public String text() {
      return "d," + millis;
    }
  }

  /** The place of the active consumer of a queue may be free, or wanted. */
  record Vacant(int queueId) implements Announcement {
    @Override
    public String text() {
      return "v," + queueId;
    }
  }

  String text();

  /** As few payloads as possible. */
  static List<String> payloads(List<Announcement> announcements) {
    List<String> payloads = new ArrayList<>();
    StringBuilder current = new StringBuilder();
    for (Announcement announcement : announcements) {
      String text = announcement.text();
      if (current.length() + text.length() + 1 > MAX_PAYLOAD_CHARS) {
        payloads.add(current.toString());
        current.setLength(0);
      }
      current.append(current.isEmpty() ? "" : ";").append(text);
    }
    if (!current.isEmpty()) {
      payloads.add(current.toString());
    }
    return payloads;
  }

  /** Reads a payload; what it does not understand (another version wrote it) it leaves out. */
  static List<Announcement> parse(String payload) {
    List<Announcement> announcements = new ArrayList<>();
    for (String text : payload.split(";")) {
      String[] parts = text.split(",", -1);
      try {
        if (parts[0].equals("r") && parts.length == 5) {
          int priority = Integer.parseInt(parts[2]);
          if (priority >= 0 && priority <= 9) {
            announcements.add(
                new Ready(
                    Integer.parseInt(parts[1]),
                    new Lanes.Announced(
                        priority, Long.parseLong(parts[3]), Long.parseLong(parts[4]))));
          }
        } else if (parts[0].equals("d") && parts.length == 2) {
          announcements.add(new Due(Long.parseLong(parts[1])));
        } else if (parts[0].equals("v") && parts.length == 2) {
          announcements.add(new Vacant(Integer.parseInt(parts[1])));
        }
      } catch (NumberFormatException e) {
        // Not ours: whoever it was meant for will look by itself.
        continue;
      }
    }
    return announcements;
  }
}
