package dev.trunkline.error;

import org.jspecify.annotations.Nullable;

/**
 * A payload could not be turned into the type that was asked for. Thrown out of a handler it means:
 * dead letter now, since reading the same bytes again cannot end otherwise.
 */
public final class PayloadUnreadableException extends TrunklineException {
  private static final long serialVersionUID = 1L;

  /**
   * Creates the exception.
   *
   * @param wanted the type that was asked for
   * @param contentType the content type of the payload, or null
   * @param cause what the codec said
   */
  public PayloadUnreadableException(String wanted, @Nullable String contentType, Throwable cause) {
    super(
        "payload with content type %s cannot be read as %s: %s"
            .formatted(contentType, wanted, cause.getMessage()),
        cause);
  }
}
