"""All that an axis of tiles can be asked for, for hypothesis."""

from hypothesis import strategies as st

AXES = st.fixed_dictionaries(
    {
        "length": st.integers(1, 400),
        "tile": st.integers(1, 450),
        "halo": st.integers(0, 70),
        "feather": st.integers(0, 40),
        "multiple": st.sampled_from([1, 1, 2, 4, 8]),
    }
)
