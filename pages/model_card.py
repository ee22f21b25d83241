"""Model card: what the networks are for, how often they are wrong, and how that was measured."""

import streamlit as st

from detector.errors import ModelError
from pages.parts import model_card, navigation
from pages.parts.text import plain

navigation.require()
st.title("Model card")
st.caption(
    "What the networks are for, what they cannot do, and how often they are wrong. Every number "
    "was measured by a command of this project, and says whether it counts clips or frames."
)
try:
    found = model_card.current()
except ModelError as error:
    st.error(plain(str(error)), icon=":material/error:")
else:
    model_card.show(found)
