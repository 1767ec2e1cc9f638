"""Catalogues of other systems: read into our items, written back.

`registry` finds the layout from what a file holds; a layout (`national`, `guangdong`, `sichuan`)
is one file; `clean` takes the dirt off; `draft` makes an item of what is left; `folder` merges
items into a catalogue's folder, all or nothing.
"""
