"""Veriframe: the frame around the pages. Run with `streamlit run app.py`."""

import streamlit as st

from pages.parts import login, navigation, session

navigation.configure()
st.logo("assets/logo.svg", size="large", icon_image="assets/logo_icon.svg")

page = navigation.show_menu()
with st.sidebar:
    login.show(on_leaving=session.discard)  # the clip goes now, not when the session expires
    st.caption(f":material/lock: {login.PRIVACY[login.is_required()]}")

session.models()  # loads them in the background while a person chooses a clip
page.run()
