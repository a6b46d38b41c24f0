package dev.trunkline.architecture;

import static com.tngtech.archunit.base.DescribedPredicate.describe;
import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.equivalentTo;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.simpleNameEndingWith;
import static com.tngtech.archunit.lang.conditions.ArchPredicates.are;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.constructors;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.Architectures.layeredArchitecture;
import static com.tngtech.archunit.library.GeneralCodingRules.ACCESS_STANDARD_STREAMS;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaConstructor;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.domain.JavaPackage;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchCondition;
import com.tngtech.archunit.lang.ConditionEvents;
import com.tngtech.archunit.lang.SimpleConditionEvent;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.jdbi.v3.core.Handle;
import org.jspecify.annotations.NullMarked;
import org.junit.jupiter.api.Test;

/** No exceptions, no frozen violations: what a rule forbids is not there. */
class ArchitectureTest {
  private static final String ROOT = "dev.trunkline";
  private static final int MAX_CODE_LINES = 300;
  private static final int MAX_CONSTRUCTOR_PARAMETERS = 6;

  /** What may print. */
  private static final String[] PROGRAMS = {ROOT + ".demo..", ROOT + ".cli..", ROOT + ".console.."};

  /** What may know the facade. */
  private static final String[] FACES = {
    ROOT + ".demo..", ROOT + ".cli..", ROOT + ".console..", ROOT + ".metrics.."
  };

  private static final JavaClasses MAIN =
      new ClassFileImporter()
          .withImportOption(new ImportOption.DoNotIncludeTests())
          .importPackages(ROOT);
  private static final JavaClasses TESTS =
      new ClassFileImporter()
          .withImportOption(new ImportOption.OnlyIncludeTests())
          .importPackages(ROOT);

  @Test
  void both_halves_of_the_code_are_looked_at() {
    assertThat(MAIN).isNotEmpty();
    assertThat(TESTS).isNotEmpty();
    assertThat(MAIN.contain(ArchitectureTest.class)).isFalse();
  }

  @Test
  void packages_are_free_of_cycles() {
    slices().matching(ROOT + ".(**)").should().beFreeOfCycles().check(MAIN);
  }

  @Test
  void imports_go_down_the_layers_only() {
    layeredArchitecture()
        .consideringOnlyDependenciesInLayers()
        .withOptionalLayers(true)
        .layer("error")
        .definedBy(ROOT + ".error..")
        .layer("words")
        .definedBy(ROOT + ".message..", ROOT + ".retry..")
        .layer("internal")
        .definedBy(ROOT + ".internal..", ROOT + ".event..")
        .layer("dead letters")
        .definedBy(ROOT + ".deadletter..", ROOT + ".inbox..")
        .layer("features")
        .definedBy(ROOT + ".queue..", ROOT + ".topic..")
        .layer("facade")
        .definedBy(ROOT)
        .layer("faces")
        .definedBy(FACES)
        .whereLayer("faces")
        .mayNotBeAccessedByAnyLayer()
        .whereLayer("facade")
        .mayOnlyBeAccessedByLayers("faces")
        .whereLayer("features")
        .mayOnlyBeAccessedByLayers("facade", "faces")
        .whereLayer("dead letters")
        .mayOnlyBeAccessedByLayers("features", "facade", "faces")
        .whereLayer("internal")
        .mayOnlyBeAccessedByLayers("dead letters", "features", "facade", "faces")
        .whereLayer("words")
        .mayOnlyBeAccessedByLayers("internal", "dead letters", "features", "facade", "faces")
        .check(MAIN);
  }

  @Test
  void every_package_has_its_place_in_the_layers() {
    classes()
        .should()
        .resideInAnyPackage(
            ROOT,
            ROOT + ".error..",
            ROOT + ".message..",
            ROOT + ".retry..",
            ROOT + ".internal..",
            ROOT + ".event..",
            ROOT + ".deadletter..",
            ROOT + ".inbox..",
            ROOT + ".queue..",
            ROOT + ".topic..",
            ROOT + ".demo..",
            ROOT + ".cli..",
            ROOT + ".console..",
            ROOT + ".metrics..")
        .check(MAIN);
  }

  @Test
  void nobody_but_the_faces_depends_on_the_facade() {
    noClasses()
        .that()
        .resideOutsideOfPackage(ROOT)
        .and()
        .resideOutsideOfPackages(FACES)
        .should()
        .dependOnClassesThat()
        .resideInAPackage(ROOT)
        .check(MAIN);
  }

