@NullMarked
package dev.trunkline.metrics;

import org.jspecify.annotations.NullMarked;
