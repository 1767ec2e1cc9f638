"""What a document camera does with its pictures: find the page, straighten, judge and read it.

No driver of its own: any camera's port gives the pictures, and `DocumentCamera` adds what is here.
numpy, OpenCV, rapidocr and typst belong to the extra `camera`; only the modules of this folder
import them.
"""
