"""Model card: what the networks are for, how often they are wrong, and how that was measured."""

import streamlit as st

from detector.errors import ModelError
from pages.parts import card, frame
from pages.parts.text import plain

frame.require()
st.title("Model card")
st.caption(
    "What the networks are for, what they cannot do, and how often they are wrong. Every number "
    "was measured by a command of this project, and says whether it counts clips or frames."
)
try:
    found = card.current()
except ModelError as error:
    st.error(plain(str(error)), icon=":material/error:")
else:
    card.show(found)
