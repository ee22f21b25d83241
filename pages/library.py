"""Library: every analysis that was kept, to search, compare, annotate, export and delete."""

import streamlit as st

from detector.errors import StoreError
from pages.parts import comparing, frame, kept, opened, shelf
from pages.parts.text import plain

frame.require()
st.title("Library")
st.caption("Analyses that were kept on this machine, with small pictures; the clips are not.")

asked = st.query_params.to_dict()
if said := st.session_state.pop("deleted", None):
    st.toast(said, icon=":material/delete:")
try:
    library = kept.store()
    if "compare" in asked:
        comparing.show(library, kept.numbers(asked["compare"]))
    elif "analysis" in asked:
        chosen = kept.numbers(asked["analysis"])
        if len(chosen) != 1:
            raise StoreError(
                f"There is no analysis {asked['analysis']} in the library; choose one below."
            )
        opened.show(library, chosen[0])
    else:
        shelf.show(library)
except StoreError as error:
    if asked:
        st.error(plain(str(error)), icon=":material/link_off:")
        st.button("All analyses", icon=":material/arrow_back:", on_click=st.query_params.clear)
    else:
        kept.refused(error)
