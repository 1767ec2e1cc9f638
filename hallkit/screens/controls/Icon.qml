// An icon of the set in any colour. A name that is not of the set draws nothing.
import QtQuick

Item {
    id: icon

    property string name
    property int size: ScreenMetrics.mm(Tokens.sizeIcon)
    property color color: Tokens.ink
    // Of the stroke, on a grid of 24.
    property real weight: 2
    readonly property bool drawn: IconSet.names.includes(name)

    implicitHeight: drawn ? size : 0
    implicitWidth: drawn ? size : 0
    visible: drawn

    Image {
        readonly property string rgb: icon.color.toString().slice(-6)

        source: icon.drawn && icon.size > 0 ? "image://icons/" + [icon.name, rgb, icon.weight].join("/") : ""
        sourceSize.height: icon.size
        sourceSize.width: icon.size
    }
}