  @Test
  void queue_and_topic_do_not_know_each_other() {
    noClasses()
        .that()
        .resideInAPackage(ROOT + ".queue..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage(ROOT + ".topic..")
        .allowEmptyShould(true)
        .check(MAIN);
    noClasses()
        .that()
        .resideInAPackage(ROOT + ".topic..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage(ROOT + ".queue..")
        .allowEmptyShould(true)
        .check(MAIN);
  }

  @Test
  void only_stores_and_internal_db_speak_jdbi() {
    DescribedPredicate<JavaClass> jdbi = resideInAPackage("org.jdbi..");
    noClasses()
        .that(
            are(
                not(
                    resideInAPackage(ROOT + ".internal.db..")
                        .or(outermost(simpleNameEndingWith("Store"))))))
        .should()
        .dependOnClassesThat(jdbi.and(not(equivalentTo(Handle.class))))
        .check(MAIN);
  }

  @Test
  void a_handle_is_named_only_where_a_user_passes_one() {
    noClasses()
        .that()
        .resideOutsideOfPackage(ROOT + ".internal.db..")
        .and(not(outermost(simpleNameEndingWith("Store"))))
        .and(
            not(
                resideInAnyPackage(ROOT + ".queue", ROOT + ".topic", ROOT + ".inbox")
                    .and(publicType())))
        .should()
        .dependOnClassesThat(equivalentTo(Handle.class))
        .check(MAIN);
  }

  @Test
  void only_the_metrics_know_micrometer() {
    noClasses()
        .that()
        .resideOutsideOfPackage(ROOT + ".metrics..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("io.micrometer..")
        .check(MAIN);
  }

  @Test
  void every_package_is_null_marked() {
    List<String> unmarked =
        MAIN.stream()
            .map(JavaClass::getPackage)
            .distinct()
            .filter(javaPackage -> !isNullMarked(javaPackage))
            .map(JavaPackage::getName)
            .sorted()
            .toList();
    assertThat(unmarked).as("packages without @NullMarked in package-info.java").isEmpty();
  }

  @Test
  void only_programs_print() {
    noClasses()
        .that()
        .resideOutsideOfPackages(PROGRAMS)
        .should(ACCESS_STANDARD_STREAMS)
        .check(MAIN);
  }

  @Test
  void slf4j_is_the_only_logging() {
    noClasses()
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(
            "java.util.logging..",
            "ch.qos.logback..",
            "org.apache.logging..",
            "org.apache.log4j..",
            "org.apache.commons.logging..")
        .orShould()
        .dependOnClassesThat()
        .haveFullyQualifiedName("java.lang.System$Logger")
        .check(MAIN);
  }

  @Test
  void only_loops_sleep() {
    noClasses()
        .that()
        .resideOutsideOfPackage(ROOT + ".internal.loop..")
        .should(sleep())
        .check(MAIN);
  }

  @Test
  void tests_do_not_sleep() {
    noClasses().should(sleep()).check(TESTS);
  }

  @Test
  void nothing_is_mocked() {
    noClasses()
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(
            "org.mockito..",
            "org.easymock..",
            "org.jmock..",
            "org.powermock..",
            "mockit..",
            "io.mockk..")
        .check(TESTS);
  }

  @Test
  void names_say_what_a_class_is() {
    noClasses()
        .should()
        .haveNameMatching(
            ".*[.$](\\w+(Utils?|Helpers?|Managers?|Impl|Common)|Common|Utils?|Helpers?)")
        .orShould()
        .haveNameMatching(".*[.$](Abstract|Base|Default)([A-Z]\\w*)?")
        .check(MAIN);
  }

  @Test
  void constructors_take_six_parameters_at_most() {
    constructors()
        .that()
        .areDeclaredInClassesThat()
        .areNotAnonymousClasses()
        .and(are(not(declaredInRecord())))
        .should(takeAtMost(MAX_CONSTRUCTOR_PARAMETERS))
        .check(MAIN);
  }

  @Test
  void files_have_three_hundred_lines_of_code_at_most() throws IOException {
    try (Stream<Path> paths = Files.walk(Path.of("src/main/java"))) {
      List<Path> sources = paths.filter(path -> path.toString().endsWith(".java")).toList();
      assertThat(sources).isNotEmpty();
      assertThat(sources)
          .allSatisfy(
              source ->
                  assertThat(CodeLines.in(Files.readString(source)))
                      .as("lines of code in " + source)
                      .isLessThanOrEqualTo(MAX_CODE_LINES));
    }
  }

  /** A class as a file: what is nested in a store is part of the store. */
  private static DescribedPredicate<JavaClass> outermost(DescribedPredicate<JavaClass> predicate) {
    return describe(
        "in a file " + predicate.getDescription(),
        javaClass -> {
          JavaClass outermost = javaClass;
          while (outermost.getEnclosingClass().isPresent()) {
            outermost = outermost.getEnclosingClass().get();
          }
          return predicate.test(outermost);
        });
  }

  private static DescribedPredicate<JavaClass> publicType() {
    return describe("public", javaClass -> javaClass.getModifiers().contains(JavaModifier.PUBLIC));
  }

  private static DescribedPredicate<JavaConstructor> declaredInRecord() {
    return describe("declared in a record", constructor -> constructor.getOwner().isRecord());
  }

  /** Counts what is written: an enum's and an inner class's hidden parameters are not. */
  private static ArchCondition<JavaConstructor> takeAtMost(int limit) {
    return new ArchCondition<>("take at most %d parameters", limit) {
      @Override
      public void check(JavaConstructor constructor, ConditionEvents events) {
        JavaClass owner = constructor.getOwner();
        boolean isInner =
            owner.isInnerClass() && !owner.getModifiers().contains(JavaModifier.STATIC);
        int hidden = owner.isEnum() ? 2 : isInner ? 1 : 0;
        int written = constructor.getRawParameterTypes().size() - hidden;
        events.add(
            new SimpleConditionEvent(
                constructor,
                written <= limit,
                "%s takes %d parameters".formatted(constructor.getFullName(), written)));
      }
    };
  }

  private static ArchCondition<JavaClass> sleep() {
    return new ArchCondition<>("sleep") {
      @Override
      public void check(JavaClass javaClass, ConditionEvents events) {
        javaClass.getAccessesFromSelf().stream()
            .filter(
                call ->
                    call.getName().equals("sleep")
                        && (call.getTargetOwner().isEquivalentTo(Thread.class)
                            || call.getTargetOwner().isEquivalentTo(TimeUnit.class)))
            .forEach(
                call -> events.add(SimpleConditionEvent.satisfied(call, call.getDescription())));
      }
    };
  }

  private static boolean isNullMarked(JavaPackage javaPackage) {
    return javaPackage.tryGetPackageInfo().isPresent()
        && javaPackage.isAnnotatedWith(NullMarked.class);
  }
}
