package dev.trunkline.message;

import static java.util.Objects.requireNonNull;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;

/**
 * JSON by Jackson, which must be on the class path (it is an optional dependency). Thread-safe.
 *
 * <p>The default mapper finds the modules on the class path (java.time, records), writes dates as
 * ISO 8601 text and ignores unknown properties, so that a sender may add a field before its
 * consumers know it.
 */
public final class JsonCodec implements Codec {
  private final ObjectMapper mapper;

  /** A codec with a mapper of the caller's. */
  public JsonCodec(ObjectMapper mapper) {
    this.mapper = requireNonNull(mapper, "mapper");
  }

  /** A codec with the default mapper. */
  public static JsonCodec defaults() {
    return Shared.INSTANCE;
  }

  @Override
  public String contentType() {
    return "application/json";
  }

  @Override
  public byte[] encode(Object value) throws Exception {
    return mapper.writeValueAsBytes(value);
  }

  @Override
  public <T> T decode(byte[] payload, Class<T> type) throws Exception {
    T value = mapper.readValue(payload, type);
    if (value == null) {
      throw new IllegalArgumentException("the payload is the JSON literal null");
    }
    return value;
  }

  /** Made on first use, so that a class path without Jackson can load everything else. */
  private static final class Shared {
    static final JsonCodec INSTANCE =
        new JsonCodec(
            JsonMapper.builder()
                .findAndAddModules()
                .disable(SerializationFeature.WRITE_DATES_AS_TIMESTAMPS)
                .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
                .build());

    private Shared() {}
  }
}
