package dev.trunkline.error;

/** A value could not be turned into a payload. Nothing was sent. */
public final class PayloadUnwritableException extends TrunklineException {
  private static final long serialVersionUID = 1L;

  /**
   * Creates the exception.
   *
   * @param type the class of the value
   * @param cause what the codec said
   */
  public PayloadUnwritableException(String type, Throwable cause) {
    super(
        "value of %s cannot be written as a payload: %s".formatted(type, cause.getMessage()),
        cause);
  }
}
