"""What was decided on, kept and decided on once more: recordings and what is made of them."""
