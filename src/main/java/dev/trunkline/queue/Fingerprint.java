package dev.trunkline.queue;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.trunkline.message.Message;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What a message is recognised by when it is sent again, as it stands in {@code trunkline.dedup}.
 *
 * @param scope within what the id is unique: empty for the queue, else the key
 * @param id the sender's, or made of the content
 */
record Fingerprint(String scope, String id) {
  private static final String HASHED = "sha256:";

  /** With an id of any length, short enough for an index. */
  private static final int LONGEST_SCOPE = 200;

  /** Empty if the message has no id, and is not recognised by its content. */
  static Optional<Fingerprint> of(Message message, Deduplication deduplication) {
    String scope =
        deduplication.scope() == DeduplicationScope.KEY ? scope(message.key().orElse("")) : "";
    return message
        .deduplicationId()
        .or(() -> deduplication.byContent() ? Optional.of(content(message)) : Optional.empty())
        .map(id -> new Fingerprint(scope, id));
  }

  private static String scope(String key) {
    if (key.length() <= LONGEST_SCOPE && !key.startsWith(HASHED)) {
      return key;
    }
    return HASHED + HexFormat.of().formatHex(sha256().digest(key.getBytes(UTF_8)));
  }

  /** Of type, content type and payload, each with its length in front. */
  private static String content(Message message) {
    MessageDigest digest = sha256();
    add(digest, message.type().map(type -> type.getBytes(UTF_8)).orElse(null));
    add(digest, message.contentType().map(type -> type.getBytes(UTF_8)).orElse(null));
    add(digest, message.payload());
    return HASHED + HexFormat.of().formatHex(digest.digest());
  }

  private static void add(MessageDigest digest, byte @Nullable [] part) {
    digest.update(ByteBuffer.allocate(4).putInt(part == null ? -1 : part.length).array());
    if (part != null) {
      digest.update(part);
    }
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }
}
