package dev.trunkline.demo;

import java.math.BigDecimal;

/**
 * What a customer ordered: a row of the order service, and the payload of its event.
 *
 * @param id given by whoever sends the order, unique
 * @param customer where the mail goes
 * @param item what is ordered
 * @param quantity how many
 * @param amount what is to be paid for it
 */
record Order(String id, String customer, String item, int quantity, BigDecimal amount) {

  /** Whether there is something to charge; payment rejects the others. */
  boolean costsSomething() {
    return amount.signum() > 0;
  }

  /** Whether both say the same; 5 and 5.00 are the same amount. */
  boolean saysTheSameAs(Order other) {
    return id.equals(other.id)
        && customer.equals(other.customer)
        && item.equals(other.item)
        && quantity == other.quantity
        && amount.compareTo(other.amount) == 0;
  }
}
