package dev.trunkline.internal.db;

import org.jspecify.annotations.Nullable;

/** What is done with a session. */
@FunctionalInterface
public interface Work<T extends @Nullable Object> {
  /** Runs statements; the session must not be kept. */
  T on(Session session);
}
