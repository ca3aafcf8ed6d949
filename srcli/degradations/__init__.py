"""How a good picture becomes a bad one: recipes drawn from a seed, then applied."""
