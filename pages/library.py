"""Library: every analysis that was kept, to search, compare, annotate, export and delete."""

import streamlit as st

from detector.errors import LibraryError
from pages.parts import library_access, navigation
from pages.parts.library import analysis_list, compare, entry
from pages.parts.text import plain

navigation.require()
st.title("Library")
st.caption("Analyses that were kept on this machine, with small pictures; the clips are not.")

asked = st.query_params.to_dict()
if said := st.session_state.pop("deleted", None):
    st.toast(said, icon=":material/delete:")
try:
    library = library_access.open_library()
    if "compare" in asked:
        compare.show(library, library_access.numbers(asked["compare"]))
    elif "analysis" in asked:
        chosen = library_access.numbers(asked["analysis"])
        if len(chosen) != 1:
            raise LibraryError(
                f"There is no analysis {asked['analysis']} in the library; choose one below."
            )
        entry.show(library, chosen[0])
    else:
        analysis_list.show(library)
except LibraryError as error:
    if asked:
        st.error(plain(str(error)), icon=":material/link_off:")
        st.button("All analyses", icon=":material/arrow_back:", on_click=st.query_params.clear)
    else:
        library_access.refused(error)
