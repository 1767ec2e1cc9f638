// Stands outside the control that the keyboard would press; amber between two dark lines.
import QtQuick

Rectangle {
    id: ring

    required property Item control
    property int controlRadius: ScreenMetrics.radius
    readonly property int thickness: ScreenMetrics.mm(Tokens.spaceFocusRing)

    anchors.fill: control
    anchors.margins: -thickness - border.width
    border.color: Tokens.ink
    border.width: 1
    color: "transparent"
    radius: controlRadius + thickness
    visible: control.activeFocus

    Rectangle {
        anchors.fill: parent
        anchors.margins: 1
        border.color: Tokens.focus
        border.width: ring.thickness
        color: "transparent"
        radius: ring.radius - 1
    }
}
