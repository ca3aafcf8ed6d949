"""Networks and the state-dict namings of the field."""
