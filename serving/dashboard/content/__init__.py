"""One page in each module; `show` draws it.

The folder is not called `pages`: Streamlit would run its files as pages by themselves when one is asked for first.
"""
