package dev.trunkline.readme;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * Every Java fence of the README is a tagged region of {@code ReadmeExamples}, which compiles and
 * runs; every tagged region is shown; every link between the pages resolves.
 */
class ReadmeFencesTest {
  private static final Path README = Path.of("README.md");
  private static final Path EXAMPLES =
      Path.of("src/test/java/dev/trunkline/readme/ReadmeExamples.java");
  private static final Pattern REGION =
      Pattern.compile(
          "^ *// tag::([\\w-]+)\\[]\\n(.*?)^ *// end::\\1\\[]$",
          Pattern.MULTILINE | Pattern.DOTALL);

  @Test
  void every_java_fence_of_the_readme_is_a_tested_region() throws IOException {
    List<String> fences = new Markdown(textOf(README)).fences("java");

    assertThat(regions(textOf(EXAMPLES)).values()).containsAll(fences);
  }

  @Test
  void every_tested_region_is_a_java_fence_of_the_readme() throws IOException {
    assumeThat(README).exists();
    List<String> fences = new Markdown(textOf(README)).fences("java");

    assertThat(fences).containsAll(regions(textOf(EXAMPLES)).values());
  }

  @Test
  void every_link_between_the_pages_resolves() throws IOException {
    List<String> broken = new ArrayList<>();
    for (Path page : pages()) {
      for (String link : new Markdown(textOf(page)).links()) {
        if (!resolves(page, link)) {
          broken.add(page + " links to " + link);
        }
      }
    }
    assertThat(broken).isEmpty();
  }

  @Test
  void fences_regions_and_links_are_recognized() {
    Markdown page =
        new Markdown(
            """
            # The *queue*, end to end
            See [guarantees](docs/guarantees.md#not-promised "title"), `[not](a-link)`.

              ```java
              if (true) {
                send();
              }
              ```

            ```sh
            # not a heading
            ```
            """);

    assertThat(page.fences("java")).containsExactly("if (true) {\n  send();\n}");
    assertThat(page.links()).containsExactly("docs/guarantees.md#not-promised");
    assertThat(page.anchors()).containsExactly("the-queue-end-to-end");
    assertThat(
            regions(
                """
                  void run() {
                    // tag::send[]
                    if (true) {
                      send();
                    }
                    // end::send[]
                  }
                """))
        .containsExactly(Map.entry("send", "if (true) {\n  send();\n}"));
  }

  private static Map<String, String> regions(String source) {
    Map<String, String> regions = new TreeMap<>();
    Matcher region = REGION.matcher(source);
    while (region.find()) {
      regions.put(region.group(1), region.group(2).stripTrailing().stripIndent());
    }
    return regions;
  }

  private static List<Path> pages() throws IOException {
    List<Path> pages = new ArrayList<>();
    for (Path directory : List.of(Path.of("."), Path.of("docs"))) {
      if (Files.isDirectory(directory)) {
        int depth = directory.endsWith("docs") ? Integer.MAX_VALUE : 1;
        try (Stream<Path> paths = Files.walk(directory, depth)) {
          paths
              .filter(path -> path.toString().endsWith(".md"))
              .map(Path::normalize)
              .forEach(pages::add);
        }
      }
    }
    return pages;
  }

  private static boolean resolves(Path page, String link) throws IOException {
    if (link.matches("[a-z]+:.*")) {
      return true; // Another site's: not asked.
    }
    String file = link.replaceAll("#.*", "");
    Path target = file.isEmpty() ? page : page.resolveSibling(file).normalize();
    if (!Files.exists(target)) {
      return false;
    }
    int hash = link.indexOf('#');
    return hash < 0
        || !target.toString().endsWith(".md")
        || new Markdown(textOf(target)).anchors().contains(link.substring(hash + 1));
  }

  private static String textOf(Path path) throws IOException {
    return Files.exists(path) ? Files.readString(path).replace("\r\n", "\n") : "";
  }
}
