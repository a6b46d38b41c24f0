package dev.trunkline.message;

/**
 * Turns values into payloads and back. Implementations must be thread-safe.
 *
 * <p>A codec may throw whatever it likes: the library wraps it in {@link
 * dev.trunkline.error.PayloadUnreadableException} or {@link
 * dev.trunkline.error.PayloadUnwritableException}.
 */
public interface Codec {

  /**
   * The content type that messages written by this codec carry, for example {@code
   * application/json}.
   */
  String contentType();

  /**
   * Writes a value.
   *
   * @throws Exception if the value cannot be written
   */
  byte[] encode(Object value) throws Exception;

  /**
   * Reads a value.
   *
   * @throws Exception if these bytes are not a value of this type; the message then becomes a dead
   *     letter at once
   */
  <T> T decode(byte[] payload, Class<T> type) throws Exception;
}
