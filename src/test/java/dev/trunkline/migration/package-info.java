/** The schema: made, upgraded, checked, refused. */
@NullMarked
package dev.trunkline.migration;

import org.jspecify.annotations.NullMarked;
