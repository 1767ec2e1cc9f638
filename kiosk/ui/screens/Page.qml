// What every screen has: the view, and whether the panel lies on its side.
import QtQuick
import kiosk.ui

Item {
    required property KioskView view
    required property bool wide
    // A page that draws title and sentence itself, in place of the header.
    property bool ownHeader: false
}
