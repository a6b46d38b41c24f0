package dev.trunkline.support;

import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;
import org.junit.jupiter.api.extension.TestInstancePostProcessor;

/**
 * Gives a test class, with the classes nested in it, a {@link TestDatabase} as parameter or field;
 * drops it afterwards. Empties the tables before each test, so what {@code @BeforeAll} writes does
 * not last.
 */
public final class PostgresExtension
    implements BeforeAllCallback, BeforeEachCallback, TestInstancePostProcessor, ParameterResolver {
  private static final Namespace NAMESPACE = Namespace.create(PostgresExtension.class);

  @Override
  public void beforeAll(ExtensionContext context) throws IllegalAccessException {
    fill(context, context.getRequiredTestClass(), null);
  }

  @Override
  public void postProcessTestInstance(Object instance, ExtensionContext context)
      throws IllegalAccessException {
    fill(context, instance.getClass(), instance);
  }

  @Override
  public void beforeEach(ExtensionContext context) {
    database(context).deleteAll();
  }

  @Override
  public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
    return parameter.getParameter().getType() == TestDatabase.class;
  }

  @Override
  public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
    return database(context);
  }

  /** The database of the outermost test class around this context. */
  static TestDatabase database(ExtensionContext context) {
    ExtensionContext outermost = context;
    while (outermost.getParent().flatMap(ExtensionContext::getTestClass).isPresent()) {
      outermost = outermost.getParent().get();
    }
    return outermost
        .getStore(NAMESPACE)
        .computeIfAbsent(TestDatabase.class, key -> TestDatabase.migrated(), TestDatabase.class);
  }

  /** Sets the static fields where there is no instance, and the others where there is one. */
  private static void fill(ExtensionContext context, Class<?> testClass, @Nullable Object instance)
      throws IllegalAccessException {
    for (Class<?> type = testClass; type != null; type = type.getSuperclass()) {
      for (Field field : type.getDeclaredFields()) {
        if (field.getType() == TestDatabase.class
            && Modifier.isStatic(field.getModifiers()) == (instance == null)
            && !Modifier.isFinal(field.getModifiers())) {
          field.setAccessible(true);
          field.set(instance, database(context));
        }
      }
    }
  }
}
